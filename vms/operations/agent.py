"""What the kinds that speak with the guest agent have in common."""

from __future__ import annotations

import time
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, TypeVar

from hosts.hypervisor.errors import Failed, Unreachable
from hosts.hypervisor.sentences import say
from hosts.operations.kind import Refused, Subject
from hosts.operations.task import Task
from vms.agent import why_no_agent
from vms.operations.base import GuestKind, PowerState

if TYPE_CHECKING:
    from hosts.hypervisor.agent import Agent

T = TypeVar("T")
#: seconds after which an agent that has not answered is given up
PATIENCE = 60.0
LOOK_SECONDS = 0.3


class AgentKind(GuestKind):
    """Base of them: the guest runs, and its agent answers."""

    needs = (PowerState.RUNNING,)
    defines = False
    own_place = True
    # An agent may hang: it must not take the connection of others with it.
    own_connection = True

    def check(self, subject: Subject, arguments: dict[str, Any]) -> None:
        super().check(subject, arguments)
        if why := why_no_agent(subject.row):
            raise Refused(why)

    def agent(self, task: Task) -> Agent:
        """The live handle; imported late, so that pages never load libvirt."""
        from hosts.hypervisor.agent import Agent

        return Agent(task.connection, task.uuid)


def answer(task: Task, agent: Agent, future: Future[T]) -> T:
    """Wait for what the agent says. Raises Failed when it says nothing, Unreachable when the host is lost meanwhile."""
    until = time.monotonic() + PATIENCE
    task.wake_when(future)
    while not future.done():
        if not agent.connection.is_alive:
            raise Unreachable(say("The connection to the host was lost."))
        if time.monotonic() > until:
            raise Failed(say("The guest agent has not answered within %(n)s seconds.", n=int(PATIENCE)))
        task.wait(LOOK_SECONDS)
    outcome: T = agent.connection.outcome(future)
    return outcome
