"""The list of guests: search, filters, sorting and paging, all in the address."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from urllib.parse import urlencode

from django.core.paginator import Page, Paginator
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from hosts import access
from hosts.models import Host
from hosts.requests import user_of
from vms.models import Tag, VirtualMachine
from vms.selection import FILTERS, InvalidFilter, active_filters, filter_vms, sort_vms
from vms.views import rows
from vms.views.actions import bulk_actions

SIZES = (25, 50, 100, 200)
DEFAULT_SIZE = 50
MOST_DIGITS = 7


@require_safe
def vm_list(request: HttpRequest) -> HttpResponse:
    """The page; only its table when that alone is read again."""
    user = user_of(request)
    visible = access.visible_to(user, VirtualMachine.objects.all())
    context: dict[str, Any] = {"error": None, "nav": "vms"}
    try:
        page = _page(visible, request.GET)
    except InvalidFilter as error:
        context["error"] = error
        page = Paginator(visible.none(), DEFAULT_SIZE).page(1)
    shown, bulk = rows.shown_columns(request), bulk_actions(user)
    if not any(bulk.values()):
        shown -= {"select"}
    context |= {
        "page_obj": page,
        "rows": rows.rows_of(page.object_list, user),
        "shown": shown,
        "columns": rows.columns_of(shown),
        "heads": [column for column in rows.COLUMNS if column.name in shown],
        "sort": request.GET.get("sort") or "name",
        "stale": stale_topics(request.GET),
        "sizes": SIZES,
        "size": page.paginator.per_page,
        "bulk": bulk,
        "may_create": access.may(user, "vm.create"),
        **_filters(request.GET, visible),
    }
    template = "vms/_list.html" if request.headers.get("HX-Target") == "vm-list" else "vms/list.html"
    return render(request, template, context, status=400 if context["error"] else 200)


def stale_topics(params: QueryDict) -> str:
    """When the list is to be read again: all guests by name stay where they are whatever their states are."""
    by_name = (params.get("sort") or "name") in ("name", "-name")
    return "vms" if by_name and not active_filters(params) else "vms vms-states"


def _page(visible: Any, params: QueryDict) -> Page[VirtualMachine]:
    found = sort_vms(filter_vms(visible, params), params.get("sort") or "name")
    paginator = Paginator(rows.lean(found), _number("size", params, DEFAULT_SIZE))
    if paginator.per_page not in SIZES:
        raise InvalidFilter("size", _("A page has 25, 50, 100 or 200 rows."))
    # Rows may have gone since the address was made: the last page is what comes nearest.
    return paginator.page(min(page_number(params), paginator.num_pages))


def page_number(params: QueryDict) -> int:
    """The page that the address names."""
    return _number("page", params, 1)


def _number(name: str, params: QueryDict, default: int) -> int:
    text = params.get(name) or str(default)
    if not (text.isascii() and text.isdecimal() and len(text) <= MOST_DIGITS and int(text) > 0):
        raise InvalidFilter(name, _("%(text)s is no number of a page.") % {"text": repr(text[:40])})
    return int(text)


def _filters(params: QueryDict, visible: Any) -> dict[str, Any]:
    """What the filter form shows, and the filters that are set, each with an address without it."""
    present = visible.filter(absent_since=None)
    return {
        "params": {name: params.get(name, "") for name in FILTERS},
        "states": VirtualMachine.PowerState.choices,
        "host_names": _with_chosen(Host.objects.order_by("name").values_list("name", flat=True), params, "host"),
        "tag_names": _with_chosen(
            Tag.objects.filter(vms__isnull=False).distinct().values_list("name", flat=True), params, "tag"
        ),
        "folders": _with_chosen(
            _with_parents(present.exclude(folder="").order_by("folder").values_list("folder", flat=True)),
            params,
            "folder",
        ),
        "systems": _with_chosen(
            present.exclude(os_type="").order_by("os_type").values_list("os_type", flat=True).distinct(), params, "os"
        ),
        "flags": [{"name": name, "label": label, "value": params.get(name, "")} for name, label in _flags()],
        "active": _active(params),
    }


def _with_chosen(names: Iterable[str], params: QueryDict, field: str) -> list[str]:
    """The choices, and what the address asks for even when it is none of them: the form must show what is filtered."""
    names = list(names)
    chosen = params.get(field, "")
    return names if chosen in ("", "/", *names) else [*names, chosen]


def _with_parents(folders: Any) -> list[str]:
    found = set()
    for folder in folders.distinct():
        parts = folder.split("/")
        found |= {"/".join(parts[:end]) for end in range(1, len(parts) + 1)}
    return sorted(found)


def _flags() -> list[tuple[str, str]]:
    return [
        ("console", _("Has a screen")),
        ("agent", _("Guest agent answers")),
        ("autostart", _("Starts with its host")),
        ("persistent", _("Defined on its host")),
        ("saved", _("Has saved memory")),
        ("busy", _("Being changed now")),
    ]


def _names() -> dict[str, str]:
    own = {"q": _("Search"), "seen": _("Seen"), "state": _("State"), "host": _("Host")}
    return own | {"tag": _("Tag"), "folder": _("Folder"), "os": _("System")} | dict(_flags())


def _active(params: QueryDict) -> list[dict[str, str]]:
    names = _names()
    return [
        {"name": str(names.get(name, name)), "value": _worded(name, value), "url": f"?{_without(params, name)}"}
        for name, value in active_filters(params).items()
    ]


def _worded(name: str, value: str) -> str:
    """What the form says for a value that is chosen in it."""
    words: dict[str, Any] = {}
    if name == "state":
        words = dict(VirtualMachine.PowerState.choices)
    elif name == "seen":
        words = {
            "live": _("on a connected host"),
            "stale": _("on a host that cannot be reached"),
            "gone": _("gone from every host"),
            "all": _("anywhere, or gone"),
        }
    elif name in dict(_flags()):
        words = {"yes": _("yes"), "no": _("no")}
    return ", ".join(str(words.get(one, one)) for one in value.split(",")) if words else value


def _without(params: QueryDict, name: str) -> str:
    return urlencode([(key, value) for key, value in params.items() if key not in (name, "page")])
