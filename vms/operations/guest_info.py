"""Ask the guest agent what it knows: operating system, users, file systems, addresses."""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext_lazy

from hosts.operations.kind import Subject
from hosts.operations.task import Task
from vms.operations.agent import AgentKind, answer
from vms.operations.base import virsh


class GuestInfo(AgentKind):
    """Changes nothing. The result's ``told`` is what hosts.hypervisor.agent.facts says of the answer."""

    name = "guest-info"
    label = gettext_lazy("Ask the guest agent")
    verb = "vm.guest_info"
    exclusive = False
    changes = False

    def virsh(self, subject: Subject, arguments: dict[str, Any]) -> str:
        return virsh("guestinfo", subject)

    def run(self, task: Task) -> dict[str, Any]:
        agent = self.agent(task)
        return {"told": answer(task, agent, agent.begin_info())}

    recover = run
