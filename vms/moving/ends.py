"""The two ends of a move: connections to both hosts, and what each says of the guest."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hosts import notify
from hosts.hypervisor.errors import HypervisorError, Unreachable
from hosts.models import Host
from hosts.operations.task import Task
from vms.moving.places import Place, look

if TYPE_CHECKING:
    from hosts.hypervisor.connection import Connection


class Ends:
    """The source, which is the task's host, and the target."""

    def __init__(self, task: Task, target_host: Host) -> None:
        self.task = task
        self.source_host = task.host
        self.target_host = target_host
        self._target: Connection | None = None

    @property
    def source(self) -> Connection:
        """A live connection to the source: the task's own."""
        return self.task.connection

    @property
    def target(self) -> Connection:
        """A live connection to the target, of the task's own: for what may last."""
        if self._target is None or not self._target.is_alive:
            self._target = self.task.connect(self.target_host)
        self.task.will_change()
        return self._target

    @property
    def there(self) -> Connection:
        """A live connection to the target for what is answered at once; no other is opened for it."""
        return self.task.other(self.target_host)

    def places(self) -> tuple[Place, Place]:
        """What both hosts say of the guest now."""
        return self._place("source"), self._place("target")

    def _place(self, end: str) -> Place:
        host = self.source_host if end == "source" else self.target_host
        try:
            return look(self.source if end == "source" else self.there, host, self.task.uuid)
        except Unreachable:
            return Place(host, "unknown")
        except HypervisorError as error:
            self.task.log(f"{host} cannot be asked: {error}", "warning")
            return Place(host, "unknown")

    def look_again(self) -> None:
        """Have the mirror look at both hosts."""
        for host in (self.source_host, self.target_host):
            notify.look_again(host.pk, self.task.uuid)
