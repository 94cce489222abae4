"""Which pools and volumes, and in which order: pure functions of a queryset, for pages and the API."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.db.models import F, Q, QuerySet
from django.db.models.functions import Lower
from django.utils.translation import gettext_lazy as _

from hosts import fillings, filtering
from hosts.models import StoragePool, StorageVolume
from hosts.storage_queries import used, written

Volumes = QuerySet[StorageVolume]
Pools = QuerySet[StoragePool]

ISO = Q(format="iso") | Q(name__iendswith=".iso")
#: formats of disks that a guest can be made of
IMAGES = ("qcow2", "raw", "vmdk", "vdi", "vpc", "vhd", "qed")
KINDS = {"iso": _("CD images"), "image": _("Disk images")}
USES = {"used": _("Used"), "unused": _("Used by nobody"), "template": _("Written to by nobody")}
VOLUME_SORTS: dict[str, Any] = {
    "name": Lower("name"),
    "format": F("format"),
    "capacity": F("capacity"),
    "allocation": F("allocation"),
    "modified": F("modified"),
    "pool": Lower("pool__name"),
    "host": F("pool__host__name"),
}
POOL_SORTS: dict[str, Any] = {
    "name": Lower("name"),
    "host": F("host__name"),
    "type": F("type"),
    "used": F("allocation"),
    "free": F("available"),
    "capacity": F("capacity"),
    "volumes": F("volume_count"),
}
VOLUME_FILTERS = ("q", "kind", "use", "format", "host", "pool", "seen")
POOL_FILTERS = ("q", "host", "type")
SEEN = {"present": _("there now"), "gone": _("gone"), "all": _("all")}


def volumes(rows: Volumes, params: Mapping[str, str]) -> Volumes:
    """The volumes that ``params`` ask for; those that are gone only when asked for. Raises InvalidFilter."""
    seen = filtering.choice_of(params, "seen", SEEN) or "present"
    if seen != "all":
        rows = rows.filter(absent_since__isnull=seen == "present")
    for word in filtering.text_of(params, "q").split()[:12]:
        rows = rows.filter(Q(name__icontains=word) | Q(path__icontains=word))
    for name, column in (("format", "format"), ("host", "pool__host__name"), ("pool", "pool__name")):
        if value := filtering.text_of(params, name):
            rows = rows.filter(**{column: value})
    rows = _by_kind(rows, filtering.choice_of(params, "kind", KINDS))
    rows = _by_use(rows, filtering.choice_of(params, "use", USES))
    found = filtering.sorted_by(rows, params.get("sort") or "name", VOLUME_SORTS, "name")
    return found.order_by(*found.query.order_by, "pk")


def _by_kind(rows: Volumes, kind: str) -> Volumes:
    if not kind:
        return rows
    return rows.filter(ISO) if kind == "iso" else rows.filter(format__in=IMAGES).exclude(ISO)


def _by_use(rows: Volumes, use: str) -> Volumes:
    if not use:
        return rows
    if use == "template":
        return rows.exclude(written())
    return rows.filter(used()) if use == "used" else rows.exclude(used())


def pools(rows: Pools, params: Mapping[str, str]) -> Pools:
    """The pools that ``params`` ask for; ``rows`` are with sums. Raises InvalidFilter."""
    for word in filtering.text_of(params, "q").split()[:12]:
        rows = rows.filter(Q(name__icontains=word) | Q(path__icontains=word) | Q(source__icontains=word))
    for name, column in (("host", "host__name"), ("type", "type")):
        if value := filtering.text_of(params, name):
            rows = rows.filter(**{column: value})
    found = filtering.sorted_by(rows, params.get("sort") or "host", POOL_SORTS, "name")
    return found.order_by(*found.query.order_by, "pk")


def library(rows: Volumes) -> Volumes:
    """What new guests can be made of: images of CDs, and disk images that no guest writes to."""
    images = Q(format__in=IMAGES) & ~written()
    return fillings.whole_only(rows.filter(ISO | images))
