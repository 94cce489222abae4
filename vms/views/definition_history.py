"""The history of a guest's definition: all versions, one of them, and any two of them beside each other."""

from __future__ import annotations

import uuid
from typing import Any

from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.http import content_disposition_header
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from hosts import access
from hosts.requests import user_of
from vms import history
from vms.definition.changes import diff
from vms.definition.xml import MalformedDefinition
from vms.models import DefinitionVersion, Sighting, VirtualMachine
from vms.views.act import guest_or_404
from vms.views.definition import highlighted, lines, present
from vms.views.listing import page_number

A_PAGE = 50
#: what stands for a version in an address: the definitions of now
NOW = {"live": "live_definition", "inactive": "inactive_definition"}


@require_safe
def versions(request: HttpRequest, key: uuid.UUID) -> HttpResponse:
    """All of them."""
    user, vm = user_of(request), guest_or_404(request, key)
    found = access.visible_to(user, history.versions_of(vm.pk)).defer("text").select_related("operation")
    paginator = Paginator(found, A_PAGE)
    page = paginator.page(min(page_number(request.GET), paginator.num_pages))
    context = {"vm": vm, "nav": "vms", "page_obj": page, "versions": present(vm, list(page.object_list))}
    context |= {"may_define": access.may(user, "vm.define", vm), "all": True, "count": paginator.count}
    return render(request, "vms/definition_versions.html", context)


@require_safe
def version(request: HttpRequest, key: uuid.UUID, number: int) -> HttpResponse:
    """One of them, and what it changed."""
    user, vm = user_of(request), guest_or_404(request, key)
    row = _version(vm, number)
    before = history.versions_of(vm.pk).filter(pk__lt=row.pk).first()
    context = {
        "vm": vm,
        "nav": "vms",
        "version": present(vm, [row])[0],
        "before": before,
        "html": highlighted(row.text),
        "may_define": access.may(user, "vm.define", vm),
        **(_different(_readable(before), _readable(row)) if before is not None else {}),
    }
    return render(request, "vms/definition_version.html", context)


@require_safe
def version_file(request: HttpRequest, key: uuid.UUID, number: int) -> HttpResponse:
    """One of them as a file."""
    vm = guest_or_404(request, key)
    name = content_disposition_header(True, f"{vm.name}-{number}.xml")
    headers = {"Content-Disposition": name or "attachment"}
    return HttpResponse(_version(vm, number).text, content_type="application/xml; charset=utf-8", headers=headers)


@require_safe
def compare(request: HttpRequest, key: uuid.UUID) -> HttpResponse:
    """Any two, each the number of a version, or the definition of now: live or inactive."""
    vm = guest_or_404(request, key)
    old, new = (_side(vm, request.GET.get(name, "")) for name in ("old", "new"))
    context = {"vm": vm, "nav": "vms", "old": old, "new": new, **_different(old["text"], new["text"])}
    return render(request, "vms/definition_compare.html", context)


def _version(vm: VirtualMachine, number: int) -> DefinitionVersion:
    row = history.versions_of(vm.pk).filter(pk=number).select_related("operation").first() if number < 2**63 else None
    if row is None:
        raise Http404(_("There is no such version; old ones are forgotten after a while."))
    return row


def _side(vm: VirtualMachine, which: str) -> dict[str, Any]:
    if which in NOW:
        sighting: Sighting | None = history.sighting_of(vm)
        text = getattr(sighting, NOW[which], "")
        if not text:
            raise Http404
        label = _("as it runs now") if which == "live" else _("as it will be after the next boot")
        return {"label": label, "text": _quiet(which, text)}
    if not (which.isascii() and which.isdigit() and len(which) < 19):
        raise Http404
    row = _version(vm, int(which))
    return {"row": row, "label": "", "text": _readable(row)}


def _readable(row: DefinitionVersion) -> str:
    return _quiet(row.kind, row.text)


def _quiet(kind: str, text: str) -> str:
    """Without what belongs to a run; as it is when it cannot be read."""
    try:
        return history.readable(kind, text)
    except MalformedDefinition:
        return text


def _different(old: str, new: str) -> dict[str, Any]:
    try:
        return {"words": [history.words(change) for change in diff(old, new).changes], "lines": lines(old, new)}
    except MalformedDefinition as error:
        return {"words": [], "lines": [], "unreadable": str(error)}
