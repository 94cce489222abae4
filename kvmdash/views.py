"""The first page, the palette, and the guests of a big host in the tree."""

from __future__ import annotations

import re

from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from hosts import access
from hosts.models import Host
from hosts.requests import user_of
from kvmdash import overview as parts
from kvmdash import palette as search
from kvmdash.shell import tree_vm
from vms.models import VirtualMachine

RANGES = {"1h": 3600, "6h": 6 * 3600, "24h": 86400, "14d": 14 * 86400}


@require_safe
def overview(request: HttpRequest) -> HttpResponse:
    """The cluster at a glance."""
    user = user_of(request)
    context = {parts.name_of(part): part(user) for part, _topics, _verb in parts.PARTS.values()}
    # A manager looks: numbers and a trend, nothing to press.
    may_act = access.may(user, "vm.console")
    return render(request, "overview/overview.html", context | {"ranges": RANGES if may_act else (), "nav": "overview"})


@require_safe
def overview_history(request: HttpRequest) -> HttpResponse:
    """The cluster's figures over one of the ranges that are kept."""
    seconds = RANGES.get(request.GET.get("range") or "1h")
    if seconds is None:
        detail = _("The range is one of %(words)s.") % {"words": ", ".join(RANGES)}
        return JsonResponse({"detail": detail}, status=400)
    return JsonResponse(parts.history(user_of(request), seconds))


@require_safe
def palette(request: HttpRequest) -> HttpResponse:
    """What matches the words: objects, actions and pages. Every result is a link; none changes anything."""
    groups = search.groups(request.GET.get("q", ""), user_of(request))
    return render(request, "shell/_palette_results.html", {"groups": groups})


@require_safe
def confirm(request: HttpRequest, key: str, verb: str) -> HttpResponse:
    """Asks whether a guest shall really be started, stopped …: where the palette's actions lead."""
    user = user_of(request)
    vm = access.visible_to(user, VirtualMachine.objects.filter(pk=key)).select_related("host").first()
    action = search.action_of(vm, verb, user) if vm is not None else None
    if vm is None or action is None:
        raise Http404(_("There is nothing like this to be done."))
    context = {"vm": vm, "action": action, "word_pattern": pattern_of(action.confirm_type), "nav": "vms"}
    return render(request, "overview/confirm.html", context)


def pattern_of(word: str) -> str:
    """What an <input pattern> takes for ``word`` and nothing else; browsers refuse a backslash before what needs none."""
    return re.sub(r"[\^$\\.*+?()\[\]{}|/-]", lambda found: f"\\x{ord(found[0]):02x}", word)


@require_safe
def tree_guests(request: HttpRequest, pk: int) -> HttpResponse:
    """The guests of one host for the tree, when they are too many to stand on every page."""
    user = user_of(request)
    host = access.visible_to(user, Host.objects.filter(pk=pk)).only("pk").first()
    if host is None:
        raise Http404
    columns = ("uuid", "name", "power_state", "host_id")
    rows = VirtualMachine.objects.filter(host_id=pk, absent_since=None).only(*columns).order_by("name")
    guests = [tree_vm(vm, host) for vm in access.visible_to(user, rows)]
    return render(request, "overview/_tree_guests.html", {"guests": guests})
