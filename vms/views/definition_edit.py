"""The raw XML page: edit, see what is wrong and what will change, save. What is saved is an operation."""

from __future__ import annotations

import hashlib
import uuid
from typing import Any

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext as _
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods

from hosts import access
from hosts.operations import queue
from hosts.operations.kind import InvalidArguments, Refused, get
from hosts.requests import actor_of, user_of
from hosts.views import answers
from vms import history, schemas
from vms.definition.changes import diff
from vms.definition.xml import MalformedDefinition
from vms.history import INACTIVE
from vms.models import VirtualMachine
from vms.operations import define
from vms.views.act import asked_for, guest_or_404
from vms.views.definition import lines

Context = dict[str, Any]


@sensitive_post_parameters("definition")
@require_http_methods(["GET", "HEAD", "POST"])
def edit(request: HttpRequest, key: uuid.UUID) -> HttpResponse:
    """GET begins with the stored definition, or with a ``version`` of the history; POST previews or saves."""
    vm = guest_or_404(request, key)
    if not access.may(user_of(request), "vm.define", vm):
        return answers.refused(request, access.Denied(_("You do not have the right to do this.")), nav="vms")
    sighting = history.sighting_of(vm)
    if sighting is None or not sighting.inactive_definition:
        raise Http404(_("No definition of it was seen yet."))
    now: Context = {"text": sighting.inactive_definition, "base": history.digest_now(sighting)}
    if request.method != "POST":
        return _page(request, vm, now, _begin(vm, request.GET.get("version", ""), now))
    sent: Context = {
        "text": request.POST.get("definition", "").replace("\r\n", "\n"),
        "base": request.POST.get("base", ""),
        "check_schema": "check_schema" in request.POST,
        "keep_secrets": "keep_secrets" in request.POST,
    }
    if request.POST.get("do") == "save" and request.POST.get("seen") == _mark(sent["text"], now["base"]):
        return _save(request, vm, now, sent)
    return _page(request, vm, now, sent, preview=True)


def _begin(vm: VirtualMachine, version: str, now: Context) -> Context:
    text = now["text"]
    if version:
        known = version.isascii() and version.isdigit() and len(version) < 19
        row = history.versions_of(vm.pk).filter(pk=int(version), kind=INACTIVE).first() if known else None
        if row is None:
            raise Http404(_("There is no such version; old ones are forgotten after a while."))
        text = row.text
    return {"text": text, "base": now["base"], "check_schema": True, "keep_secrets": True}


def _mark(text: str, base: str) -> str:
    """What was previewed: this text, against that definition."""
    return hashlib.sha256(f"{base}\0{text}".encode(errors="replace")).hexdigest()


def _save(request: HttpRequest, vm: VirtualMachine, now: Context, sent: Context) -> HttpResponse:
    arguments = {"definition": sent["text"], **{name: sent[name] for name in ("base", "check_schema", "keep_secrets")}}
    try:
        operation = queue.enqueue("define", vm, arguments, actor_of(request))
    except (access.Denied, Refused) as error:
        return _page(request, vm, now, sent, preview=True, refused=str(error), status=answers.status_of(error))
    return answers.accepted(request, operation, asked_for(str(get("define").label), vm.name))


def _page(
    request: HttpRequest,
    vm: VirtualMachine,
    now: Context,
    sent: Context,
    *,
    preview: bool = False,
    refused: str = "",
    status: int = 200,
) -> HttpResponse:
    context: Context = {
        "vm": vm,
        "nav": "vms",
        "sent": sent,
        "preview": preview,
        "refused": refused,
        "most": define.MOST,
    }
    if preview:
        context |= _preview(vm, now, sent)
        status = 422 if context.get("wrong") and status == 200 else status
    return render(request, "vms/definition_edit.html", context, status=status)


def _preview(vm: VirtualMachine, now: Context, sent: Context) -> Context:
    """What is wrong with it, what it changes, and whether somebody else changed it meanwhile."""
    try:
        text, typed = define.read(sent["text"])
        found = schemas.check(text)
    except InvalidArguments as error:
        return {"wrong": str(error), "place": _place(error)}
    try:
        different, text_lines = diff(now["text"], text).changes, lines(now["text"], text)
    except MalformedDefinition as error:
        return {"wrong": _("The stored definition cannot be compared: %(why)s") % {"why": error}}
    moved = sent["base"] != now["base"]
    return {
        "findings": found,
        "no_schema": found is None,
        "typed": len(typed),
        "words": [history.words(change) for change in different],
        "lines": text_lines,
        "moved": define.conflict(vm, sent["base"], now["text"]) if moved else "",
        "base_now": now["base"],
        "seen": _mark(sent["text"], now["base"]),
    }


def _place(error: Exception) -> tuple[int, int] | None:
    cause = error.__cause__
    return (cause.line, cause.column) if isinstance(cause, MalformedDefinition) and cause.line else None
