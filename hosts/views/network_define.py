"""A new network, and another definition for one: a form made for its kind."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from hosts import access, network_tree, network_xml
from hosts.access import Denied
from hosts.models import Host, Network
from hosts.network_forms import NetworkDefineForm, NetworkEditForm, NetworkForm
from hosts.network_modes import MODES, Mode
from hosts.operations import queue
from hosts.operations.kind import InvalidArguments, Refused
from hosts.operations.network_define import overlaps_of
from hosts.operations.network_edit import mark
from hosts.operations.storage_base import NotNow
from hosts.requests import actor_of, user_of
from hosts.views import answers
from hosts.views.hosts import host_or_404
from hosts.views.network_page import network_or_404


@require_http_methods(["GET", "HEAD", "POST"])
def define(request: HttpRequest) -> HttpResponse:
    """``on`` and ``mode`` in the address choose the form."""
    if (denied := _denied(request, "network.define")) is not None:
        return denied
    host = host_or_404(request, request.GET["on"]) if request.GET.get("on") else None
    mode = MODES.get(request.GET.get("mode", ""))
    if host is None or mode is None:
        return _define_page(request, host, mode, None)
    if request.method != "POST":
        return _define_page(request, host, mode, NetworkDefineForm(mode=mode))
    form = NetworkDefineForm(request.POST, mode=mode)
    answer = _asked(request, form, "network-define", host, host, None)
    return answer or _define_page(request, host, mode, form, 422)


def _define_page(
    request: HttpRequest, host: Host | None, mode: Mode | None, form: NetworkForm | None, status: int = 200
) -> HttpResponse:
    hosts = access.visible_to(user_of(request), Host.objects.filter(enabled=True)).order_by("name")
    context = {
        "hosts": hosts, "host": host, "mode": mode, "modes": MODES.values(), "form": form, "nav": "networks",
    }  # fmt: skip
    return render(request, "networks/define.html", context, status=status)


@require_http_methods(["GET", "HEAD", "POST"])
def edit(request: HttpRequest, name: str, network: UUID) -> HttpResponse:
    """The fields of a network, as it is started with next."""
    if (denied := _denied(request, "network.edit")) is not None:
        return denied
    row = network_or_404(request, name, network)
    try:
        known = network_xml.read(network_tree.parse(row.stored_definition))
    except network_tree.Malformed as error:
        return answers.refused(request, Refused(str(error)), nav="networks")
    mode = MODES.get(known.pop("mode"))
    if mode is None:
        words = _("There is no form for a network of this kind; use virsh net-edit.")
        return answers.refused(request, Refused(words), nav="networks")
    base = {"base": mark(row.stored_definition)}
    if request.method != "POST":
        return _edit_page(request, row, mode, NetworkEditForm(mode=mode, known=known, initial=base))
    form = NetworkEditForm(request.POST, mode=mode, known=known, initial=base)
    answer = _asked(request, form, "network-edit", row, row.host, row)
    return answer or _edit_page(request, row, mode, form, 422)


def _edit_page(request: HttpRequest, row: Network, mode: Mode, form: NetworkForm, status: int = 200) -> HttpResponse:
    context = {"network": row, "mode": mode, "form": form, "nav": "networks"}
    return render(request, "networks/edit.html", context, status=status)


def _asked(
    request: HttpRequest, form: NetworkForm, kind: str, row: Any, host: Host, own: Network | None
) -> HttpResponse | None:
    """The answer, once it is asked for; None when the form must be shown again."""
    if not form.is_valid():
        return None
    arguments = form.arguments()
    if not request.POST.get("heeded"):
        form.overlaps = overlaps_of(host, arguments, own)
        if form.overlaps:
            return None
    try:
        operation = queue.enqueue(kind, row, arguments, actor_of(request))
    except (InvalidArguments, NotNow) as error:
        form.blame(error.field, str(error))
        return None
    except (Denied, Refused) as error:
        return answers.refused(request, error, nav="networks")
    words = _("Network %(name)s is being made.") if own is None else _("Network %(name)s is being changed.")
    return answers.accepted(request, operation, words % {"name": own.name if own else arguments["name"]})


def _denied(request: HttpRequest, verb: str) -> HttpResponse | None:
    if access.may(user_of(request), verb):
        return None
    return answers.refused(request, Denied(_("You do not have the right to do this.")), nav="networks")
