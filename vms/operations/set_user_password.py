"""Give a user of the guest's own system another password, by its agent."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from hosts.models import Operation, OperationSecret
from hosts.operations.kind import InvalidArguments, Refused, Subject
from hosts.operations.task import Task
from hosts.operations.volume_base import only
from vms.operations.agent import AgentKind, answer
from vms.operations.base import virsh

_USER = re.compile(r"[^\s:\x00-\x1f\x7f-\x9f][^:\x00-\x1f\x7f-\x9f]{0,99}\Z")
LONGEST = 500
_PASSWORD = re.compile(rf"[^\x00-\x1f\x7f-\x9f]{{1,{LONGEST}}}\Z")


class SetUserPassword(AgentKind):
    """``user`` exists in the guest; ``password`` is sealed beside the operation and never stands in it."""

    name = "set-user-password"
    label = gettext_lazy("Set a password")
    verb = "vm.set_user_password"
    many = False

    def clean(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        only(self.name, arguments, ("user", "password"))
        user, password = str(arguments.get("user") or ""), arguments.get("password")
        if not _USER.match(user):
            raise InvalidArguments("user", _("The name of a user of the guest, such as root."))
        if not isinstance(password, str) or not _PASSWORD.match(password):
            raise InvalidArguments("password", _("1 to %(most)d characters that can be typed.") % {"most": LONGEST})
        return {"user": user}

    def keep(self, operation: Operation, given: Mapping[str, Any]) -> None:
        OperationSecret.objects.create(operation=operation, sealed=str(given["password"]))

    def forget(self, operation: Operation) -> None:
        OperationSecret.objects.filter(operation=operation).delete()

    def virsh(self, subject: Subject, arguments: dict[str, Any]) -> str:
        return virsh("set-user-password", subject, arguments["user"]) + ' "$PASSWORD"'

    def run(self, task: Task) -> dict[str, Any]:
        stored = OperationSecret.objects.filter(operation=task.operation).first()
        if stored is None:
            raise Refused(_("The password is not known any more; ask again."))
        agent = self.agent(task)
        answer(task, agent, agent.begin_set_password(task.arguments["user"], stored.sealed.open()))
        return {"user": task.arguments["user"]}

    # Setting it twice is the same as setting it once.
    recover = run
