"""Hosts: the list, and one host with its parts, each under an address of its own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.core.paginator import Page, Paginator
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from hosts import access, capacity, credentials, figures, probe
from hosts.interface_inventory import interfaces_of
from hosts.models import Host, Operation, User
from hosts.operations import presenter
from hosts.operations.presenter import size
from hosts.requests import user_of
from hosts.storage_queries import with_sums
from hosts.views import host_parts as parts

RANGES = {"1h": 3600, "6h": 6 * 3600, "24h": 86400, "14d": 14 * 86400}
ROWS_A_PAGE = 100
GUEST_COLUMNS = (
    "uuid", "name", "title", "power_state", "host_id", "seen_at", "vcpus", "memory", "cpu_percent", "memory_used", "addresses",
)  # fmt: skip
Context = dict[str, Any]


def host_or_404(request: HttpRequest, name: str) -> Host:
    """The host of that name, if it is there and may be seen."""
    host = access.visible_to(user_of(request), Host.objects.filter(name=name[:63])).first()
    if host is None:
        raise Http404(_("There is no such host."))
    return host


@require_safe
def host_list(request: HttpRequest) -> HttpResponse:
    """All hosts; a cluster has tens of them, so there are no pages."""
    user = user_of(request)
    words = request.GET.get("q", "").strip()[:100]
    rows = [
        row for row in capacity.rows_for(user) if words.lower() in f"{row.host.name} {row.host.description}".lower()
    ]
    sort = request.GET.get("sort", "name")
    key = SORTS.get(sort.removeprefix("-"), SORTS["name"])
    rows.sort(key=key, reverse=sort.startswith("-"))
    context = {"rows": rows, "q": words, "sort": sort, "nav": "hosts"}
    template = "hosts/_list.html" if request.headers.get("HX-Target") == "host-list" else "hosts/list.html"
    return render(request, template, context)


SORTS: dict[str, Callable[[capacity.HostRow], Any]] = {
    "name": lambda row: row.host.name.lower(),
    "state": lambda row: (row.host.state, row.host.name.lower()),
    "guests": lambda row: (row.running, row.guests),
    "cpu": lambda row: row.host.cpu_percent or 0,
    "memory": lambda row: row.host.memory_used or 0,
    "overcommit": lambda row: row.overcommit or 0,
}


@require_safe
def detail(request: HttpRequest, name: str, tab: str = "summary") -> HttpResponse:
    """The page, with the tab that its address names."""
    if tab not in TABS:
        raise Http404
    user, host = user_of(request), host_or_404(request, name)
    context = parts.head_of(host, user) | parts.state_of(host, user) | TABS[tab](request, host, user)
    context |= {"nav": "hosts", "tab": tab, "tabs": _tabs(host, user, tab)}
    return render(request, f"hosts/tab_{tab}.html", context)


def _tabs(host: Host, user: User, current: str) -> list[Context]:
    labels = {
        "summary": _("Summary"),
        "guests": _("Guests"),
        "storage": _("Storage"),
        "networks": _("Networks"),
        "operations": _("Operations"),
        "settings": _("Settings"),
    }
    return [
        {"label": label, "url": tab_url(host, name), "current": name == current, **parts.count_of(host, user, name)}
        for name, label in labels.items()
    ]


def tab_url(host: Host, name: str) -> str:
    """The address of a tab."""
    return host.get_absolute_url() if name == "summary" else reverse("hosts:detail_tab", args=[host.name, name])


def _summary(_request: HttpRequest, host: Host, user: User) -> Context:
    loads = parts.load(str(host.pk), user) or {}
    return (
        loads
        | parts.facts_of(host, user)
        | {
            "frame": parts.frame_of(host),
            "keys": {name: f"host:{host.pk}:{name}" for name in ("cpu", "mem_used")},
            "memory_words": _("of %(size)s") % {"size": size(host.memory)},
            "ranges": RANGES,
            "charts": [
                {"id": "cpu", "title": _("CPU"), "series": "cpu", "format": "percent", "max": 100},
                {
                    "id": "mem_used",
                    "title": _("Memory used"),
                    "series": "mem_used",
                    "format": "bytes",
                    "max": host.memory,
                },
            ],
        }
    )


def _guests_tab(request: HttpRequest, host: Host, user: User) -> Context:
    page = page_of(request, parts.guests_of(host, user).only(*GUEST_COLUMNS).order_by("name"))
    return {"page_obj": page, "guests": page.object_list}


def _storage_tab(_request: HttpRequest, host: Host, _user: User) -> Context:
    return {"pools": with_sums(host.pools.select_related("host").defer("definition").order_by("name"))}


def _networks_tab(_request: HttpRequest, host: Host, user: User) -> Context:
    return {
        "told": interfaces_of(host, user),
        "may_define": access.may(user, "network.define"),
        "networks": host.networks.select_related("host")
        .defer("definition", "next_definition", "leases")
        .order_by("name"),
    }


def _operations_tab(request: HttpRequest, host: Host, user: User) -> Context:
    rows = access.visible_to(user, Operation.objects.filter(host=host)).order_by("-created_at")
    page = page_of(request, rows)
    return {"page_obj": page, "operations": [presenter.present(operation, user) for operation in page.object_list]}


def _settings_tab(_request: HttpRequest, host: Host, user: User) -> Context:
    last = Operation.objects.filter(host=host, kind="host-test").order_by("-created_at").first()
    tested = parts.test_of(last, user) if last is not None and access.may(user, "host.manage") else {}
    return {
        "has_test": bool(tested),
        "keys": probe.pinned_keys(host.ssh_host_key),
        "stored": {name: bool(getattr(host, name)) for name in ("ssh_key", "tls_key", "sasl_password")},
        "ca": credentials.describe(host.tls_ca),
        "certificate": credentials.describe(host.tls_certificate),
        **tested,
        "host": host,
    }


TABS: dict[str, Callable[[HttpRequest, Host, User], Context]] = {
    "summary": _summary,
    "guests": _guests_tab,
    "storage": _storage_tab,
    "networks": _networks_tab,
    "operations": _operations_tab,
    "settings": _settings_tab,
}


def page_of(request: HttpRequest, rows: QuerySet[Any], size: int = ROWS_A_PAGE) -> Page[Any]:
    """The page that the address names; nonsense and what lies beyond the last become the nearest there is."""
    text = request.GET.get("page", "1")
    number = int(text) if text.isascii() and text.isdecimal() and len(text) < 8 else 1
    paginator = Paginator(rows, size)
    return paginator.page(max(1, min(number, paginator.num_pages)))


@require_safe
def history(request: HttpRequest, name: str) -> HttpResponse:
    """The figures of the last hour, or of another of the ranges that are kept."""
    host = host_or_404(request, name)
    seconds = RANGES.get(request.GET.get("range") or "1h")
    if seconds is None:
        detail = _("The range is one of %(words)s.") % {"words": ", ".join(RANGES)}
        return JsonResponse({"detail": detail}, status=400)
    return JsonResponse(figures.history(f"host:{host.pk}", seconds))
