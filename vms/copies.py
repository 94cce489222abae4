"""Copies of a guest: the same UUID on more than one host. One of them may be stopped where it is, whichever the pages show."""

from __future__ import annotations

from django.utils.translation import gettext as _

from hosts.operations.kind import InvalidArguments
from hosts.operations.storage_base import NotNow
from vms.models import Sighting, VirtualMachine
from vms.operations.base import GuestKind

#: names the host of the copy in a query
COPY = "on"


def asked_of(kind: GuestKind, vm: VirtualMachine, host: str) -> VirtualMachine:
    """What ``kind`` acts on when it is asked of ``vm`` on the host of that name; ``vm`` itself for ''.

    Raises NotNow when it is not there, InvalidArguments when the kind is only asked of a guest where it is.
    """
    if not host or (vm.host is not None and vm.host.name == host):
        return vm
    if not kind.of_copies:
        raise InvalidArguments(COPY, _("This is not asked of a copy on another host."))
    found = Sighting.objects.select_related("host").filter(vm=vm, host__name=host, absent_since=None).first()
    if found is None:
        raise NotNow(COPY, _("%(name)s is not on %(host)s.") % {"name": vm.name, "host": host[:60]})
    return as_seen(vm, found)


def as_seen(vm: VirtualMachine, sighting: Sighting) -> VirtualMachine:
    """The guest as one host sees it; not to be saved."""
    return VirtualMachine(
        uuid=vm.uuid,
        name=sighting.name or vm.name,
        host=sighting.host,
        power_state=sighting.power_state,
        power_reason=sighting.power_reason,
        persistent=sighting.persistent,
        autostart=sighting.autostart,
        managed_save=sighting.managed_save,
        seen_at=sighting.seen_at,
    )
