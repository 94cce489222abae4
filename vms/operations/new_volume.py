"""A volume that is made for a new disk, by the rules of the kind that makes volumes, and taken away when the disk is not taken."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from django.utils.translation import gettext as _

from hosts.hypervisor.errors import HypervisorError, Unreachable
from hosts.hypervisor.sentences import say
from hosts.models import StoragePool
from hosts.operations.kind import InvalidArguments, Refused, Subject, registry
from hosts.operations.storage_base import NotNow
from hosts.operations.task import Task
from hosts.operations.volume_base import follow_growth, look_again, volumes_of
from hosts.operations.volume_create import volume_xml
from vms.models import VirtualMachine

FIELDS = ("pool", "name", "capacity", "format")


class NewVolume:
    """One that is asked for: ``given`` is {"pool", "name", "capacity", "format"}, as :meth:`cleaned` leaves it."""

    def __init__(self, vm: VirtualMachine, given: Mapping[str, Any]) -> None:
        self.vm, self.given = vm, given
        self.arguments = {name: value for name, value in given.items() if name != "pool"}

    @staticmethod
    def cleaned(given: Any) -> dict[str, Any]:
        """Checked plain data. Raises InvalidArguments."""
        if not isinstance(given, Mapping) or not set(given) <= set(FIELDS) or not isinstance(given.get("pool"), str):
            raise InvalidArguments("new_volume", _("A pool, a name, a capacity in bytes, and a format."))
        wanted = {name: value for name, value in given.items() if name != "pool"}
        return {"pool": given["pool"][:255], **registry["volume-create"].clean(wanted)}

    def _pool(self) -> StoragePool:
        rows = StoragePool.objects.filter(host=self.vm.host, name=self.given["pool"], absent_since=None)
        pool = rows.select_related("host").first()
        if pool is None:
            raise NotNow("pool", _("The host has no pool of that name."))
        return pool

    def _subject(self) -> Subject:
        return registry["volume-create"].subject(self._pool())

    def check(self) -> None:
        """Raises Refused."""
        registry["volume-create"].check(self._subject(), self.arguments)

    def virsh(self) -> str:
        """The equivalent command; '' where there is no such pool."""
        try:
            return registry["volume-create"].virsh(self._subject(), self.arguments)
        except Refused:
            return ""

    @contextmanager
    def made(self, task: Task) -> Iterator[str]:
        """Make it; its path (or pool/volume). When what it was made for fails at the host, it is deleted: it is empty."""
        pool, name = self._pool(), self.given["name"]
        with task.looking():
            if volumes_of(task, pool).exists(name):
                raise Refused(_("There is a volume of that name by now; nothing was done."))
        volumes = volumes_of(task, pool)
        follow_growth(task, volumes, volumes.begin_create(volume_xml(pool, self.arguments)), name, 0)
        look_again(pool)
        path = volumes.read(name).path
        task.log(say("The volume %(name)s was made in %(pool)s.", name=name, pool=pool.name))
        try:
            yield path if path.startswith("/") else f"{pool.name}/{name}"
        except Unreachable:
            raise
        except (HypervisorError, Refused):
            self._take_back(task, pool)
            raise

    def _take_back(self, task: Task, pool: StoragePool) -> None:
        name = self.given["name"]
        try:
            volumes = volumes_of(task, pool)
            volumes.connection.wait(volumes.begin_delete(name))
        except HypervisorError as error:
            task.log(say("The new volume %(name)s stays: %(why)s", name=name, why=error), "warning")
            return
        finally:
            look_again(pool)
        task.log(say("The new volume %(name)s was deleted again; it was empty.", name=name))
