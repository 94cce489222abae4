"""Start the guest with its host, or not."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from hosts.operations.kind import InvalidArguments, Refused, Subject, no_argument
from hosts.operations.task import Task
from vms.operations.base import GuestKind, virsh

WORDS = {"true": True, "on": True, "1": True, "false": False, "off": False, "0": False}


class Autostart(GuestKind):
    """Set or clear autostart (argument ``enabled``)."""

    name = "autostart"
    label = gettext_lazy("Autostart")
    verb = "vm.autostart"
    defines = False

    def clean(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        unknown = set(arguments) - {"enabled"}
        if unknown:
            raise InvalidArguments(min(unknown), no_argument("autostart", min(unknown)))
        value = arguments.get("enabled", True)
        enabled = value if isinstance(value, bool) else WORDS.get(str(value).lower())
        if enabled is None:
            raise InvalidArguments("enabled", _("Say true or false."))
        return {"enabled": enabled}

    def check(self, subject: Subject, arguments: dict[str, Any]) -> None:
        super().check(subject, arguments)
        if not subject.row.persistent:
            raise Refused(_("A transient guest cannot start with its host."))

    def virsh(self, subject: Subject, arguments: dict[str, Any]) -> str:
        return virsh("autostart", subject, *([] if arguments["enabled"] else ["--disable"]))

    def run(self, task: Task) -> dict[str, Any]:
        self.guest(task).set_autostart(task.arguments["enabled"])
        return {"enabled": task.arguments["enabled"]}

    # Setting the same value twice is the same as setting it once.
    recover = run
