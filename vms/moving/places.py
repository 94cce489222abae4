"""Where a guest is while it moves and afterwards: what each of the two hosts says when it is asked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.utils.translation import gettext as _

from hosts.hypervisor.errors import NotFound, Unreachable
from hosts.models import Host
from vms.models import VirtualMachine

if TYPE_CHECKING:
    from hosts.hypervisor.connection import Connection

PowerState = VirtualMachine.PowerState


@dataclass(frozen=True, slots=True)
class Place:
    """What one host says of the guest: a power state, 'absent', or 'unknown' when it cannot be asked."""

    host: Host
    state: str
    reason: str = ""

    @property
    def is_unfinished(self) -> bool:
        """Whether a target holds what was to become the guest: libvirt says so until all memory has come and it was let run."""
        return self.state == PowerState.PAUSED and self.reason == "migration"

    @property
    def is_split(self) -> bool:
        """Whether its memory is here and on another host: in post-copy, and where that broke."""
        return self.reason in ("post-copy", "post-copy failed")

    @property
    def is_broken(self) -> bool:
        """Whether a post-copy move broke: nothing goes on by itself, and neither half may be stopped."""
        return self.reason == "post-copy failed"

    @property
    def runs(self) -> bool:
        """Whether the guest runs there."""
        return self.state == PowerState.RUNNING

    def __str__(self) -> str:
        return f"{self.host.name}: {PowerState(self.state).label if self.state in PowerState.values else _('absent')}"


def look(connection: Connection, host: Host, uuid: str) -> Place:
    """Ask one host. A host that does not answer is a place like any other."""
    from hosts.hypervisor.guest import Guest

    try:
        return Place(host, *Guest(connection, uuid).state())
    except NotFound:
        return Place(host, "absent")
    except Unreachable:
        return Place(host, "unknown")
