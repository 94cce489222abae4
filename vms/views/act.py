"""Changing one guest: every verb by one road, the dialogs of those that need more, and the limit of a move."""

from __future__ import annotations

import uuid
from typing import Any

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST

from hosts import access
from hosts.models import Operation
from hosts.operations import queue
from hosts.operations.kind import InvalidArguments, Refused, registry
from hosts.operations.storage_base import NotNow
from hosts.requests import actor_of, user_of
from hosts.views import answers
from vms.copies import COPY, asked_of
from vms.form_base import KindForm
from vms.forms import FORMS
from vms.models import VirtualMachine
from vms.moving import wanted
from vms.operations.base import GuestKind
from vms.views.actions import why_not
from vms.views.looks import look_of


def guest_or_404(request: HttpRequest, key: uuid.UUID) -> VirtualMachine:
    """The guest, if it is there and may be seen."""
    rows = access.visible_to(user_of(request), VirtualMachine.objects.filter(pk=key))
    vm = rows.select_related("host").prefetch_related("tags").first()
    if vm is None:
        raise Http404(_("There is no such machine."))
    return vm


def kind_or_404(name: str) -> GuestKind:
    """The kind of that name, if it is one that acts on guests."""
    kind = registry.get(name)
    if not isinstance(kind, GuestKind):
        raise Http404(_("Machines know no such verb."))
    return kind


@require_http_methods(["GET", "HEAD", "POST"])
def act(request: HttpRequest, key: uuid.UUID, name: str) -> HttpResponse:
    """POST asks for the change; GET shows the dialog of a kind that needs more than a yes."""
    kind, vm = kind_or_404(name), guest_or_404(request, key)
    form_class = FORMS.get(name)
    may = access.may(user_of(request), kind.verb, vm)
    # Whoever may not hears that, and not what is wrong in the form.
    if request.method == "POST" and (form_class is None or not may):
        return _ask(request, kind, vm, _posted(request))
    if form_class is None:
        return HttpResponse(_("Ask with POST."), status=405, headers={"Allow": "POST"})
    if request.method != "POST":
        if not may:
            return answers.refused(request, access.Denied(_("You do not have the right to do this.")), nav="vms")
        return _dialog(request, kind, vm, _opened(form_class, request, vm))
    form = form_class(request.POST, vms=[vm])
    if not form.is_valid():
        return _dialog(request, kind, vm, form, 422)
    return _ask(request, kind, vm, form.arguments(), form)


def _opened(form_class: type[KindForm], request: HttpRequest, vm: VirtualMachine) -> KindForm:
    """The form as it opens, with what the address says already."""
    names = form_class.asked_by_address + form_class.filled_by_address
    said = {name: request.GET[name] for name in names if name in request.GET}
    return form_class(vms=[vm], initial=said) if said else form_class(vms=[vm])


def _posted(request: HttpRequest) -> dict[str, Any]:
    return {name: value for name, value in request.POST.items() if name != "csrfmiddlewaretoken"}


def _ask(
    request: HttpRequest, kind: GuestKind, vm: VirtualMachine, arguments: dict[str, Any], form: KindForm | None = None
) -> HttpResponse:
    try:
        row = asked_of(kind, vm, request.GET.get(COPY, ""))
        operation = queue.enqueue(kind.name, row, arguments, actor_of(request))
    except (InvalidArguments, NotNow) as error:
        if form is None:
            return answers.refused(request, error, nav="vms")
        form.blame(error.field, str(error))
        return _dialog(request, kind, vm, form, 422)
    except (access.Denied, Refused) as error:
        return answers.refused(request, error, nav="vms")
    return answers.accepted(request, operation, asked_for(str(kind.label), vm.name))


def asked_for(label: str, subject: str) -> str:
    """What a toast says."""
    return _("%(what)s: %(name)s") % {"what": label, "name": subject}


def _dialog(
    request: HttpRequest, kind: GuestKind, vm: VirtualMachine, form: KindForm, status: int = 200
) -> HttpResponse:
    context = {
        "kind": kind,
        "look": look_of(kind),
        "vm": vm,
        "form": form,
        "reason": why_not(kind, kind.subject(vm), {}) or form.reason,
        **_foretold(kind, vm, form),
        "standalone": not answers.is_htmx(request),
        "nav": "vms",
    }
    template = "vms/_dialog.html" if answers.is_htmx(request) else "vms/dialog.html"
    return render(request, template, context, status=status)


def _foretold(kind: GuestKind, vm: VirtualMachine, form: KindForm) -> dict[str, Any]:
    """What the form says now would do, and its virsh equivalent; nothing while it says nothing that makes sense."""
    if not form.is_bound:
        first = {name: field.get_bound_field(form, name).value() for name, field in form.fields.items()}
        if kind.name == "migrate":
            first["host"] = getattr(form, "chosen", "")
        form = type(form)({name: value for name, value in first.items() if value}, vms=[vm])
    return {"command": _command(kind, vm, form), "effect": _effect(kind, vm, form)}


def _command(kind: GuestKind, vm: VirtualMachine, form: KindForm) -> str:
    """The virsh equivalent; '' while the form says nothing that makes sense."""
    if not form.is_valid():
        return ""
    try:
        return kind.virsh(kind.subject(vm), kind.clean(form.arguments()))
    except Refused:
        return ""


def _effect(kind: GuestKind, vm: VirtualMachine, form: KindForm) -> list[str]:
    """What it would do, where the kind can say so beforehand."""
    effect = getattr(kind, "effect", None)
    if effect is None or not form.is_valid():
        return []
    try:
        found: list[str] = effect(kind.subject(vm), kind.clean(form.arguments()))
    except Refused as error:
        return [str(error)]
    return found


@require_POST
def preview(request: HttpRequest, key: uuid.UUID, name: str) -> HttpResponse:
    """The virsh equivalent of a dialog as it is filled in now."""
    kind, vm, form_class = kind_or_404(name), guest_or_404(request, key), FORMS.get(name)
    if form_class is None:
        raise Http404
    return render(request, "vms/_preview.html", _foretold(kind, vm, form_class(request.POST, vms=[vm])))


@require_POST
def steer(request: HttpRequest, key: uuid.UUID, name: str) -> HttpResponse:
    """Ask something of the move under way."""
    if name not in wanted.SIGNALS:
        raise Http404
    vm = guest_or_404(request, key)
    moving = Operation.objects.filter(subject_uuid=vm.pk, kind="migrate", state=Operation.State.RUNNING).first()
    try:
        access.require(user_of(request), "vm.migrate", vm)
        if moving is None:
            raise Refused(_("%(name)s is not being moved now.") % {"name": vm.name})
        if not queue.may_cancel(user_of(request), moving):
            raise access.Denied(_("You do not have the right to do this."))
        queue.signal(moving, name, _posted(request), actor_of(request))
    except (access.Denied, Refused) as error:
        return answers.refused(request, error, nav="vms")
    return answers.done(request, _("Asked of the move of %(name)s.") % {"name": vm.name}, vm.get_absolute_url())
