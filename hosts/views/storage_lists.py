"""Storage across all hosts, as last seen: pools, the library of images, and volumes that nobody uses."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.core.paginator import Page
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from hosts import access, fillings, filtering, storage_selection
from hosts.capacity import heavy_of
from hosts.filtering import InvalidFilter
from hosts.models import Host, StoragePool, StorageVolume, User
from hosts.requests import user_of
from hosts.storage_queries import once, orphans, with_sums
from hosts.storage_use import use_of
from hosts.views.storage_actions import list_actions

Context = dict[str, Any]


def visible_pools(user: User) -> QuerySet[StoragePool]:
    """The pools this user may see, with their hosts and without what no page shows."""
    rows = access.visible_to(user, StoragePool.objects.all())
    return rows.select_related("host").defer("definition", *heavy_of("host__"))


def visible_volumes(user: User) -> QuerySet[StorageVolume]:
    """The volumes this user may see."""
    rows = access.visible_to(user, StorageVolume.objects.all())
    return rows.select_related("pool__host").defer("pool__definition", *heavy_of("pool__host__"))


@require_safe
def pools(request: HttpRequest) -> HttpResponse:
    """All pools, with what they hold and what they promise."""
    user = user_of(request)
    rows = with_sums(visible_pools(user))
    context = listed(request, rows, storage_selection.pools, "host")
    context |= {
        "rows": context["page_obj"].object_list,
        "types": filtering.with_chosen(filtering.distinct(StoragePool.objects.all(), "type"), request.GET, "type"),
        "active": filtering.active_filters(request.GET, {"q": _("Search"), "host": _("Host"), "type": _("Type")}),
        "actions": list_actions(user),
    }
    return _page(request, "pools", context)


@require_safe
def library(request: HttpRequest) -> HttpResponse:
    """What new guests can be made of, wherever it lies; what several hosts share stands there once."""
    user = user_of(request)
    rows = storage_selection.library(once(visible_volumes(user), visible_pools(user)))
    return _page(request, "library", _volumes(request, rows, storage_selection.KINDS))


@require_safe
def unused(request: HttpRequest) -> HttpResponse:
    """Volumes that no guest's definition names and no other volume lies on."""
    user = user_of(request)
    rows = orphans(once(visible_volumes(user), visible_pools(user)))
    return _page(request, "unused", _volumes(request, rows, {}))


def _volumes(request: HttpRequest, rows: QuerySet[StorageVolume], kinds: Mapping[str, Any]) -> Context:
    context = listed(request, rows, storage_selection.volumes, "name") | {
        "kinds": kinds,
        "active": volume_filters(request),
        "across": True,
    }
    return context | {"uses": with_uses(context["page_obj"])}


def with_uses(page: Page[Any]) -> list[Context]:
    """The volumes of a page, each with who uses it."""
    volumes = list(page.object_list)
    uses = use_of(volumes)
    half = fillings.partial_among(volumes)
    return [{"volume": volume, "use": uses[volume.pk], "partial": volume.pk in half} for volume in volumes]


def volume_filters(request: HttpRequest) -> list[dict[str, str]]:
    """The filters of a list of volumes that are set."""
    names = {
        "q": _("Search"), "kind": _("Kind"), "use": _("Use"), "format": _("Format"), "host": _("Host"), "pool": _("Pool"),
        "seen": _("Seen"),
    }  # fmt: skip
    words = {**storage_selection.KINDS, **storage_selection.USES, **storage_selection.SEEN}
    found = filtering.active_filters(request.GET, names)
    return [item | {"value": str(words.get(item["value"], item["value"]))} for item in found]


def listed(request: HttpRequest, rows: QuerySet[Any], choose: Any, sort: str) -> Context:
    """The page of ``rows`` that the address asks for, and what the tools above the table show."""
    context: Context = {"params": request.GET, "sort": request.GET.get("sort") or sort}
    try:
        context["page_obj"] = filtering.page_of(choose(rows, request.GET), request.GET)
    except InvalidFilter as error:
        context |= {"error": error, "page_obj": filtering.first_page(rows.order_by("pk"))}
    names = access.visible_to(user_of(request), Host.objects.all()).values_list("name", flat=True)
    return context | {"host_names": filtering.with_chosen(names, request.GET, "host"), "nav": "storage"}


def _page(request: HttpRequest, tab: str, context: Context) -> HttpResponse:
    names = {"pools": (_("Pools"), "hosts:storage"), "library": (_("Library"), "hosts:storage_library")}
    names["unused"] = (_("Used by nobody"), "hosts:storage_unused")
    context["tabs"] = [
        {"label": label, "url": reverse(address), "current": name == tab} for name, (label, address) in names.items()
    ]
    context |= {"tab": tab, "list_url": reverse(names[tab][1])}
    part = "storage/_pools_list.html" if tab == "pools" else "storage/_volumes_list.html"
    if request.headers.get("HX-Target") == "storage-list":
        return render(request, part, context)
    return render(request, "storage/list.html", context | {"part": part})
