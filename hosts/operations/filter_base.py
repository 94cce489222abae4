"""What kinds that act on network filters have in common: the XML that is sent, locks, and having the mirror look again."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any

from django.utils.translation import gettext as _
from lxml import etree

from hosts import filter_xml
from hosts.models import NetworkFilter, Operation, User
from hosts.operations.kind import InvalidArguments, Refused, Subject
from hosts.operations.network_base import look_again
from hosts.operations.storage_base import ResourceKind
from hosts.operations.task import Task


class FilterKind(ResourceKind):
    """A kind that acts on a filter."""

    role = User.Role.ADMINISTRATOR
    many = False

    def subject(self, row: NetworkFilter) -> Subject:
        return Subject(host=row.host, name=row.name, row=row, uuid=lock_of(row))

    def page(self, operation: Operation) -> str:
        row = find_filter(operation)
        return row.get_absolute_url() if row is not None else ""

    def check(self, subject: Subject, arguments: dict[str, Any]) -> None:
        row: NetworkFilter = subject.row
        self.require_host(row.host)
        if row.absent_since is not None:
            raise Refused(_("%(name)s is not on the host any more.") % {"name": row.name})

    def filter(self, task: Task) -> Any:
        """The live handle (hosts.hypervisor.filters.Filter); imported late, so that pages never load libvirt."""
        from hosts.hypervisor.filters import Filter

        return Filter(task.connection, task.operation.subject_name)

    def look_again(self, task: Task) -> None:
        """Have the mirror read the host's networks and filters."""
        look_again(task)


def lock_of(row: NetworkFilter) -> uuid.UUID:
    """One active change for each filter of each host."""
    return uuid.uuid5(row.uuid, f"filter of host {row.host_id}")


def find_filter(operation: Operation) -> NetworkFilter | None:
    """The filter that an operation acts on."""
    rows = NetworkFilter.objects.filter(host=operation.host, name=operation.subject_name).select_related("host")
    return next((row for row in rows if lock_of(row) == operation.subject_uuid), None)


def read(arguments: Mapping[str, Any]) -> tuple[str, etree._Element]:
    """``definition`` and its tree. Raises InvalidArguments from Malformed."""
    text = arguments.get("definition")
    if not isinstance(text, str) or not text.strip():
        raise InvalidArguments("definition", _("This is needed."))
    try:
        root = filter_xml.parse(text)
        filter_xml.uuid_of(root)
    except filter_xml.Malformed as error:
        where = _("line %(line)d, column %(column)d: ") % {"line": error.line, "column": error.column}
        raise InvalidArguments("definition", (where if error.line else "") + str(error)) from error
    return text, root


def define_command(definition: str) -> str:
    """The command that stores a definition."""
    return f"virsh nwfilter-define /dev/stdin <<'XML'\n{definition.strip()}\nXML"
