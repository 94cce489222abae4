"""Stop the guest's processors; its memory stays where it is."""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext_lazy as _

from hosts.operations.kind import Subject
from hosts.operations.task import Task
from vms.operations.base import PowerState, StateKind, virsh


class Suspend(StateKind):
    """Stop the guest's processors; its memory stays where it is."""

    name = "suspend"
    label = _("Pause")
    verb = "vm.suspend"
    needs = (PowerState.RUNNING,)
    becomes = (PowerState.PAUSED,)

    def virsh(self, subject: Subject, arguments: dict[str, Any]) -> str:
        return virsh("suspend", subject)

    def change(self, task: Task) -> None:
        self.guest(task).suspend()
