"""Read what is in an appliance: its descriptor, and where its disks lie. Nothing is unpacked and nothing is changed."""

from __future__ import annotations

from functools import partial
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from hosts import fillings
from hosts.models import StorageVolume
from hosts.operations.kind import Refused, Subject
from hosts.operations.storage_base import virsh
from hosts.operations.task import Task
from hosts.operations.volume_base import VolumeKind
from vms.appliance.errors import BadAppliance
from vms.appliance.reading import read
from vms.creation import appliances, databases


class VolumeReadOva(VolumeKind):
    """Read the appliance (.ova) that the volume is: the result's ``appliance`` is what is in it, ``suggested`` what to ask for."""

    name = appliances.READS
    label = gettext_lazy("Read appliance")
    verb = "volume.read_ova"
    exclusive = False
    changes = False

    def check(self, subject: Subject, arguments: dict[str, Any]) -> None:
        super().check(subject, arguments)
        row: StorageVolume = subject.row
        if why := fillings.why_not_whole(row):
            raise Refused(why)

    def virsh(self, subject: Subject, arguments: dict[str, Any]) -> str:
        row: StorageVolume = subject.row
        return virsh("vol-download", row.name, "/dev/stdout", "--pool", row.pool.name) + " | tar -xO '*.ovf'"

    def run(self, task: Task) -> dict[str, Any]:
        row = self.volume(task)
        try:
            found = read_now(task, row)
        except BadAppliance as error:
            raise Refused(str(error)) from None
        return {
            "version": appliances.version_of(row),
            "image": f"{row.pool.name}/{row.name}",
            "appliance": found.plain(),
            "suggested": appliances.suggestion(found, databases.current()),
        }

    recover = run


def read_now(task: Task, row: StorageVolume) -> Any:
    """What is in the volume at this moment. Raises BadAppliance, or a HypervisorError."""
    from hosts.hypervisor.volume_stream import length_of, read_range

    place = (task.connection, str(row.pool.uuid), row.name)
    return read(partial(read_range, *place), length_of(*place))


def refuse_changed(task: Task, row: StorageVolume) -> None:
    """Raises Refused when the appliance is not what it was when it was read."""
    try:
        now = read_now(task, row)
    except BadAppliance as error:
        raise Refused(str(error)) from None
    if now != appliances.reading_of(row):
        raise Refused(_("%(name)s has changed since it was read; read it again.") % {"name": row.name})
