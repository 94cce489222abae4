"""Overwrite what is in a volume."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from hosts.models import StorageVolume
from hosts.operations.kind import InvalidArguments, Refused, Subject, Uncertain
from hosts.operations.storage_base import NotNow, follow, told, virsh
from hosts.operations.task import Task
from hosts.operations.volume_base import (
    VolumeKind,
    look_again,
    named_on_host,
    only,
    refuse_below,
    use,
    volumes_of,
)

ALGORITHMS = ("zero", "random", "nnsa", "dod", "bsi", "gutmann", "schneier", "pfitzner7", "pfitzner33", "trim")


class VolumeWipe(VolumeKind):
    """Overwrite the volume, so that what was in it cannot be read any more. Never one that is used; ``confirm`` is its name."""

    name = "volume-wipe"
    label = gettext_lazy("Wipe volume")
    verb = "volume.wipe"

    def clean(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        only(self.name, arguments, ("algorithm", "confirm"))
        algorithm = str(arguments.get("algorithm") or "zero")
        if algorithm not in ALGORITHMS:
            raise InvalidArguments("algorithm", _("One of %(words)s.") % {"words": ", ".join(ALGORITHMS)})
        return {"algorithm": algorithm, "confirm": str(arguments.get("confirm") or "")[:1000]}

    def check(self, subject: Subject, arguments: dict[str, Any]) -> None:
        super().check(subject, arguments)
        row: StorageVolume = subject.row
        refuse_below(row)
        names = use(row).names
        if names:
            raise Refused(_("Guests use it: %(names)s.") % {"names": told(names)})
        if arguments["confirm"] != row.name:
            raise NotNow("confirm", _("Type its name: what is in it is lost for good."))

    def virsh(self, subject: Subject, arguments: dict[str, Any]) -> str:
        row: StorageVolume = subject.row
        return virsh("vol-wipe", row.name, "--pool", row.pool.name, "--algorithm", arguments["algorithm"])

    def run(self, task: Task) -> dict[str, Any]:
        row = self.volume(task)
        names = named_on_host(task, row)
        if names:
            raise Refused(_("Guests use it by now: %(names)s; nothing was done.") % {"names": told(names)})
        volumes = volumes_of(task, row.pool)
        try:
            follow(task, volumes.connection, volumes.begin_wipe(row.name, task.arguments["algorithm"]))
        finally:
            look_again(row.pool)
        return {"algorithm": task.arguments["algorithm"]}

    def recover(self, task: Task) -> dict[str, Any]:
        look_again(self.volume(task).pool)
        raise Uncertain(_("kvmdash was interrupted while wiping; how far it came cannot be told. Wipe it again."))
