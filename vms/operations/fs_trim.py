"""Have the guest's file systems tell their disks what they do not use, so that thin volumes give it back."""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext_lazy

from hosts.operations.kind import Subject
from hosts.operations.task import Task
from vms.operations.agent import AgentKind, answer
from vms.operations.base import virsh


class FsTrim(AgentKind):
    """Space comes back where the disk has discard='unmap' and its volume is thin."""

    name = "fs-trim"
    label = gettext_lazy("Trim file systems")
    verb = "vm.fs_trim"

    def virsh(self, subject: Subject, arguments: dict[str, Any]) -> str:
        return virsh("domfstrim", subject)

    def run(self, task: Task) -> dict[str, Any]:
        agent = self.agent(task)
        answer(task, agent, agent.begin_trim())
        return {}

    # Trimming again does no harm.
    recover = run
