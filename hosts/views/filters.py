"""Network filters across all hosts, and one of them, as last seen."""

from __future__ import annotations

from collections import Counter
from typing import Any
from uuid import UUID

from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe

from hosts import access, filter_xml
from hosts.capacity import heavy_of
from hosts.filter_inventory import cards_of, takers_of
from hosts.models import Host, NetworkClaim, NetworkFilter, User
from hosts.operations import queue
from hosts.operations.kind import Refused, registry
from hosts.requests import actor_of, user_of
from hosts.views import answers
from hosts.views.hosts import page_of
from hosts.views.network_actions import tabs
from hosts.views.storage_looks import look_of

SORTS = {"name": ("name", "host__name"), "host": ("host__name", "name"), "chain": ("chain", "name", "host__name")}


def visible_filters(user: User) -> QuerySet[NetworkFilter]:
    """The filters this user may see, with their hosts."""
    return access.visible_to(user, NetworkFilter.objects.all()).select_related("host").defer(*heavy_of("host__"))


def filter_or_404(request: HttpRequest, name: str, key: UUID) -> NetworkFilter:
    """The filter, if it is there and may be seen."""
    row = visible_filters(user_of(request)).filter(host__name=name[:63], uuid=key).first()
    if row is None:
        raise Http404(_("There is no such filter."))
    return row


@require_safe
def listing(request: HttpRequest) -> HttpResponse:
    """All filters, with how many network cards name each."""
    user = user_of(request)
    words = request.GET.get("q", "").strip()[:100].replace("\0", "")
    host = request.GET.get("host", "")[:63].replace("\0", "")
    found = visible_filters(user).defer("definition", *heavy_of("host__"))
    if words:
        found = found.filter(name__icontains=words)
    if host:
        found = found.filter(host__name=host)
    sort = request.GET.get("sort", "name")
    names = SORTS.get(sort.removeprefix("-"), SORTS["name"])
    page = page_of(request, found.order_by(*(f"-{name}" if sort.startswith("-") else name for name in names)))
    context = {
        "page_obj": page, "rows": _used(user, list(page.object_list)), "q": words, "sort": sort, "chosen": host,
        "filtered": bool(words or host), "tabs": tabs("filters"), "nav": "networks",
        "host_names": access.visible_to(user, Host.objects.all()).order_by("name").values_list("name", flat=True),
        "may_define": access.may(user, "filter.define"),
    }  # fmt: skip
    part = request.headers.get("HX-Target") == "filters-list"
    return render(request, "networks/_filters_list.html" if part else "networks/filters.html", context)


def _used(user: User, rows: list[NetworkFilter]) -> list[NetworkFilter]:
    """The rows with ``cards``: how many network cards name each."""
    claims = access.visible_to(user, NetworkClaim.objects.filter(host__in={row.host_id for row in rows})).exclude(
        filter=""
    )
    named = Counter(claims.values_list("host_id", "filter"))
    for row in rows:
        row.cards = named[row.host_id, row.name]  # type: ignore[attr-defined]
    return rows


@require_safe
def page(request: HttpRequest, name: str, filter: UUID) -> HttpResponse:  # noqa: A002 - the name in the address
    """What it is, who uses it, and its XML."""
    user, row = user_of(request), filter_or_404(request, name, filter)
    context: dict[str, Any] = {
        "filter": row,
        "actions": _actions(row, user),
        "cards": access.visible_to(user, NetworkClaim.objects.filter(pk__in=[card.pk for card in cards_of(row)])).order_by(
            "-active", "owner_name", "mac", "pk"
        ),
        "taken_in": _named(row, row.references),
        "takers": _named(row, takers_of(row)),
        "nav": "networks",
    }  # fmt: skip
    try:
        filter_xml.parse(row.definition)
    except filter_xml.Malformed as error:
        context["trouble"] = str(error)
    return render(request, "networks/filter.html", context)


def _named(row: NetworkFilter, names: list[str]) -> list[dict[str, Any]]:
    """Filters of the same host by name, with where each is shown; '' for one that is not there."""
    there = NetworkFilter.objects.filter(host_id=row.host_id, name__in=names, absent_since=None)
    urls = {
        other.name: reverse("hosts:filter", args=[row.host.name, other.uuid]) for other in there.only("name", "uuid")
    }
    return [{"name": name, "url": urls.get(name, "")} for name in names]


def _actions(row: NetworkFilter, user: User) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = []
    if access.may(user, "filter.edit", row):
        items.append({"label": _("Edit XML"), "icon": "pencil", "url": f"{row.get_absolute_url()}edit/"})
    if access.may(user, "filter.delete", row):
        items.append(_delete(row))
    return items


def _delete(row: NetworkFilter) -> dict[str, Any]:
    kind = registry["filter-delete"]
    item: dict[str, Any] = {
        "label": kind.label, "icon": look_of(kind.name).icon, "danger": True, "method": "post",
        "url": f"{row.get_absolute_url()}do/filter-delete/",
        "confirm": _("Delete the filter %(name)s?") % {"name": row.name},
    }  # fmt: skip
    try:
        kind.check(kind.subject(row), {})
        return item | {"virsh": kind.virsh(kind.subject(row), {})}
    except Refused as error:
        return item | {"disabled": True, "reason": str(error)}


@require_POST
def delete(request: HttpRequest, name: str, filter: UUID) -> HttpResponse:  # noqa: A002
    """Ask for it to be forgotten."""
    row = filter_or_404(request, name, filter)
    try:
        operation = queue.enqueue("filter-delete", row, {}, actor_of(request))
    except (access.Denied, Refused) as error:
        return answers.refused(request, error, nav="networks")
    return answers.accepted(
        request, operation, _("%(what)s: %(name)s") % {"what": _("Delete filter"), "name": row.name}
    )
