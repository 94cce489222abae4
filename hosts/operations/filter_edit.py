"""Another definition for a network filter: guests that run with it have the new rules at once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from hosts import filter_xml
from hosts.hypervisor.errors import Failed
from hosts.hypervisor.sentences import say
from hosts.models import NetworkFilter
from hosts.operations.filter_base import FilterKind, define_command, read
from hosts.operations.kind import InvalidArguments, Refused, Subject, Uncertain
from hosts.operations.network_base import only
from hosts.operations.storage_base import NotNow
from hosts.operations.task import Task

#: lines of what is different that the log tells
MOST_LINES = 200


class FilterEdit(FilterKind):
    """Store ``definition`` as the filter's XML.

    ``base`` is the mark of the one that it was made from: when it is another by now, nothing is done.
    """

    name = "filter-edit"
    label = gettext_lazy("Edit filter")
    verb = "filter.edit"

    def clean(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        only(self.name, arguments, ("definition", "base"))
        text, _root = read(arguments)
        base = arguments.get("base")
        if not isinstance(base, str) or not base or len(base) > 64:
            raise InvalidArguments("base", _("The mark of the definition that it was made from."))
        return {"definition": text, "base": base}

    def check(self, subject: Subject, arguments: dict[str, Any]) -> None:
        super().check(subject, arguments)
        row: NetworkFilter = subject.row
        root = filter_xml.parse(arguments["definition"])
        if filter_xml.name_of(root) != row.name:
            raise NotNow("definition", _("A filter keeps its name; make another one and give it to the guests."))
        if filter_xml.uuid_of(root).replace("-", "") not in ("", row.uuid.hex):
            raise NotNow("definition", _("The definition must keep the filter's UUID, %(uuid)s.") % {"uuid": row.uuid})
        if arguments["base"] != filter_xml.mark(row.definition):
            raise NotNow("base", _("It was changed meanwhile; look at it again before you change it."))

    def virsh(self, subject: Subject, arguments: dict[str, Any]) -> str:
        return define_command(filter_xml.with_uuid(arguments["definition"], str(subject.row.uuid)))

    def run(self, task: Task) -> dict[str, Any]:
        one, arguments = self.filter(task), task.arguments
        with task.looking():
            before = one.definition()
        if filter_xml.mark(before) != arguments["base"]:
            task.log("\n".join(filter_xml.diff(before, arguments["definition"])[:MOST_LINES]), "warning")
            raise Refused(_("It was changed meanwhile; nothing was done."))
        try:
            one.define(filter_xml.with_uuid(arguments["definition"], _uuid_in(before)))
            after = one.definition()
        finally:
            self.look_again(task)
        changed = filter_xml.diff(before, after)
        if changed:
            task.log("\n".join(changed[:MOST_LINES]))
        return {"changed": bool(changed), "mark": filter_xml.mark(after)}

    def recover(self, task: Task) -> dict[str, Any]:
        now = self.filter(task).definition()
        self.look_again(task)
        if filter_xml.mark(now) == task.arguments["base"]:
            raise Failed(say("kvmdash was interrupted before this was done; nothing was changed."))
        # libvirt writes it in its own words, which may differ from what was sent.
        if not filter_xml.diff(now, filter_xml.with_uuid(task.arguments["definition"], _uuid_in(now))):
            return {"changed": True, "mark": filter_xml.mark(now), "recovered": True}
        raise Uncertain(
            _("kvmdash was interrupted while the filter was being changed; look whether it is as you want it.")
        )


def _uuid_in(definition: str) -> str:
    return filter_xml.uuid_of(filter_xml.parse(definition))
