"""Press the reset button: the guest starts over at once, without being asked."""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext_lazy as _

from hosts.operations.kind import Subject, Uncertain
from hosts.operations.task import Task
from vms.operations.base import GuestKind, PowerState, virsh


class Reset(GuestKind):
    """Reset the running guest."""

    name = "reset"
    label = _("Reset")
    verb = "vm.reset"
    defines = False
    needs = (PowerState.RUNNING, PowerState.PAUSED)

    def virsh(self, subject: Subject, arguments: dict[str, Any]) -> str:
        return virsh("reset", subject)

    def run(self, task: Task) -> dict[str, Any]:
        self.require_state(task, self.needs)
        self.guest(task).reset()
        return {}

    def recover(self, task: Task) -> dict[str, Any]:
        raise Uncertain(_("kvmdash was interrupted; whether the guest was reset cannot be told from outside."))
