"""What the kinds on one disk of a guest have in common: the disk is named by its target, and must be one that it writes to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.utils.translation import gettext as _

from hosts.models import StorageVolume
from hosts.operations.kind import InvalidArguments, Refused, Subject
from hosts.operations.storage_base import NotNow
from hosts.operations.task import Task
from vms import disks
from vms.definition.domain import Definition
from vms.definition.xml import MalformedDefinition
from vms.models import VirtualMachine
from vms.operations.base import GuestKind, PowerState

ACTIVE = (PowerState.RUNNING, PowerState.PAUSED)


def clean_target(arguments: Mapping[str, Any]) -> str:
    """The argument ``target``, such as vda. Raises InvalidArguments."""
    target = str(arguments.get("target") or "").strip()
    if not target.isalnum() or len(target) > 40:
        raise InvalidArguments("target", _("Say which disk, such as vda."))
    return target


class DiskKind(GuestKind):
    """Base of the kinds that act on a disk the guest has. Which one is asked beside the disk, so never of many guests."""

    many = False
    own_connection = True

    def check(self, subject: Subject, arguments: dict[str, Any]) -> None:
        super().check(subject, arguments)
        vm: VirtualMachine = subject.row
        found = disks.find(vm, arguments["target"])
        if found is None:
            raise NotNow(
                "target",
                _("%(guest)s has no disk called %(name)s.") % {"guest": vm.name, "name": arguments["target"]},
            )
        if found["device"] != "disk":
            raise Refused(_("%(name)s is a drive for media, not a disk.") % {"name": found["target"]})
        if found["readonly"]:
            raise Refused(_("The guest only reads %(name)s.") % {"name": found["target"]})
        self.check_disk(vm, found, disks.volume_of(vm, found["source"]), arguments)

    def check_disk(
        self, vm: VirtualMachine, disk: disks.Disk, volume: StorageVolume | None, arguments: dict[str, Any]
    ) -> None:
        """Raises Refused when it is not possible with this one; ``volume`` is the one it lies on, where a pool holds it."""

    def source_now(self, task: Task) -> str:
        """Where the disk's bytes are by what the host says now; '' when the guest has no such disk any more."""
        return where(self.guest(task).definition(), task.arguments["target"])


def where(definition: str, target: str) -> str:
    """Where the disk called ``target`` has its bytes."""
    try:
        found = Definition.parse(definition).devices.disks
    except MalformedDefinition:
        return ""
    return next((disk.where for disk in found if disk.target.dev == target), "")
