"""Uploading into a pool: the page, how an upload stands, and downloading a volume."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.shortcuts import render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_safe

from hosts import access
from hosts.models import Filling, StoragePool
from hosts.operations import queue
from hosts.operations.kind import Refused, registry
from hosts.requests import actor_of, user_of
from hosts.storage_types import type_of
from hosts.transfer import download, standing
from hosts.views import answers
from hosts.views.storage_looks import look_of
from hosts.views.storage_pool import pool_or_404, volume_or_404


@require_http_methods(["GET", "HEAD", "POST"])
def upload(request: HttpRequest, name: str, pool: UUID) -> HttpResponse:
    """GET shows the page; POST (from its script) asks for an upload and answers with how it stands."""
    row, user = pool_or_404(request, name, pool), user_of(request)
    if request.method == "POST":
        return _ask(request, row)
    if not access.may(user, standing.VERB, row):
        return answers.refused(request, access.Denied(_("You do not have the right to do this.")), nav="storage")
    context = {
        "pool": row,
        "hint": look_of(standing.KIND).hint,
        "waiting": [standing.of(one, user) for one in standing.unfinished(user).filter(pool=row)],
        "trouble": _why_not(row),
        "nav": "storage",
    }
    return render(request, "storage/upload.html", context)


def _why_not(pool: StoragePool) -> str:
    """Why nothing can be uploaded there just now."""
    if not type_of(pool.type).creates:
        return _("Volumes of a pool of type %(type)s are not made by libvirt.") % {"type": pool.type}
    try:
        kind = registry[standing.KIND]
        kind.check(kind.subject(pool), {"name": "-", "size": 0})
    except Refused as error:
        return str(error)
    return ""


def _ask(request: HttpRequest, pool: StoragePool) -> HttpResponse:
    size = request.POST.get("size", "")
    names = ("name", "checksum", "fingerprint")
    given: dict[str, Any] = {name: request.POST[name] for name in names if request.POST.get(name)}
    given["size"] = int(size) if size.isascii() and size.isdigit() and len(size) < 19 else size
    try:
        operation = queue.enqueue(standing.KIND, pool, given, actor_of(request))
    except (access.Denied, Refused) as error:
        said = {"detail": str(error), "field": getattr(error, "field", "")}
        return JsonResponse(said, status=answers.status_of(error))
    filling = Filling.objects.select_related("operation").get(operation=operation)
    return JsonResponse(standing.of(filling, user_of(request)))


@require_safe
def stand(request: HttpRequest, key: UUID) -> HttpResponse:
    """How an upload stands, with a ticket for whoever may send to it."""
    user = user_of(request)
    row = access.visible_to(user, Filling.objects.select_related("operation")).filter(pk=key).first()
    if row is None:
        raise Http404(_("There is no such upload."))
    return JsonResponse(standing.of(row, user))


@require_safe
def download_volume(request: HttpRequest, name: str, pool: UUID, key: int) -> HttpResponseBase:
    """The volume's bytes, as they lie there."""
    row, user = volume_or_404(request, name, pool, key), user_of(request)
    try:
        return download.fetch(user, row, actor_of(request), request.headers, head=request.method == "HEAD")
    except (access.Denied, Refused) as error:
        return answers.refused(request, error, nav="storage")
