"""Copy a volume whole."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from hosts import fillings
from hosts.hypervisor.errors import Failed
from hosts.hypervisor.sentences import say
from hosts.models import Operation, StorageVolume
from hosts.operations.kind import Refused, Subject
from hosts.operations.presenter import size
from hosts.operations.storage_base import NotNow, virsh
from hosts.operations.task import Task
from hosts.operations.volume_base import (
    VolumeKind,
    follow_growth,
    lock_of_volume,
    look_again,
    new_name,
    only,
    refuse_long,
    refuse_open,
    refuse_taken,
    until_seen,
    volumes_of,
    wait_until_made,
)
from hosts.storage_types import type_of
from hosts.storage_volume_xml import volume


class VolumeClone(VolumeKind):
    """Copy the volume whole to a new one of the same pool, under ``name``. The copy lies on nothing."""

    name = "volume-clone"
    label = gettext_lazy("Copy volume")
    verb = "volume.clone"

    def clean(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        only(self.name, arguments, ("name",))
        return {"name": new_name(arguments)}

    def check(self, subject: Subject, arguments: dict[str, Any]) -> None:
        super().check(subject, arguments)
        row: StorageVolume = subject.row
        if not type_of(row.pool.type).creates:
            raise Refused(_("Volumes of a pool of type %(type)s are not made by libvirt.") % {"type": row.pool.type})
        refuse_open(row)
        if why := fillings.why_not_whole(row):
            raise Refused(why)
        name = arguments["name"]
        refuse_taken(row.pool, name)
        refuse_long(row.pool, name)
        busy = Operation.objects.filter(subject_uuid=lock_of_volume(row.pool, name), state__in=Operation.ACTIVE)
        if busy.exists():
            raise NotNow("name", _("A volume of that name is being made or changed just now."))
        if row.allocation > row.pool.available:
            raise Refused(_("Only %(free)s are free there.") % {"free": size(row.pool.available)})

    def virsh(self, subject: Subject, arguments: dict[str, Any]) -> str:
        row: StorageVolume = subject.row
        return virsh("vol-clone", row.name, arguments["name"], "--pool", row.pool.name)

    def run(self, task: Task) -> dict[str, Any]:
        row, name = self.volume(task), task.arguments["name"]
        with task.looking():
            volumes = volumes_of(task, row.pool)
            if volumes.exists(name):
                raise Refused(_("There is a volume of that name by now; nothing was done."))
            record = volumes.read(row.name)
        volumes = volumes_of(task, row.pool)
        form = "" if len(type_of(row.pool.type).creates) == 1 else record.format or "raw"
        text = volume(name, record.capacity, form)
        try:
            follow_growth(task, volumes, volumes.begin_clone(text, row.name), name, record.allocation)
        finally:
            look_again(row.pool)
        until_seen(task, row.pool, name)
        return {"path": volumes.read(name).path, "name": name}

    def recover(self, task: Task) -> dict[str, Any]:
        row, name = self.volume(task), task.arguments["name"]
        volumes = volumes_of(task, row.pool)
        look_again(row.pool)
        if not volumes.exists(name):
            raise Failed(say("kvmdash was interrupted before the copy was made; nothing of it is there."))
        wait_until_made(task, volumes, name)
        return {"path": volumes.read(name).path, "name": name, "recovered": True}
