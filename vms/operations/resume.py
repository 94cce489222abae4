"""Let a paused guest run on."""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext_lazy as _

from hosts.operations.kind import Subject
from hosts.operations.task import Task
from vms.operations.base import PowerState, StateKind, virsh


class Resume(StateKind):
    """Let a paused guest run on."""

    name = "resume"
    label = _("Resume")
    verb = "vm.resume"
    needs = (PowerState.PAUSED, PowerState.PMSUSPENDED)
    becomes = (PowerState.RUNNING,)

    def virsh(self, subject: Subject, arguments: dict[str, Any]) -> str:
        return virsh("resume", subject)

    def change(self, task: Task) -> None:
        self.guest(task).resume()
