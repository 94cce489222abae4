"""Move a guest to another host: without stopping it, by its saved memory, or while it is off.

Peer-to-peer first: the source's libvirtd does the work and goes on when we die. When the hosts cannot reach each other's libvirtd
we talk to both. However it ends, where the guest is now is found by looking at both hosts, not believed from the call's result.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from hosts.hypervisor.errors import NotFound
from hosts.models import Host
from hosts.operations.kind import Refused, Subject, Uncertain
from hosts.operations.storage_base import NotNow, follow
from hosts.operations.task import Task
from vms import deleting
from vms.models import VirtualMachine
from vms.moving import offers, options, saved, wanted
from vms.moving.move import Move, peer_uri
from vms.moving.offline import OfflineMove
from vms.moving.places import look
from vms.moving.preflight.rows import against_move, read_once, shared
from vms.moving.saved import SavedMove
from vms.moving.target import check as check_target
from vms.moving.target import check_disks, copied_volumes, volumes_to_make
from vms.operations.base import GuestKind, PowerState, virsh

#: mode → who carries it out, and the states in which it makes sense
MODES: dict[str, tuple[type[Move], tuple[str, ...]]] = {
    "live": (Move, (PowerState.RUNNING, PowerState.PAUSED)),
    "saved": (SavedMove, (PowerState.RUNNING, PowerState.PAUSED)),
    "offline": (OfflineMove, (PowerState.SHUTOFF,)),
}


class Migrate(GuestKind):
    """Move a guest to the host named ``host``: live, by its saved memory, or, when it is off, by its definition."""

    name = "migrate"
    label = gettext_lazy("Migrate")
    verb = "vm.migrate"
    needs = (PowerState.RUNNING, PowerState.PAUSED, PowerState.SHUTOFF)
    cancellable = True
    own_connection = True
    signals = tuple(wanted.SIGNALS)

    def clean(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        return wanted.clean(arguments)

    def clean_signal(self, name: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
        if name not in wanted.SIGNALS:
            return super().clean_signal(name, arguments)
        return wanted.clean_signal(name, arguments)

    def check(self, subject: Subject, arguments: dict[str, Any]) -> None:
        super().check(subject, arguments)
        read = shared(arguments["host"])
        target, vm, source = _host_of(arguments), subject.row, subject.host
        assert source is not None  # GuestKind has looked.
        if target == source:
            raise Refused(_("%(name)s is on %(host)s already.") % {"name": subject.name, "host": target.name})
        if not target.enabled or not target.is_connected:
            raise Refused(_("Host %(host)s is not connected.") % {"host": target.name})
        if read.runs_there(vm) if read is not None else _runs_at(vm, target):
            raise Refused(
                _("%(name)s runs on %(host)s too; that must be settled first.")
                % {"name": subject.name, "host": target.name}
            )
        for field, why in offers.refusals(arguments, (source, target)).items():
            raise NotNow(field, why)
        check_target(arguments, target)
        self._check_mode(vm, (source, target), arguments)
        if against := against_move(vm, target, arguments):
            raise Refused(" ".join(against))

    def looking_at(self, rows: Sequence[Any], arguments: dict[str, Any]) -> AbstractContextManager[None]:
        target = Host.objects.filter(name=arguments["host"]).first()
        return read_once(rows, target, arguments) if target is not None else nullcontext()

    def _check_mode(self, vm: VirtualMachine, ends: tuple[Host, Host], arguments: dict[str, Any]) -> None:
        mode = mode_of(arguments, vm.power_state)
        if vm.power_state not in MODES[mode][1]:
            raise NotNow("mode", _("%(name)s is %(state)s.") % {"name": vm.name, "state": vm.get_power_state_display()})
        if mode == "live":
            return
        if mode == "offline" and vm.managed_save:
            raise NotNow("mode", _("Its saved memory lies on its host: start it first, or throw the memory away."))
        if _has_files_of_its_own(vm):
            raise NotNow(
                "mode",
                _("The variables of its firmware or its TPM lie on its host, and only a live move takes them along."),
            )
        if not arguments["unsafe"]:
            check_disks(vm, *ends)
        if mode == "saved":
            saved.check(*ends, arguments["state_pool"], vm.memory)

    def virsh(self, subject: Subject, arguments: dict[str, Any]) -> str:
        target, mode = _host_of(arguments), mode_of(arguments, subject.row.power_state)
        if mode == "offline":
            return virsh("migrate", subject, peer_uri(target), *options.of_offline(arguments))
        if mode == "saved":
            state = f"{arguments['state_pool'] or 'POOL'}/{subject.uuid}.kvmdash-state"
            return "\n".join(options.of_saved(subject.name, state, peer_uri(target)))
        lines = [virsh("migrate", subject, peer_uri(target), *options.of_live(arguments))]
        if arguments["max_downtime"]:
            lines.append(virsh("migrate-setmaxdowntime", subject, str(arguments["max_downtime"])))
        return "\n".join(lines)

    def run(self, task: Task) -> dict[str, Any]:
        target_host = _target_host(task)
        with task.looking():
            place = look(task.meet(target_host), target_host, task.uuid)
            state, autostart = self.guest(task).state_and_autostart()
            made = _not_there_yet(task, target_host)
        if place.runs:
            raise Refused(
                _("%(name)s runs on %(host)s too.") % {"name": task.operation.subject_name, "host": target_host}
            )
        mode = mode_of(task.arguments, state)
        self.refuse_unless(task, state, MODES[mode][1])
        # Kept in the row, for the one who recovers and for those who tidy up.
        left = copied_volumes(task.arguments, task.uuid, task.host)
        task.progress(now=True, autostart=autostart, mode=mode, left=left, made=made)
        return MODES[mode][0](task, target_host).go()

    def recover(self, task: Task) -> dict[str, Any]:
        task.log("kvmdash was interrupted during this move; looking where the guest is.", "warning")
        try:
            target_host = _target_host(task)
        except Refused as error:
            raise Uncertain(f"{error} " + _("Look at the guest on %(host)s.") % {"host": task.host.name}) from error
        mode = task.operation.progress.get("mode", "live")
        return MODES[mode][0](task, target_host).observe()


def _host_of(arguments: Mapping[str, Any]) -> Host:
    read = shared(arguments["host"])
    return read.target if read is not None else Host.objects.get(name=arguments["host"])


def _runs_at(vm: VirtualMachine, host: Host) -> bool:
    return bool(vm.sightings.filter(host=host, absent_since=None, power_state=PowerState.RUNNING).exists())


def _not_there_yet(task: Task, host: Host) -> list[list[Any]]:
    """Volumes of copied disks that the target does not hold now: a move that fails leaves them behind.

    [host's key, pool's UUID, name] of each. A pool that is looked at anew may take its time: on a connection of its own.
    """
    from hosts.hypervisor.volume import Volumes

    volumes = volumes_to_make(task.arguments, task.uuid, host)
    if not volumes:
        return []
    target = task.connect(host)
    found: list[list[Any]] = []
    for pool, name in volumes:
        there = Volumes(target, str(pool.uuid))
        try:
            follow(task, target, there.begin_refresh_pool())
            there.read(name)
        except NotFound:
            found.append([pool.host_id, str(pool.uuid), name])
    return found


def _has_files_of_its_own(vm: VirtualMachine) -> bool:
    parts = deleting.parts_of(vm)
    return parts.nvram or parts.tpm


def mode_of(arguments: Mapping[str, Any], state: str) -> str:
    """How a guest in that state is moved, where the arguments leave it open."""
    if arguments["mode"] != "auto":
        return str(arguments["mode"])
    return "offline" if state == PowerState.SHUTOFF else "live"


def _target_host(task: Task) -> Host:
    host = Host.objects.filter(name=task.arguments["host"]).first()
    if host is None:
        raise Refused(_("Host %(host)s was removed meanwhile.") % {"host": task.arguments["host"]})
    return host
