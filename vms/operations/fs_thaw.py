"""Let the guest's file systems go on, whoever had them stand still."""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext_lazy

from hosts.operations.kind import Subject
from hosts.operations.task import Task
from vms.operations.agent import AgentKind, answer
from vms.operations.base import virsh


class FsThaw(AgentKind):
    """For file systems that somebody else froze; our own freezing ends by itself."""

    name = "fs-thaw"
    label = gettext_lazy("Thaw file systems")
    verb = "vm.fs_freeze"

    def virsh(self, subject: Subject, arguments: dict[str, Any]) -> str:
        return virsh("domfsthaw", subject)

    def run(self, task: Task) -> dict[str, Any]:
        agent = self.agent(task)
        return {"thawed": answer(task, agent, agent.begin_thaw())}

    # Those that go on already go on.
    recover = run
