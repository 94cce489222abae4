"""Boot the guest, or restore its saved memory when it has one."""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext_lazy as _

from hosts import fillings
from hosts.operations.kind import Refused, Subject
from hosts.operations.task import Task
from vms import linked
from vms.operations.base import PowerState, StateKind, virsh
from vms.operations.own_flag import refuse_template


class Start(StateKind):
    """Boot the guest, or restore its saved memory when it has one."""

    name = "start"
    label = _("Start")
    verb = "vm.start"
    needs = (PowerState.SHUTOFF, PowerState.CRASHED)
    becomes = (PowerState.RUNNING, PowerState.PAUSED)

    def virsh(self, subject: Subject, arguments: dict[str, Any]) -> str:
        return virsh("start", subject)

    def check(self, subject: Subject, arguments: dict[str, Any]) -> None:
        super().check(subject, arguments)
        refuse_template(subject.row)
        if why := linked.why_no_start(subject.row):
            raise Refused(why)

    def change(self, task: Task) -> None:
        operation = task.operation
        if why := fillings.not_whole_of(operation.subject_uuid, operation.host):
            raise Refused(why)
        self.guest(task).start()
