"""Hold the guest's file systems still for a while, so that what copies its disks from outside copies them whole."""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from hosts.hypervisor.errors import Failed, HypervisorError, Unreachable
from hosts.hypervisor.sentences import say
from hosts.operations.kind import Interrupted, InvalidArguments, Subject
from hosts.operations.task import Task
from hosts.operations.volume_base import only
from vms.operations.agent import AgentKind, answer
from vms.operations.base import virsh

LONGEST = 600
#: seconds that a process which stops waits for the agent
LET_GO_SECONDS = 3.0


class FsFreeze(AgentKind):
    """They are let go after ``seconds`` at the latest, and at once when it is stopped: a guest whose file systems stand still
    for ever is a guest that hangs.
    """

    name = "fs-freeze"
    label = gettext_lazy("Freeze file systems")
    verb = "vm.fs_freeze"
    cancellable = True
    many = False

    def clean(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        only(self.name, arguments, ("seconds",))
        seconds = arguments.get("seconds", 60)
        if isinstance(seconds, bool) or not isinstance(seconds, int) or not 1 <= seconds <= LONGEST:
            raise InvalidArguments("seconds", _("1 to %(most)d seconds.") % {"most": LONGEST})
        return {"seconds": seconds}

    def virsh(self, subject: Subject, arguments: dict[str, Any]) -> str:
        lines = [virsh("domfsfreeze", subject), f"sleep {arguments['seconds']}", virsh("domfsthaw", subject)]
        return "\n".join(lines)

    def run(self, task: Task) -> dict[str, Any]:
        agent, seconds = self.agent(task), task.arguments["seconds"]
        try:
            frozen = answer(task, agent, agent.begin_freeze())
        except Unreachable:
            raise
        except HypervisorError:
            self._thaw(task)  # The agent may have been late: nothing must stand still for it.
            raise
        task.log(say("%(n)s file systems stand still.", n=frozen))
        try:
            self._hold(task, seconds, frozen)
        except Interrupted:
            # This process stops, and nobody knows when the next one comes: a guest must not hang until then.
            with suppress(HypervisorError):  # Whoever takes over tries again, and says what comes of it.
                agent.connection.wait(agent.begin_thaw(), seconds=LET_GO_SECONDS)
            raise
        return {"frozen": frozen, "thawed": self._thaw(task)}

    def _hold(self, task: Task, seconds: int, frozen: int) -> None:
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0 and not task.cancel_requested():
            task.progress(percent=100.0 * (seconds - left) / seconds, frozen=frozen)
            task.wait(min(1.0, left))

    def _thaw(self, task: Task) -> int:
        agent = self.agent(task)
        try:
            thawed = answer(task, agent, agent.begin_thaw())
        except Unreachable:
            raise
        except HypervisorError as error:
            raise Failed(
                say("The file systems may still stand still; they could not be let go: %(why)s", why=error)
            ) from error
        task.log(say("%(n)s file systems go on.", n=thawed))
        return int(thawed)

    def recover(self, task: Task) -> dict[str, Any]:
        """Whatever had come of it, nothing stands still longer than it must."""
        return {"thawed": self._thaw(task), "recovered": True}
