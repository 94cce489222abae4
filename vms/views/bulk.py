"""The same change to many guests: first a dialog that says what will happen to which, then one parent operation."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_POST

from hosts import access
from hosts.operations import queue
from hosts.operations.kind import InvalidArguments, Refused
from hosts.requests import actor_of, user_of
from hosts.views import answers
from vms.form_base import KindForm
from vms.forms import MANY_FORMS
from vms.models import VirtualMachine
from vms.operations.base import GuestKind
from vms.views.act import asked_for, kind_or_404
from vms.views.looks import look_of

MOST = 500
COMMANDS_SHOWN = 50


@dataclass(frozen=True, slots=True)
class Fate:
    """What will become of one of them: ``reason`` says why it will be refused."""

    vm: VirtualMachine
    reason: str
    command: str


@require_POST
def confirm(request: HttpRequest) -> HttpResponse:
    """The dialog: how many, which, which not and why, and the same as commands."""
    kind = kind_or_404(request.POST.get("kind", ""))
    try:
        access.require(user_of(request), kind.verb)
        vms = selected(request)
    except (access.Denied, Refused) as error:
        return answers.refused(request, error, nav="vms")
    form_class = MANY_FORMS.get(kind.name)
    return _dialog(request, kind, vms, form_class(vms=vms) if form_class else None)


@require_POST
def bulk(request: HttpRequest) -> HttpResponse:
    """Ask for it."""
    kind = kind_or_404(request.POST.get("kind", ""))
    try:
        access.require(user_of(request), kind.verb)
        vms = selected(request)
        form_class = MANY_FORMS.get(kind.name)
        form = form_class(request.POST, vms=vms) if form_class else None
        if form is not None and not form.is_valid():
            return _dialog(request, kind, vms, form, 422)
        if look_of(kind).danger and request.POST.get("confirm", "").strip() != word_for(vms):
            return _dialog(request, kind, vms, form, 422, _("Type %(word)s to confirm.") % {"word": word_for(vms)})
        return _ask(request, kind, vms, form)
    except (access.Denied, Refused) as error:
        return answers.refused(request, error, nav="vms")


def _ask(request: HttpRequest, kind: GuestKind, vms: list[VirtualMachine], form: KindForm | None) -> HttpResponse:
    try:
        parent = queue.enqueue_many(kind.name, vms, form.arguments() if form else {}, actor_of(request))
    except InvalidArguments as error:
        if form is None:
            raise
        form.blame(error.field, str(error))
        return _dialog(request, kind, vms, form, 422)
    count = ngettext("%(n)d machine", "%(n)d machines", len(vms)) % {"n": len(vms)}
    return answers.accepted(request, parent, asked_for(str(kind.label), count))


def selected(request: HttpRequest) -> list[VirtualMachine]:
    """The guests whose UUIDs were sent; raises Refused for what is no selection."""
    texts = request.POST.getlist("ids")
    if not texts:
        raise Refused(_("Nothing is selected."))
    if len(texts) > MOST:
        raise InvalidArguments("ids", _("At most %(n)d machines at once.") % {"n": MOST})
    try:
        keys = {uuid.UUID(text) for text in texts}
    except ValueError:
        raise InvalidArguments("ids", _("What was selected is no machine.")) from None
    rows = access.visible_to(user_of(request), VirtualMachine.objects.filter(pk__in=keys))
    vms = list(rows.select_related("host").prefetch_related("tags").order_by("name"))
    if len(vms) < len(keys):
        raise Refused(_("Some of the selected machines are no longer there. Select again."))
    return vms


def word_for(vms: list[VirtualMachine]) -> str:
    """What must be typed before something dangerous: the name, or how many."""
    return vms[0].name if len(vms) == 1 else str(len(vms))


def _dialog(
    request: HttpRequest,
    kind: GuestKind,
    vms: list[VirtualMachine],
    form: KindForm | None,
    status: int = 200,
    wrong_word: str = "",
) -> HttpResponse:
    fates = _fates(kind, vms, form)
    context: dict[str, Any] = {
        "kind": kind,
        "look": look_of(kind),
        "form": form,
        "fates": fates,
        "willing": [fate for fate in fates if not fate.reason],
        "unwilling": [fate for fate in fates if fate.reason],
        "commands": "\n".join(fate.command for fate in fates[:COMMANDS_SHOWN] if fate.command),
        "word": word_for(vms) if look_of(kind).danger else "",
        "wrong_word": wrong_word,
        "standalone": not answers.is_htmx(request),
        "nav": "vms",
    }
    template = "vms/_bulk.html" if answers.is_htmx(request) else "vms/bulk.html"
    return render(request, template, context, status=status)


def _fates(kind: GuestKind, vms: list[VirtualMachine], form: KindForm | None) -> list[Fate]:
    arguments = _cleaned(kind, form)
    if arguments is None:
        return [_fate(kind, vm, None) for vm in vms]
    with kind.looking_at(vms, arguments):
        return [_fate(kind, vm, arguments) for vm in vms]


def _cleaned(kind: GuestKind, form: KindForm | None) -> dict[str, Any] | None:
    """The arguments as far as they are known; None while they are not."""
    try:
        return kind.clean(form.arguments() if form is not None and form.is_bound and form.is_valid() else {})
    except Refused:
        return None


def _fate(kind: GuestKind, vm: VirtualMachine, arguments: dict[str, Any] | None) -> Fate:
    subject = kind.subject(vm)
    try:
        if arguments is None:
            GuestKind.check(kind, subject, {})
            return Fate(vm, "", "")
        kind.check(subject, arguments)
        return Fate(vm, "", kind.virsh(subject, arguments))
    except Refused as error:
        return Fate(vm, str(error), "")
