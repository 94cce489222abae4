"""Make a guest: its volumes, its seed, its definition. What ends half-way takes back what it made, and says so."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from hosts.hypervisor.errors import Failed, HypervisorError, Unreachable
from hosts.hypervisor.sentences import say
from hosts.models import Operation, OperationSecret, User
from hosts.operations.kind import Cancelled, Kind, Refused, Subject
from hosts.operations.seen import until_seen
from hosts.operations.storage_base import NotNow
from hosts.operations.task import Task
from vms.creation import command, wanted
from vms.creation.checks import review
from vms.creation.copying import OFF
from vms.creation.plan import Plan
from vms.creation.planning import plan
from vms.creation.wanted import Place
from vms.deleting import keeps
from vms.models import VirtualMachine
from vms.operations.base import PowerState
from vms.operations.making import Making, take_back
from vms.operations.volume_read_ova import refuse_changed


class Create(Kind):
    """Make a guest of that ``name`` by one of five roads; see vms.creation.wanted for what each takes."""

    name = wanted.KIND
    label = gettext_lazy("New guest")
    verb = "vm.create"
    role = User.Role.OPERATOR
    cancellable = True
    own_connection = True
    many = False

    def subject(self, row: Place) -> Subject:
        return Subject(host=row.host, name=row.name, row=row, uuid=row.uuid)

    def clean(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        return wanted.clean(arguments)

    def keep(self, operation: Operation, given: Mapping[str, Any]) -> None:
        secrets = wanted.secrets_of(given)
        if secrets:
            OperationSecret.objects.create(operation=operation, sealed=json.dumps(secrets))

    def forget(self, operation: Operation) -> None:
        OperationSecret.objects.filter(operation=operation).delete()

    def check(self, subject: Subject, arguments: dict[str, Any]) -> None:
        for finding in review(subject.row, arguments).wrong:
            raise NotNow(finding.field, finding.text)

    def virsh(self, subject: Subject, arguments: dict[str, Any]) -> str:
        try:
            return command.command(plan(subject.row.host, subject.row.uuid, arguments))
        except NotNow:
            return ""

    def run(self, task: Task) -> dict[str, Any]:
        made = plan(task.host, uuid.UUID(task.uuid), task.arguments)
        making = Making(task, made, _secrets(task.operation))
        with task.looking():
            _look(task, made)
            making.refuse_taken()
            making.refuse_used()
        try:
            making.make()
        except Unreachable:
            raise  # Looked at by recover(), as soon as the host is there again.
        except (HypervisorError, Cancelled) as error:
            left = take_back(task)
            error.args = (_told(error, left), *error.args[1:])
            raise
        return self._finish(task, made)

    def _finish(self, task: Task, made: Plan) -> dict[str, Any]:
        """It is there: whatever goes wrong now, it stays."""
        guest = _guest(task)
        try:
            if task.arguments.get("autostart"):
                guest.set_autostart(True)
            if task.arguments.get("start"):
                has_variables, _tpm = keeps(guest.definition(inactive=True))
                begin = guest.start_afresh if has_variables else guest.start
                begin()
                task.log(say("It is started."))
        except Unreachable:
            raise
        except HypervisorError as error:
            raise Failed(
                say("The guest is made and stays; it could not be started: %(why)s", why=error),
                code=error.code, domain=error.domain, detail=error.detail,
            ) from error  # fmt: skip
        until_seen(task, VirtualMachine.objects.filter(pk=task.uuid, absent_since=None))
        return {"uuid": task.uuid, "name": made.frame.name}

    def recover(self, task: Task) -> dict[str, Any]:
        with task.looking():
            if _guest(task).exists():
                state, _reason = _guest(task).state()
                if task.arguments.get("start") and state != PowerState.RUNNING:
                    task.log(say("kvmdash was interrupted; the guest is made, and not started."), "warning")
                return {"uuid": task.uuid, "name": task.operation.subject_name, "recovered": True}
        left = take_back(task)
        raise Failed(_told(say("kvmdash was interrupted before the guest was made."), left))


def _guest(task: Task) -> Any:
    from hosts.hypervisor.guest import Guest

    return Guest(task.connection, task.uuid)


def _look(task: Task, made: Plan) -> None:
    """Look at the host itself, right before anything is made."""
    from hosts.hypervisor.guest import Guest, is_name_taken

    if is_name_taken(task.connection, made.frame.name):
        raise Refused(_("There is a guest of that name by now; nothing was done."))
    for source in {volume.source for volume in made.volumes if volume.how == "unpack" and volume.source is not None}:
        refuse_changed(task, source)
    if made.text:
        state, _reason = Guest(task.connection, task.arguments["source"]).state()
        if state not in OFF:
            raise Refused(
                _("The guest to copy is %(state)s by now; nothing was done.") % {"state": PowerState(state).label}
            )


def _secrets(operation: Operation) -> dict[str, str]:
    row = OperationSecret.objects.filter(operation=operation).first()
    return json.loads(row.sealed.open()) if row is not None else {}


def _told(error: object, left: list[str]) -> str:
    """What went wrong, and what has become of what was made."""
    why = f"{str(error).rstrip().rstrip('.')}."
    if left:
        return say("%(why)s These are still there, and nobody's: %(left)s.", why=why, left=", ".join(left))
    return say("%(why)s What was made of it has been removed again.", why=why)
