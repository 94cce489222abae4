"""Move a disk to another pool: while the guest runs on, by QEMU's own mirror; while it is off, by copying the volume."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from hosts import storage_names
from hosts.hypervisor.errors import Failed
from hosts.hypervisor.sentences import say
from hosts.models import StoragePool, StorageVolume
from hosts.operations.kind import InvalidArguments, Refused, Subject
from hosts.operations.presenter import size
from hosts.operations.storage_base import NotNow, told
from hosts.operations.storage_base import virsh as line
from hosts.operations.task import Task
from hosts.operations.volume_base import only, refuse_long, refuse_taken
from hosts.storage_use import use_of
from vms import disks, snapshots
from vms.models import VirtualMachine
from vms.operations.base import PowerState, virsh
from vms.operations.block_move import Move, copy_lines
from vms.operations.disk import ACTIVE, DiskKind, clean_target
from vms.operations.volumes import delete_volume, named_by

MOST_BANDWIDTH = 1024 * 1024


class BlockCopy(DiskKind):
    """Have the disk ``target`` in a new volume ``name`` of ``pool`` (its name on the guest's host).

    ``format`` qcow2 or raw ('' where the pool knows one only), ``bandwidth`` in MiB a second (0: no limit), ``delete_source``:
    the old volume is deleted when the guest has left it. The copy lies on nothing.
    """

    name = "block-copy"
    label = gettext_lazy("Move a disk")
    verb = "vm.block_copy"
    needs = (PowerState.RUNNING, PowerState.PAUSED, PowerState.SHUTOFF, PowerState.CRASHED)
    cancellable = True

    def clean(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        only(self.name, arguments, ("target", "pool", "name", "format", "bandwidth", "delete_source"))
        cleaned: dict[str, Any] = {"target": clean_target(arguments), "pool": str(arguments.get("pool") or "")[:255]}
        try:
            cleaned["name"] = storage_names.name(str(arguments.get("name") or ""))
        except ValueError as error:
            raise InvalidArguments("name", str(error)) from None
        cleaned["format"] = str(arguments.get("format") or "")
        if cleaned["format"] not in ("", "qcow2", "raw"):
            raise InvalidArguments("format", _("Either qcow2 or raw."))
        bandwidth = arguments.get("bandwidth") or 0
        if isinstance(bandwidth, bool) or not isinstance(bandwidth, int) or not 0 <= bandwidth <= MOST_BANDWIDTH:
            raise InvalidArguments("bandwidth", _("The bandwidth is between 0 (no limit) and 1048576 MiB a second."))
        if not isinstance(arguments.get("delete_source", False), bool):
            raise InvalidArguments("delete_source", _("Either true or false."))
        return {**cleaned, "bandwidth": bandwidth, "delete_source": bool(arguments.get("delete_source", False))}

    def check_disk(
        self, vm: VirtualMachine, disk: disks.Disk, volume: StorageVolume | None, arguments: dict[str, Any]
    ) -> None:
        if disk["shareable"]:
            raise Refused(_("Other guests may write to it at the same time; it cannot be copied while they do."))
        if snapshots.snapshots_of(vm):
            raise Refused(_("The guest has snapshots, and they would not come along. Delete them first."))
        if volume is None and vm.power_state not in ACTIVE:
            raise Refused(_("It lies in no pool that kvmdash knows: it can be moved only while the guest runs."))
        pool = self._pool(vm, arguments["pool"])
        form = form_of(pool, arguments["format"])
        if disks.is_busy(pool, arguments["name"]) or (volume is not None and disks.is_busy(volume.pool, volume.name)):
            raise Refused(_("%(disk)s is being changed just now.") % {"disk": arguments["name"]})
        refuse_taken(pool, arguments["name"])
        refuse_long(pool, arguments["name"])
        if volume is not None:
            self._check_volume(vm, volume, pool, form, arguments)

    def _pool(self, vm: VirtualMachine, name: str) -> StoragePool:
        pool = next((pool for pool in disks.pools_for(vm) if pool.name == name), None)
        if pool is None:
            raise NotNow("pool", _("Choose a pool of its host that is on and takes new volumes."))
        return pool

    def _check_volume(
        self, vm: VirtualMachine, volume: StorageVolume, pool: StoragePool, form: str, arguments: dict[str, Any]
    ) -> None:
        wanted = volume.capacity if form == "raw" else volume.allocation
        if wanted > pool.available:
            raise NotNow(
                "pool",
                _("Only %(free)s are free there, and the copy takes %(wanted)s.")
                % {"free": size(pool.available), "wanted": size(wanted)},
            )
        if arguments["delete_source"] and (why := why_kept(vm, volume)):
            raise NotNow("delete_source", why)

    def virsh(self, subject: Subject, arguments: dict[str, Any]) -> str:
        vm: VirtualMachine = subject.row
        source = (disks.find(vm, arguments["target"]) or {}).get("source", "")
        volume = disks.volume_of(vm, source)
        pool = next((pool for pool in disks.pools_for(vm) if pool.name == arguments["pool"]), None)
        form = form_of(pool, arguments["format"]) if pool is not None else arguments["format"]
        if vm.power_state in ACTIVE:
            lines = copy_lines(vm.name, arguments, form, volume.capacity if volume is not None else 0)
        else:
            pools = ["--inputpool", volume.pool.name] if volume is not None else []
            made = ["vol-create-from", arguments["pool"], "volume.xml", volume.name if volume else source, *pools]
            lines = [line(*made), virsh("edit", subject)]
        if arguments["delete_source"]:
            lines.append(line("vol-delete", source))
        return "\n".join(lines)

    def run(self, task: Task) -> dict[str, Any]:
        move = self._move(task)
        return self._finish(task, move, move.run())

    def recover(self, task: Task) -> dict[str, Any]:
        move = self._move(task)
        return self._finish(task, move, move.recover()) | {"recovered": True}

    def _move(self, task: Task) -> Move:
        vm = VirtualMachine.objects.select_related("host").get(pk=task.uuid)
        pool = StoragePool.objects.filter(host=task.host, name=task.arguments["pool"], absent_since=None).first()
        if pool is None:
            raise Refused(_("kvmdash does not know this pool any more; nothing was done."))
        return Move(task, vm, pool, form_of(pool, task.arguments["format"]))

    def _finish(self, task: Task, move: Move, path: str) -> dict[str, Any]:
        """The guest has left the old volume: delete it where that was asked for and nobody else has come to it."""
        source = str(task.operation.progress.get("source", ""))
        result = {"source": path, "before": source}
        if not task.arguments["delete_source"]:
            return result
        volume = disks.volume_of(move.vm, source)
        pool_uuid, name = (str(volume.pool.uuid), volume.name) if volume is not None else ("", "")
        others = named_by(task, pool_uuid, name, source) if volume is not None else []
        if volume is None or others:
            why = told(others) or _("It lies in no pool that kvmdash knows.")
            raise Failed(
                say("The disk is moved; the old volume %(disk)s is still there: %(why)s", disk=source, why=why)
            )
        if not delete_volume(task, pool_uuid, name, source):
            raise Failed(say("The disk is moved; the old volume %(disk)s could not be deleted.", disk=source))
        return result | {"deleted": source}


def form_of(pool: StoragePool, wanted: str) -> str:
    """The format of the copy: as wanted, where the pool lets choose. Raises InvalidArguments."""
    known = disks.formats_of(pool)
    if not wanted:
        return known[0] if known else "raw"
    if wanted not in known:
        raise NotNow(
            "format", _("A pool of type %(type)s knows no %(format)s.") % {"type": pool.type, "format": wanted}
        )
    return wanted


def why_kept(vm: VirtualMachine, volume: StorageVolume) -> str:
    """Why the volume that the guest leaves cannot be deleted; '' when it can."""
    use = use_of([volume])[volume.pk]
    others = list(dict.fromkeys(user.name for user in use.users if user.owner != vm.uuid))
    if others:
        return _("%(names)s uses it too.") % {"names": told(others)}
    if use.overlays:
        return _("Other volumes lie on it: %(names)s.") % {"names": told([one.name for one in use.overlays])}
    return ""
