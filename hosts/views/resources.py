"""Networks across all hosts, as last seen."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from hosts import access
from hosts.capacity import heavy_of
from hosts.models import Host, Network
from hosts.requests import user_of
from hosts.views.hosts import page_of
from hosts.views.network_actions import list_actions, tabs


@require_safe
def networks(request: HttpRequest) -> HttpResponse:
    """All networks."""
    return _list(request, Network.objects.all(), "networks", NETWORK_SORTS)


NETWORK_SORTS = {
    "name": ("name", "host__name"), "host": ("host__name", "name"), "bridge": ("bridge", "name"), "forward": ("forward", "name"),
}  # fmt: skip


def _list(request: HttpRequest, rows: QuerySet[Any], kind: str, sorts: Mapping[str, tuple[str, ...]]) -> HttpResponse:
    user = user_of(request)
    words, host = (
        request.GET.get("q", "").strip()[:100].replace("\0", ""),
        request.GET.get("host", "")[:63].replace("\0", ""),
    )
    heavy = ("definition", "next_definition", "leases", *heavy_of("host__"))
    found = access.visible_to(user, rows).select_related("host").defer(*heavy)
    if words:
        found = found.filter(name__icontains=words)
    if host:
        found = found.filter(host__name=host)
    sort = request.GET.get("sort", "host")
    names = sorts.get(sort.removeprefix("-"), sorts["host"])
    page = page_of(request, found.order_by(*(f"-{name}" if sort.startswith("-") else name for name in names)))
    context = {
        "page_obj": page,
        "rows": page.object_list,
        "q": words,
        "sort": sort,
        "chosen": host,
        "filtered": bool(words or host),
        "host_names": access.visible_to(user, Host.objects.all()).values_list("name", flat=True),
        "nav": kind,
        "actions": list_actions(user),
        "tabs": tabs(kind),
    }
    part = request.headers.get("HX-Target") == f"{kind}-list"
    return render(request, f"hosts/_{kind}_list.html" if part else f"hosts/{kind}.html", context)
