"""Make a disk larger, while the guest runs or while it is off."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from hosts.models import StorageVolume
from hosts.operations.kind import Refused, Subject, Uncertain
from hosts.operations.presenter import size
from hosts.operations.storage_base import NotNow, follow
from hosts.operations.storage_base import virsh as line
from hosts.operations.task import Task
from hosts.operations.volume_base import look_again, only, refuse_below, size_of
from hosts.storage_types import type_of
from vms import disks
from vms.models import VirtualMachine
from vms.operations.base import PowerState, virsh
from vms.operations.disk import ACTIVE, DiskKind, clean_target


class BlockResize(DiskKind):
    """Give the disk ``target`` a ``capacity`` in bytes. Larger only: what lies beyond a new end would be lost."""

    name = "block-resize"
    label = gettext_lazy("Enlarge a disk")
    verb = "vm.block_resize"
    needs = (PowerState.RUNNING, PowerState.PAUSED, PowerState.SHUTOFF, PowerState.CRASHED)
    defines = False

    def clean(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        only(self.name, arguments, ("target", "capacity"))
        return {"target": clean_target(arguments), "capacity": size_of(arguments)}

    def check_disk(
        self, vm: VirtualMachine, disk: disks.Disk, volume: StorageVolume | None, arguments: dict[str, Any]
    ) -> None:
        if disk["type"] == "block" or (volume is not None and not type_of(volume.pool.type).resizes):
            raise Refused(_("Its size is that of a device: it is made larger where the device is made."))
        if volume is None:
            if vm.power_state not in ACTIVE:
                raise Refused(
                    _("It lies in no pool that kvmdash knows: it can be made larger only while the guest runs.")
                )
            return
        if disks.is_busy(volume.pool, volume.name):
            raise Refused(_("%(disk)s is being changed just now.") % {"disk": volume.name})
        refuse_below(volume)
        wanted = arguments["capacity"]
        if wanted <= volume.capacity:
            raise NotNow("capacity", too_small(volume.capacity))
        if volume.format == "raw" and wanted - volume.capacity > volume.pool.available:
            raise NotNow("capacity", _("Only %(free)s are free there.") % {"free": size(volume.pool.available)})

    def virsh(self, subject: Subject, arguments: dict[str, Any]) -> str:
        target, wanted = arguments["target"], f"{arguments['capacity']}B"
        if subject.row.power_state in ACTIVE:
            return virsh("blockresize", subject, target, wanted)
        source = (disks.find(subject.row, target) or {}).get("source", "")
        return line("vol-resize", source, wanted)

    def run(self, task: Task) -> dict[str, Any]:
        from hosts.hypervisor.block import Blocks, begin_volume_resize

        target, wanted = task.arguments["target"], task.arguments["capacity"]
        with task.looking():
            active = self.guest(task).state()[0] in ACTIVE
            source = self._path(task)
            before = self._capacity(task, source, active)
        if wanted <= before:
            raise Refused(too_small(before))
        connection = task.connection
        call = (
            Blocks(connection, task.uuid).begin_resize(target, wanted)
            if active
            else begin_volume_resize(connection, source, wanted)
        )
        try:
            follow(task, connection, call)
        finally:
            self._look_again(task)
        return {"capacity": self._capacity(task, source, active), "before": before}

    def recover(self, task: Task) -> dict[str, Any]:
        self._look_again(task)
        active = self.guest(task).state()[0] in ACTIVE
        now = self._capacity(task, self._path(task), active)
        if now >= task.arguments["capacity"]:
            return {"capacity": now, "recovered": True}
        raise Uncertain(
            _("kvmdash was interrupted while resizing; it is %(size)s now. Ask again.") % {"size": size(now)}
        )

    def _path(self, task: Task) -> str:
        """The path of the disk's volume, as libvirt finds it by; raises Refused when the guest has no such disk."""
        source = self.source_now(task)
        if not source:
            raise Refused(_("The guest has no such disk by now; nothing was done."))
        if source.startswith("/"):
            return source
        volume = disks.volume_of(VirtualMachine.objects.select_related("host").get(pk=task.uuid), source)
        return volume.path if volume is not None else source

    def _capacity(self, task: Task, path: str, active: bool) -> int:
        from hosts.hypervisor.block import Blocks, volume_capacity

        if active:
            return Blocks(task.connection, task.uuid).capacity(task.arguments["target"])
        return volume_capacity(task.connection, path)

    def _look_again(self, task: Task) -> None:
        vm = VirtualMachine.objects.select_related("host").filter(pk=task.uuid).first()
        disk = disks.find(vm, task.arguments["target"]) if vm is not None else None
        volume = disks.volume_of(vm, disk["source"]) if vm is not None and disk is not None else None
        if volume is not None:
            look_again(volume.pool)


def too_small(now: int) -> str:
    """Why a size is not taken."""
    return _("It is %(size)s now, and is only made larger: what lies beyond a new end would be lost.") % {
        "size": size(now)
    }
