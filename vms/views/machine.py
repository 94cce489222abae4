"""One machine: its summary, console, devices, operations and definition, each under an address of its own."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from hosts import access
from hosts.models import Operation, User
from hosts.operations import presenter
from hosts.operations.presenter import size
from hosts.operations.queue import BULK
from hosts.requests import user_of
from vms.console.fragments import watchers
from vms.console.serial import pages as text_pages
from vms.models import VirtualMachine
from vms.selection import InvalidFilter
from vms.views import agent, definition, devices, parts, snapshots
from vms.views.act import guest_or_404
from vms.views.figures import RANGES
from vms.views.listing import page_number

OPERATIONS_A_PAGE = 50
Context = dict[str, Any]


@require_safe
def machine(request: HttpRequest, key: uuid.UUID, tab: str = "summary") -> HttpResponse:
    """The page, with the tab that its address names."""
    if tab not in TABS:
        raise Http404
    user, vm = user_of(request), guest_or_404(request, key)
    context = parts.head(vm, user) | parts.sightings(vm, user) | parts.operation(vm, user)
    try:
        context |= TABS[tab](request, vm, user)
    except InvalidFilter as error:
        return render(request, "operations/refused.html", {"text": error.message, "nav": "vms"}, status=400)
    context |= {"nav": "vms", "tab": tab, "tabs": _tabs(vm, tab)}
    return render(request, f"vms/tab_{tab}.html", context)


def _tabs(vm: VirtualMachine, current: str) -> list[Context]:
    labels = {
        "summary": _("Summary"),
        "console": _("Console"),
        "serial": _("Text console"),
        "devices": _("Devices"),
        "snapshots": _("Snapshots"),
        "agent": _("Guest agent"),
        "operations": _("Operations"),
        "definition": _("Definition"),
    }
    return [
        {"label": label, "url": _tab_url(vm, name), "current": name == current, **_count(vm, name)}
        for name, label in labels.items()
    ]


#: tabs that say how many there are
COUNTS: dict[str, Callable[[VirtualMachine], int]] = {"devices": devices.count, "snapshots": snapshots.count}


def _count(vm: VirtualMachine, name: str) -> Context:
    return {"live": f"vm-{name}-count:{vm.uuid}", "count": COUNTS[name](vm)} if name in COUNTS else {}


def count(name: str) -> parts.Part:
    """How many there are of what a tab shows, for a push."""
    return lambda vm, _user: _count(vm, name)


def _tab_url(vm: VirtualMachine, name: str) -> str:
    return vm.get_absolute_url() if name == "summary" else reverse("vms:tab", args=[vm.uuid, name])


def _summary(_request: HttpRequest, vm: VirtualMachine, user: User) -> Context:
    context = parts.facts(vm, user) | parts.hardware(vm, user) | parts.picture(vm, user)
    names = ("cpu", "mem_used", "rd", "wr", "rx", "tx")
    return context | {
        "frame": parts.figures(vm),
        "keys": {name: f"vm:{vm.uuid}:{name}" for name in names},
        "memory_words": _("of %(size)s") % {"size": size(vm.memory)},
        "ranges": RANGES,
        "charts": _charts(vm),
    }


def _charts(vm: VirtualMachine) -> list[Context]:
    rows: list[tuple[str, str, list[str], str, int]] = [
        (_("CPU"), "cpu", [_("CPU")], "percent", 100),
        (_("Memory used"), "mem_used", [_("Used")], "bytes", vm.memory),
        (_("Disks"), "rd,wr", [_("Read"), _("Written")], "rate", 0),
        (_("Network"), "rx,tx", [_("In"), _("Out")], "bits", 0),
    ]
    return [
        {
            "id": series.partition(",")[0],
            "title": title,
            "series": series,
            "labels": ",".join(labels),
            "format": unit,
            "max": most,
        }
        for title, series, labels, unit, most in rows
    ]


def _console(_request: HttpRequest, vm: VirtualMachine, user: User) -> Context:
    allowed = access.may(user, "vm.console", vm) or access.may(user, "vm.console_view", vm)
    return {**watchers(vm, user), "allowed": allowed}


def _serial(request: HttpRequest, vm: VirtualMachine, user: User) -> Context:
    return text_pages.context(vm, user, request.GET.get("device", ""))


def _devices(_request: HttpRequest, vm: VirtualMachine, user: User) -> Context:
    return devices.context(vm, user)


def _snapshots(_request: HttpRequest, vm: VirtualMachine, user: User) -> Context:
    return snapshots.context(vm, user)


def _agent(_request: HttpRequest, vm: VirtualMachine, user: User) -> Context:
    return agent.context(vm, user)


def _definition(_request: HttpRequest, vm: VirtualMachine, user: User) -> Context:
    return definition.context(vm, user) | definition.versions(vm, user)


def _operations(request: HttpRequest, vm: VirtualMachine, user: User) -> Context:
    wanted = Operation.objects.filter(subject_uuid=vm.pk).exclude(kind=BULK).select_related("host")
    paginator = Paginator(access.visible_to(user, wanted).order_by("-created_at"), OPERATIONS_A_PAGE)
    page = paginator.page(min(page_number(request.GET), paginator.num_pages))
    return {"page_obj": page, "operations": [presenter.present(operation, user) for operation in page.object_list]}


TABS: dict[str, Callable[[HttpRequest, VirtualMachine, User], Context]] = {
    "summary": _summary,
    "console": _console,
    "serial": _serial,
    "devices": _devices,
    "snapshots": _snapshots,
    "agent": _agent,
    "operations": _operations,
    "definition": _definition,
}
