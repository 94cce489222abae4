"""Marks that we keep in a guest's own metadata: they are there or not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar

from django.utils.translation import gettext as _

from hosts.operations.kind import InvalidArguments, Refused, Subject, no_argument
from hosts.operations.task import Task
from vms.definition.metadata import NAMESPACE, PREFIX, build, read
from vms.definition.xml import parse
from vms.models import VirtualMachine
from vms.operations.autostart import WORDS
from vms.operations.base import GuestKind, virsh
from vms.operations.metadata import own_metadata_of


class FlagKind(GuestKind):
    """Set or clear a mark (argument ``enabled``)."""

    #: its name in the metadata, and of the guest's column
    flag: ClassVar[str] = ""

    def clean(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        unknown = set(arguments) - {"enabled"}
        if unknown:
            raise InvalidArguments(min(unknown), no_argument(self.name, min(unknown)))
        value = arguments.get("enabled", True)
        enabled = value if isinstance(value, bool) else WORDS.get(str(value).lower())
        if enabled is None:
            raise InvalidArguments("enabled", _("Say true or false."))
        return {"enabled": enabled}

    def virsh(self, subject: Subject, arguments: dict[str, Any]) -> str:
        own = build(replace(own_metadata_of(subject.row), **{self.flag: arguments["enabled"]}))
        change = ["--set", own] if own else ["--remove"]
        return virsh("metadata", subject, NAMESPACE, "--key", PREFIX, *change)

    def run(self, task: Task) -> dict[str, Any]:
        guest, enabled = self.guest(task), task.arguments["enabled"]
        own = replace(read(parse(guest.definition(inactive=True))), **{self.flag: enabled})
        guest.set_own_metadata(build(own))
        return {"enabled": enabled}

    # Setting the same value twice is the same as setting it once.
    recover = run


def refuse_template(vm: VirtualMachine) -> None:
    """Refuse to start what others are copied from: what runs changes its disks."""
    if vm.template:
        raise Refused(_("%(name)s is a template: copy it, or make it a guest again.") % {"name": vm.name})
