"""Changing a pool or a volume: every kind by one road, and the dialogs of those that need more than a yes."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from hosts import access
from hosts.operations import queue
from hosts.operations.kind import InvalidArguments, Kind, Refused, registry
from hosts.operations.storage_base import NotNow, PoolKind
from hosts.operations.volume_base import VolumeKind
from hosts.operations.volume_create import VolumeCreate
from hosts.requests import actor_of, user_of
from hosts.storage_forms_pool import StorageForm
from hosts.storage_forms_volume import FORMS
from hosts.views import answers
from hosts.views.storage_looks import look_of
from hosts.views.storage_pool import pool_or_404, volume_or_404


@require_http_methods(["GET", "HEAD", "POST"])
def pool(request: HttpRequest, name: str, pool: UUID, kind: str) -> HttpResponse:
    """POST asks for a change of a pool; GET shows the dialog of a kind that needs more than a yes."""
    found = registry.get(kind)
    if not isinstance(found, PoolKind | VolumeCreate):
        raise Http404(_("Pools know no such verb."))
    return act(request, found, pool_or_404(request, name, pool))


@require_http_methods(["GET", "HEAD", "POST"])
def volume(request: HttpRequest, name: str, pool: UUID, key: int, kind: str) -> HttpResponse:
    """The same for a volume."""
    found = registry.get(kind)
    if not isinstance(found, VolumeKind):
        raise Http404(_("Volumes know no such verb."))
    return act(request, found, volume_or_404(request, name, pool, key))


def act(request: HttpRequest, kind: Kind, row: Any) -> HttpResponse:
    """As :func:`pool`, for any row of storage."""
    may = access.may(user_of(request), kind.verb, row)
    if not may and request.method != "POST":
        return answers.refused(request, access.Denied(_("You do not have the right to do this.")), nav="storage")
    form_class = FORMS.get(kind.name)
    # Whoever may not hears that, and not what is wrong in the form.
    if form_class is None or not may:
        if request.method != "POST":
            return HttpResponse(_("Ask with POST."), status=405, headers={"Allow": "POST"})
        given = {**request.GET.dict(), **request.POST.dict()}
        given.pop("csrfmiddlewaretoken", None)
        return _ask(request, kind, row, given)
    form = form_class(request.POST if request.method == "POST" else None, row=row)
    if not form.is_bound:
        return _dialog(request, kind, row, form)
    if not form.is_valid():
        return _dialog(request, kind, row, form, 422)
    return _ask(request, kind, row, form.arguments(), form)


def _ask(
    request: HttpRequest, kind: Kind, row: Any, arguments: dict[str, Any], form: StorageForm | None = None
) -> HttpResponse:
    try:
        operation = queue.enqueue(kind.name, row, arguments, actor_of(request))
    except (InvalidArguments, NotNow) as error:
        if form is None:
            return answers.refused(request, error, nav="storage")
        form.blame(error.field, str(error))
        return _dialog(request, kind, row, form, 422)
    except (access.Denied, Refused) as error:
        return answers.refused(request, error, nav="storage")
    text = _("%(what)s: %(name)s") % {"what": kind.label, "name": row.name}
    return answers.accepted(request, operation, text)


def _dialog(request: HttpRequest, kind: Kind, row: Any, form: StorageForm, status: int = 200) -> HttpResponse:
    look = look_of(kind.name)
    standalone = not answers.is_htmx(request)
    context = {
        "kind": kind, "row": row, "form": form, "hint": look.hint, "danger": look.danger, "act_url": request.get_full_path(),
        "standalone": standalone, "nav": "storage",
    }  # fmt: skip
    return render(request, "storage/dialog.html" if standalone else "storage/_dialog.html", context, status=status)
