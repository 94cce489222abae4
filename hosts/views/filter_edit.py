"""The XML of a network filter: edit, see what is wrong and what will change, save. What is saved is an operation."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from hosts import access, filter_xml
from hosts.filter_inventory import cards_of
from hosts.models import Host, NetworkFilter
from hosts.operations import queue
from hosts.operations.kind import InvalidArguments, Refused, registry
from hosts.operations.storage_base import NotNow
from hosts.requests import actor_of, user_of
from hosts.views import answers
from hosts.views.filters import filter_or_404
from hosts.views.hosts import host_or_404

Context = dict[str, Any]
#: what a new filter begins with
BEGINNING = """<filter name='' chain='root'>
  <!-- guests send from their own MAC address only -->
  <filterref filter='no-mac-spoofing'/>
  <rule action='accept' direction='in' priority='500'>
    <tcp dstportstart='22'/>
  </rule>
  <rule action='drop' direction='in' priority='1000'>
    <all/>
  </rule>
</filter>
"""


@require_http_methods(["GET", "HEAD", "POST"])
def define(request: HttpRequest) -> HttpResponse:
    """A new filter on the host ``on``."""
    if not access.may(user_of(request), "filter.define"):
        return answers.refused(request, access.Denied(_("You do not have the right to do this.")), nav="networks")
    hosts = access.visible_to(user_of(request), Host.objects.filter(enabled=True)).order_by("name")
    name = request.POST.get("on") or request.GET.get("on")
    host = host_or_404(request, name) if name else None
    context: Context = {"hosts": hosts, "host": host, "text": _sent(request) or BEGINNING}
    if request.method != "POST" or host is None:
        return _page(request, context)
    context |= _looked_at(context["text"], "")
    return _answer(request, context, "filter-define", host, {"definition": context["text"]})


@require_http_methods(["GET", "HEAD", "POST"])
def edit(request: HttpRequest, name: str, filter: UUID) -> HttpResponse:  # noqa: A002 - the name in the address
    """GET begins with the filter as it is; POST previews or saves."""
    row = filter_or_404(request, name, filter)
    if not access.may(user_of(request), "filter.edit", row):
        return answers.refused(request, access.Denied(_("You do not have the right to do this.")), nav="networks")
    now = filter_xml.mark(row.definition)
    context: Context = {"filter": row, "host": row.host, "text": row.definition, "base": now}
    context["running"] = list(
        dict.fromkeys(access.visible_to(user_of(request), cards_of(row).filter(active=True)).values_list("owner_name", flat=True))
    )  # fmt: skip
    if request.method != "POST":
        return _page(request, context)
    context |= {"text": _sent(request), "base": request.POST.get("base", "")[:64], "base_now": now}
    context |= _looked_at(context["text"], row.definition)
    context["moved"] = context["base"] != now
    arguments = {"definition": context["text"], "base": context["base"]}
    return _answer(request, context, "filter-edit", row, arguments)


def _sent(request: HttpRequest) -> str:
    return request.POST.get("definition", "").replace("\r\n", "\n")


def _looked_at(text: str, now: str) -> Context:
    """What is wrong with it, and what it changes."""
    try:
        found = filter_xml.findings(text)
    except filter_xml.Malformed as error:
        return {"wrong": str(error), "place": (error.line, error.column) if error.line else None}
    try:
        lines = filter_xml.diff(now, text) if now else []
    except filter_xml.Malformed as error:
        return {"wrong": _("The stored definition cannot be compared: %(why)s") % {"why": error}}
    signs = {"+": "added", "-": "removed", "@": "place"}
    told = [{"css": signs.get(line[:1], ""), "text": line} for line in lines]
    return {
        "preview": True,
        "findings": found,
        "no_schema": found is None,
        "lines": told,
        "seen": filter_xml.mark(f"{now}\0{text}"),
    }


def _answer(
    request: HttpRequest, context: Context, kind: str, row: Host | NetworkFilter, arguments: dict[str, Any]
) -> HttpResponse:
    """Ask for it when what is sent was looked at before as it is; else show it."""
    if "wrong" in context:
        return _page(request, context, 422)
    if request.POST.get("do") != "save" or request.POST.get("seen") != context["seen"]:
        return _page(request, context)
    try:
        operation = queue.enqueue(kind, row, arguments, actor_of(request))
    except (access.Denied, InvalidArguments, NotNow, Refused) as error:
        return _page(request, context | {"refused": str(error)}, answers.status_of(error))
    words = _("%(what)s: %(name)s") % {"what": registry[kind].label, "name": operation.subject_name}
    return answers.accepted(request, operation, words)


def _page(request: HttpRequest, context: Context, status: int = 200) -> HttpResponse:
    context |= {"nav": "networks", "most": filter_xml.MOST}
    return render(request, "networks/filter_edit.html", context, status=status)
