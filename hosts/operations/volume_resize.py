"""Another virtual size for a volume."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from hosts.models import StorageVolume
from hosts.operations.kind import Refused, Subject, Uncertain
from hosts.operations.presenter import size
from hosts.operations.storage_base import NotNow, follow, virsh
from hosts.operations.task import Task
from hosts.operations.volume_base import (
    VolumeKind,
    look_again,
    only,
    refuse_below,
    refuse_open,
    size_of,
    until_seen,
    volumes_of,
)
from hosts.storage_types import type_of


class VolumeResize(VolumeKind):
    """Give the volume a ``capacity`` in bytes. To make it smaller its name must be typed (``confirm``): its end is cut off."""

    name = "volume-resize"
    label = gettext_lazy("Resize volume")
    verb = "volume.resize"

    def clean(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        only(self.name, arguments, ("capacity", "confirm"))
        return {"capacity": size_of(arguments), "confirm": str(arguments.get("confirm") or "")[:1000]}

    def check(self, subject: Subject, arguments: dict[str, Any]) -> None:
        super().check(subject, arguments)
        row: StorageVolume = subject.row
        if not type_of(row.pool.type).resizes or row.is_iso:
            raise Refused(_("libvirt cannot resize this volume."))
        refuse_open(row)
        refuse_below(row)
        wanted = arguments["capacity"]
        if wanted == row.capacity:
            raise NotNow("capacity", _("That is its size now."))
        if wanted < row.capacity and arguments["confirm"] != row.name:
            raise NotNow(
                "confirm",
                _("It is %(size)s now: what lies beyond the new end is lost. Type its name.")
                % {"size": size(row.capacity)},
            )
        if row.format == "raw" and wanted - row.capacity > row.pool.available:
            raise NotNow("capacity", _("Only %(free)s are free there.") % {"free": size(row.pool.available)})

    def virsh(self, subject: Subject, arguments: dict[str, Any]) -> str:
        row: StorageVolume = subject.row
        shrink = ["--shrink"] if arguments["capacity"] < row.capacity else []
        return virsh("vol-resize", row.name, str(arguments["capacity"]), "--pool", row.pool.name, *shrink)

    def run(self, task: Task) -> dict[str, Any]:
        row, wanted = self.volume(task), task.arguments["capacity"]
        with task.looking():
            before = volumes_of(task, row.pool).read(row.name).capacity
        shrink = wanted < before
        if shrink and task.arguments["confirm"] != row.name:
            raise Refused(_("It is %(size)s by now; nothing was done.") % {"size": size(before)})
        volumes = volumes_of(task, row.pool)
        try:
            follow(task, volumes.connection, volumes.begin_resize(row.name, wanted, shrink=shrink))
        finally:
            look_again(row.pool)
        until_seen(task, row.pool, row.name, capacity__gte=wanted, **({"capacity__lt": before} if shrink else {}))
        return {"capacity": wanted, "before": before}

    def recover(self, task: Task) -> dict[str, Any]:
        row = self.volume(task)
        look_again(row.pool)
        now = volumes_of(task, row.pool).read(row.name).capacity
        if now == task.arguments["capacity"]:
            return {"capacity": now, "recovered": True}
        raise Uncertain(
            _("kvmdash was interrupted while resizing; it is %(size)s now. Ask again.") % {"size": size(now)}
        )
