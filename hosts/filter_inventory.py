"""Rows of network filters, made equal to what a host has."""

from __future__ import annotations

from typing import Any

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from hosts import filter_xml, notify
from hosts.hypervisor.records import FilterRecord
from hosts.models import NetworkClaim, NetworkFilter


def filters_seen(host_id: int, records: list[FilterRecord]) -> None:
    """Insert, update and mark absent; nothing is deleted. libvirt tells no events of filters, so this comes with each look."""
    now = timezone.now()
    with transaction.atomic():
        known = {str(row.uuid): row for row in NetworkFilter.objects.filter(host_id=host_id)}
        touched = [_take_in(host_id, record, known.get(record.uuid)) for record in records]
        listed = {record.uuid for record in records}
        gone = [row.pk for uuid, row in known.items() if uuid not in listed and row.absent_since is None]
        NetworkFilter.objects.filter(pk__in=gone).update(absent_since=now)
        NetworkFilter.objects.filter(host_id=host_id, absent_since=None).update(seen_at=now)
    if any(touched) or gone:
        notify.changed(f"host:{host_id}", "resources")


def _take_in(host_id: int, record: FilterRecord, row: NetworkFilter | None) -> bool:
    if row is not None and row.absent_since is None and (row.name, row.definition) == (record.name, record.definition):
        return False
    columns: dict[str, Any] = {"name": record.name, "definition": record.definition, "absent_since": None}
    columns |= {"chain": "", "references": []}
    try:
        root = filter_xml.parse(record.definition)
        columns |= {"chain": str(root.get("chain", "root"))[:40], "references": filter_xml.references(root)}
    except filter_xml.Malformed:
        pass  # Its page says so; it is shown all the same.
    NetworkFilter.objects.update_or_create(host_id=host_id, uuid=record.uuid, defaults=columns)
    return True


def cards_of(row: NetworkFilter) -> QuerySet[NetworkClaim]:
    """The network cards on its host that name it, those of running guests first."""
    rows = NetworkClaim.objects.filter(host_id=row.host_id, filter=row.name)
    return rows.order_by("-active", "owner_name", "mac", "pk")


def takers_of(row: NetworkFilter) -> list[str]:
    """Names of the filters of its host that take it in."""
    others = NetworkFilter.objects.filter(host_id=row.host_id, absent_since=None).exclude(pk=row.pk)
    return [name for name, names in others.order_by("name").values_list("name", "references") if row.name in names]
