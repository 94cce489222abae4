"""Forget a network filter that nobody uses."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from hosts import notify
from hosts.filter_inventory import cards_of, takers_of
from hosts.models import NetworkFilter
from hosts.operations.filter_base import FilterKind, find_filter
from hosts.operations.kind import Refused, Subject, Uncertain
from hosts.operations.network_base import only
from hosts.operations.storage_base import told, virsh
from hosts.operations.task import Task


class FilterDelete(FilterKind):
    """Undefine the filter; refused while a guest's network card or another filter names it."""

    name = "filter-delete"
    label = gettext_lazy("Delete filter")
    verb = "filter.delete"

    def clean(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        only(self.name, arguments, ())
        return {}

    def check(self, subject: Subject, arguments: dict[str, Any]) -> None:
        super().check(subject, arguments)
        row: NetworkFilter = subject.row
        guests = list(dict.fromkeys(card.owner_name for card in cards_of(row)))
        if guests:
            raise Refused(_("Guests have network cards with it: %(names)s.") % {"names": told(guests)})
        if others := takers_of(row):
            raise Refused(_("Other filters take it in: %(names)s.") % {"names": told(others)})

    def virsh(self, subject: Subject, arguments: dict[str, Any]) -> str:
        return virsh("nwfilter-undefine", subject.name)

    def run(self, task: Task) -> dict[str, Any]:
        row, one = find_filter(task.operation), self.filter(task)
        try:
            one.undefine()
        finally:
            self.look_again(task)
        return _forget(row)

    def recover(self, task: Task) -> dict[str, Any]:
        row = find_filter(task.operation)
        self.look_again(task)
        if self.filter(task).exists():
            raise Uncertain(_("kvmdash was interrupted while the filter was being deleted; it is still there."))
        return _forget(row) | {"recovered": True}


def _forget(row: NetworkFilter | None) -> dict[str, Any]:
    """Its row goes, too: it was meant to."""
    if row is not None:
        NetworkFilter.objects.filter(pk=row.pk).delete()
        notify.changed(f"host:{row.host_id}", "resources")
    return {"deleted": True}
