"""Shut the guest down and start it again, so that it has what waits for its next boot. Nothing is forced."""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from hosts.hypervisor.errors import Failed, HypervisorError, NotFound, Unreachable
from hosts.hypervisor.sentences import say
from hosts.operations.kind import Refused, Subject, Uncertain
from hosts.operations.task import Task
from vms.definition.changes import Difference
from vms.definition.domain import Definition
from vms.hardware.reading import pending
from vms.history import words
from vms.models import VirtualMachine
from vms.operations.base import PowerState, until_seen, virsh
from vms.operations.own_flag import refuse_template
from vms.operations.shutdown import Shutdown


class Restart(Shutdown):
    """Ask it to shut down, wait up to ``wait`` seconds, and start it. When it does not obey, it runs on as it was."""

    name = "restart"
    label = gettext_lazy("Shut down and start")
    verb = "vm.restart"
    of_copies = False

    def check(self, subject: Subject, arguments: dict[str, Any]) -> None:
        super().check(subject, arguments)
        vm: VirtualMachine = subject.row
        refuse_template(vm)
        if not vm.persistent:
            raise Refused(_("%(name)s is forgotten when it stops: it has no stored definition.") % {"name": vm.name})

    def virsh(self, subject: Subject, arguments: dict[str, Any]) -> str:
        return f"{virsh('shutdown', subject)}\n{virsh('start', subject)}"

    def run(self, task: Task) -> dict[str, Any]:
        with task.looking():
            task.progress(now=True, began_as=self._run(task))
        try:
            result = super().run(task)
        except Failed as error:
            text = say("%(text)s It runs on as it was, and what waits for its next boot goes on waiting.", text=error)
            raise Failed(text) from error
        task.log(say("It is off, and is started."))
        return {**result, **self._start(task)}

    def recover(self, task: Task) -> dict[str, Any]:
        """Where it is off it is started, as was asked; where it runs anew it was done; else it is waited for."""
        began = task.operation.progress.get("began_as")
        if began is not None and self._run(task) not in (None, began):
            return {"left": len(self._waits(task)), "recovered": True}
        result = super().recover(task)
        return {**result, **self._start(task), "recovered": True}

    def _run(self, task: Task) -> int | None:
        """The number that libvirt gave to this run of the guest; None while it is off."""
        return Definition.parse(self.guest(task).definition()).id

    def _start(self, task: Task) -> dict[str, Any]:
        guest = self.guest(task)
        try:
            if guest.state()[0] != PowerState.RUNNING:
                guest.start()
        except (Unreachable, NotFound):
            raise
        except HypervisorError as error:
            text = say("It was shut down and does not start, so that it is off now: %(why)s", why=error)
            raise type(error)(text, code=error.code, domain=error.domain, detail=error.detail) from error
        until_seen(task, (PowerState.RUNNING,))
        left = self._waits(task)
        for change in left:
            task.log(say("Even after this it differs: %(what)s", what=words(change)), "warning")
        return {"left": len(left)}

    def _waits(self, task: Task) -> list[Difference]:
        """What of its definition the running guest has not."""
        guest = self.guest(task)
        try:
            return pending(guest.definition(), guest.definition(inactive=True))
        except NotFound as error:
            raise Uncertain(str(error)) from error
