"""Make a guest a template, or a guest again."""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from hosts.operations.kind import Refused, Subject
from vms import linked
from vms.operations.base import PowerState
from vms.operations.own_flag import FlagKind


class MarkTemplate(FlagKind):
    """Set or clear the mark (argument ``enabled``); a template is copied, and not started."""

    name = "template"
    label = gettext_lazy("Template")
    verb = "vm.template"
    flag = "template"

    def check(self, subject: Subject, arguments: dict[str, Any]) -> None:
        super().check(subject, arguments)
        if not arguments.get("enabled", True) and (why := linked.why_no_start(subject.row)):
            raise Refused(why)
        if arguments.get("enabled", True) and subject.row.power_state not in (PowerState.SHUTOFF, PowerState.CRASHED):
            raise Refused(_("A template is off; %(name)s is not.") % {"name": subject.name})
