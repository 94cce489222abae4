"""Hosts that guests could move to, with what speaks for and against each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from django.utils.translation import gettext as _

from hosts.models import Host
from hosts.operations.presenter import size
from vms.models import Sighting, VirtualMachine


@dataclass(frozen=True, slots=True)
class Target:
    """A host to move to; ``reason`` says why it cannot be, ``note`` what is worth knowing when it can."""

    host: Host
    reason: str = ""
    note: str = ""


def targets_for(vms: Sequence[VirtualMachine]) -> list[Target]:
    """All hosts, with the reason against each that will not do for any of ``vms``."""
    hosts = list(Host.objects.order_by("name"))
    running: dict[int, int] = {}
    left: dict[int, int] = {}
    there = Sighting.objects.filter(vm__in=[vm.pk for vm in vms], absent_since=None)
    for host_id, state in there.values_list("host_id", "power_state"):
        counted = running if state == VirtualMachine.PowerState.RUNNING else left
        counted[host_id] = counted.get(host_id, 0) + 1
    return [
        Target(host, _against(host, vms, running.get(host.pk, 0)), _note(host, vms, left.get(host.pk, 0)))
        for host in hosts
    ]


def _against(host: Host, vms: Sequence[VirtualMachine], running: int) -> str:
    if all(vm.host_id == host.pk for vm in vms):
        return _("already there") if len(vms) == 1 else _("all of them are there already")
    if not host.enabled:
        return _("disabled")
    if not host.is_connected:
        return host.state_words or str(host.get_state_display())
    arch = {vm.arch for vm in vms if vm.arch and host.arch and vm.arch != host.arch}
    if arch:
        return _("its processors are %(host)s, the guest needs %(guest)s") % {"host": host.arch, "guest": min(arch)}
    if running >= len(vms):
        return _("a guest of the same UUID runs there; settle that first")
    return ""


def _note(host: Host, vms: Sequence[VirtualMachine], left: int) -> str:
    notes = []
    wanted = sum(vm.memory for vm in vms if vm.host_id != host.pk)
    if host.memory_used is not None:
        free = host.memory - host.memory_used
        notes.append(_("%(free)s memory free") % {"free": size(free)})
        if free < wanted:
            notes.append(_("less than the %(wanted)s needed") % {"wanted": size(wanted)})
    models = {vm.host.cpu_model for vm in vms if vm.host is not None and vm.host.cpu_model != host.cpu_model}
    if models and host.cpu_model:
        notes.append(_("other processor (%(model)s)") % {"model": host.cpu_model})
    if left and not any(vm.host_id == host.pk for vm in vms):
        notes.append(_("a definition left behind there will be replaced"))
    return " · ".join(notes)
