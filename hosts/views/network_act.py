"""Changing a network: every kind by one road, and the dialogs of those that need more than a yes."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from hosts import access
from hosts.models import Network
from hosts.network_forms import FORMS, NetworkUpdateForm
from hosts.network_updates import SECTIONS
from hosts.operations import queue
from hosts.operations.kind import InvalidArguments, Kind, Refused, registry
from hosts.operations.network_base import NetworkKind
from hosts.operations.storage_base import NotNow
from hosts.requests import actor_of, user_of
from hosts.storage_forms_pool import StorageForm
from hosts.views import answers
from hosts.views.network_page import network_or_404
from hosts.views.storage_looks import look_of


@require_http_methods(["GET", "HEAD", "POST"])
def network(request: HttpRequest, name: str, network: UUID, kind: str) -> HttpResponse:
    """POST asks for a change of a network; GET shows the dialog of a kind that needs more than a yes."""
    found = registry.get(kind)
    if not isinstance(found, NetworkKind):
        raise Http404(_("Networks know no such verb."))
    row = network_or_404(request, name, network)
    if not access.may(user_of(request), found.verb, row):
        # Who may not is not shown a form of it, and that they asked stands in the audit.
        if request.method == "POST":
            return _ask(request, found, row, {})
        return answers.refused(request, access.Denied(_("You do not have the right to do this.")), nav="networks")
    form = _form(request, kind, row)
    if form is None:
        if request.method != "POST":
            return HttpResponse(_("Ask with POST."), status=405, headers={"Allow": "POST"})
        given = {**request.GET.dict(), **request.POST.dict()}
        given.pop("csrfmiddlewaretoken", None)
        return _ask(request, found, row, given)
    if not form.is_bound:
        return _dialog(request, found, row, form)
    if not form.is_valid():
        return _dialog(request, found, row, form, 422)
    return _ask(request, found, row, form.arguments(), form)


def _form(request: HttpRequest, kind: str, row: Network) -> StorageForm | None:
    """The form of the kind; None for what needs none."""
    given = request.POST if request.method == "POST" else None
    if kind == "network-update":
        section, command = SECTIONS.get(request.GET.get("section", "")), request.GET.get("command", "")
        if section is None or command not in section.commands:
            raise Http404(_("Networks know no such verb."))
        return NetworkUpdateForm(given, row=row, section=section, command=command, key=request.GET.get("key", ""))
    return FORMS[kind](given, row=row) if kind in FORMS else None


def _ask(
    request: HttpRequest, kind: Kind, row: Network, arguments: dict[str, Any], form: StorageForm | None = None
) -> HttpResponse:
    try:
        operation = queue.enqueue(kind.name, row, arguments, actor_of(request))
    except (InvalidArguments, NotNow) as error:
        if form is None:
            return answers.refused(request, error, nav="networks")
        form.blame(error.field, str(error))
        return _dialog(request, kind, row, form, 422)
    except (access.Denied, Refused) as error:
        return answers.refused(request, error, nav="networks")
    text = _("%(what)s: %(name)s") % {"what": kind.label, "name": row.name}
    return answers.accepted(request, operation, text)


def _dialog(request: HttpRequest, kind: Kind, row: Network, form: StorageForm, status: int = 200) -> HttpResponse:
    look, standalone = look_of(kind.name), not answers.is_htmx(request)
    deletes = isinstance(form, NetworkUpdateForm) and form.command == "delete"
    context = {
        "kind": kind, "row": row, "form": form, "hint": look.hint, "danger": look.danger or deletes,
        "act_url": request.get_full_path(), "standalone": standalone, "nav": "networks",
        "title": update_title(form) if isinstance(form, NetworkUpdateForm) else kind.label,
    }  # fmt: skip
    return render(request, "networks/dialog.html" if standalone else "networks/_dialog.html", context, status=status)


def update_title(form: NetworkUpdateForm) -> str:
    """What is done, in words."""
    words = {"add": _("Add: %(what)s"), "modify": _("Change: %(what)s"), "delete": _("Remove: %(what)s")}
    return words[form.command] % {"what": form.section.label}
