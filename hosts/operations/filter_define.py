"""Define a network filter that is not there yet."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from hosts import filter_xml
from hosts.hypervisor.errors import Failed
from hosts.hypervisor.sentences import say
from hosts.models import Host, NetworkFilter, Operation, User
from hosts.operations.filter_base import define_command, read
from hosts.operations.kind import Refused, Subject
from hosts.operations.network_base import look_again, only
from hosts.operations.seen import until_seen
from hosts.operations.storage_base import NotNow, ResourceKind
from hosts.operations.task import Task


class FilterDefine(ResourceKind):
    """Define a new filter, whose XML is ``definition``."""

    name = "filter-define"
    label = gettext_lazy("Add filter")
    verb = "filter.define"
    role = User.Role.ADMINISTRATOR
    exclusive = False
    many = False

    def subject(self, row: Host) -> Subject:
        return Subject(host=row, name=row.name, row=row)

    def page(self, operation: Operation) -> str:
        name = operation.arguments.get("name")
        row = NetworkFilter.objects.filter(host=operation.host, name=name).order_by("-seen_at").first()
        return row.get_absolute_url() if row is not None else ""

    def clean(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        only(self.name, arguments, ("definition",))
        text, root = read(arguments)
        return {"definition": filter_xml.with_uuid(text, str(uuid.uuid4())), "name": filter_xml.name_of(root)}

    def check(self, subject: Subject, arguments: dict[str, Any]) -> None:
        host: Host = subject.row
        self.require_host(host)
        if NetworkFilter.objects.filter(host=host, name=arguments["name"], absent_since=None).exists():
            raise NotNow("definition", _("%(host)s has a filter of that name.") % {"host": host.name})

    def virsh(self, subject: Subject, arguments: dict[str, Any]) -> str:
        return define_command(arguments["definition"])

    def run(self, task: Task) -> dict[str, Any]:
        from hosts.hypervisor.filters import Filter

        one = Filter(task.connection, task.arguments["name"])
        with task.looking():
            if one.exists():
                raise Refused(_("There is a filter of that name by now; nothing was done."))
        try:
            one.define(task.arguments["definition"])
        finally:
            look_again(task)
        until_seen(task, NetworkFilter.objects.filter(host=task.host, name=one.name, absent_since=None))
        return {"filter": one.name}

    def recover(self, task: Task) -> dict[str, Any]:
        from hosts.hypervisor.filters import Filter

        one = Filter(task.connection, task.arguments["name"])
        look_again(task)
        wanted = filter_xml.uuid_of(filter_xml.parse(task.arguments["definition"]))
        if one.exists() and filter_xml.uuid_of(filter_xml.parse(one.definition())) == wanted:
            return {"filter": one.name, "recovered": True}
        raise Failed(say("kvmdash was interrupted before the filter was defined; nothing of it is there."))
