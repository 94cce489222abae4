"""Throw a saved memory image away."""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext_lazy as _

from hosts.operations.kind import Refused, Subject, Uncertain
from hosts.operations.task import Task
from vms.operations.base import GuestKind, PowerState, virsh


class ManagedSaveRemove(GuestKind):
    """The next start boots instead of going on. What was only in the saved memory is lost."""

    name = "managed-save-remove"
    label = _("Discard saved memory")
    verb = "vm.managed_save_remove"
    defines = False
    needs = (PowerState.SHUTOFF,)

    def check(self, subject: Subject, arguments: dict[str, Any]) -> None:
        super().check(subject, arguments)
        if not subject.row.managed_save:
            raise Refused(_("There is no saved memory."))

    def virsh(self, subject: Subject, arguments: dict[str, Any]) -> str:
        return virsh("managedsave-remove", subject)

    def run(self, task: Task) -> dict[str, Any]:
        self.require_state(task, self.needs)
        self.guest(task).managed_save_remove()
        return {}

    def recover(self, task: Task) -> dict[str, Any]:
        if not self.guest(task).has_managed_save():
            return {"recovered": True}
        raise Uncertain(_("kvmdash was interrupted; the saved memory is still there."))
