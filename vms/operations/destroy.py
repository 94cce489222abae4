"""Pull the guest's plug. What it has not written to disk is lost."""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext_lazy as _

from hosts.operations.kind import Subject
from hosts.operations.task import Task
from vms.operations.base import PowerState, StateKind, virsh


class Destroy(StateKind):
    """Pull the guest's plug. What it has not written to disk is lost."""

    name = "destroy"
    label = _("Force off")
    verb = "vm.destroy"
    of_copies = True
    needs = (PowerState.RUNNING, PowerState.PAUSED, PowerState.CRASHED, PowerState.PMSUSPENDED, PowerState.MIGRATING)
    becomes = (PowerState.SHUTOFF,)

    def virsh(self, subject: Subject, arguments: dict[str, Any]) -> str:
        return virsh("destroy", subject)

    def change(self, task: Task) -> None:
        self.guest(task).destroy()
