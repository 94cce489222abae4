"""Delete a volume."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from hosts import fillings
from hosts.models import StorageVolume
from hosts.operations.kind import Refused, Subject, Uncertain
from hosts.operations.storage_base import follow, told, virsh
from hosts.operations.task import Task
from hosts.operations.volume_base import (
    VolumeKind,
    find_volume,
    look_again,
    named_on_host,
    only,
    use,
    volumes_of,
)


class VolumeDelete(VolumeKind):
    """Delete the volume and what is in it. One that is used only with ``confirm``, its name, typed."""

    name = "volume-delete"
    label = gettext_lazy("Delete volume")
    verb = "volume.delete"

    def clean(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        only(self.name, arguments, ("confirm",))
        return {"confirm": str(arguments.get("confirm") or "")[:1000]}

    def check(self, subject: Subject, arguments: dict[str, Any]) -> None:
        super().check(subject, arguments)
        row: StorageVolume = subject.row
        names = use(row).names
        if names and arguments["confirm"] != row.name:
            raise Refused(
                _("It is used by %(names)s. Type its name to delete it all the same.") % {"names": told(names)}
            )

    def virsh(self, subject: Subject, arguments: dict[str, Any]) -> str:
        row: StorageVolume = subject.row
        return virsh("vol-delete", row.name, "--pool", row.pool.name)

    def run(self, task: Task) -> dict[str, Any]:
        row = self.volume(task)
        names = named_on_host(task, row)
        if names and task.arguments["confirm"] != row.name:
            raise Refused(_("It is used by %(names)s by now; nothing was done.") % {"names": told(names)})
        volumes = volumes_of(task, row.pool)
        try:
            follow(task, volumes.connection, volumes.begin_delete(row.name))
        finally:
            look_again(row.pool)
        return _forget(row)

    def recover(self, task: Task) -> dict[str, Any]:
        row = find_volume(task.operation)
        if row is None:
            return {"deleted": True, "recovered": True}
        look_again(row.pool)
        if not volumes_of(task, row.pool).exists(row.name):
            return _forget(row) | {"recovered": True}
        raise Uncertain(_("kvmdash was interrupted while deleting; the volume is still there. Ask again."))


def _forget(row: StorageVolume) -> dict[str, Any]:
    """Remove its rows, also those of other hosts that shared it."""
    rows = StorageVolume.objects.filter(pk=row.pk)
    if row.pool.shared_key:
        rows = StorageVolume.objects.filter(pool__shared_key=row.pool.shared_key, name=row.name)
    fillings.gone({other.pool for other in rows.select_related("pool")}, [row.name])
    rows.delete()
    return {"deleted": True}
