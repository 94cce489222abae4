"""Ask the guest to reboot by itself."""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext_lazy as _

from hosts.operations.kind import Subject, Uncertain
from hosts.operations.task import Task
from vms.operations.base import GuestKind, PowerState, virsh


class Reboot(GuestKind):
    """Ask the running guest to reboot; whether it obeys is up to the guest."""

    name = "reboot"
    label = _("Reboot")
    verb = "vm.reboot"
    defines = False
    needs = (PowerState.RUNNING,)

    def virsh(self, subject: Subject, arguments: dict[str, Any]) -> str:
        return virsh("reboot", subject)

    def run(self, task: Task) -> dict[str, Any]:
        self.require_state(task, self.needs)
        self.guest(task).reboot()
        task.log("The guest was asked to reboot.")
        return {}

    def recover(self, task: Task) -> dict[str, Any]:
        raise Uncertain(
            _("kvmdash was interrupted; whether the guest was asked to reboot cannot be told from outside.")
        )
