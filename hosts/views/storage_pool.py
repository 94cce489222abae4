"""One pool with its volumes, and one volume, as last seen."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from hosts import access, fillings, filtering, storage_changes, storage_selection
from hosts.access import Denied
from hosts.models import StoragePool, StorageVolume
from hosts.operations.kind import Refused
from hosts.requests import actor_of, user_of
from hosts.storage_forms import SharedForm
from hosts.storage_queries import sharers, with_sums
from hosts.storage_use import chain_of, use_of
from hosts.views import answers
from hosts.views.storage_actions import pool_actions, volume_actions
from hosts.views.storage_lists import listed, visible_pools, visible_volumes, volume_filters, with_uses


def pool_or_404(request: HttpRequest, name: str, pool: UUID) -> StoragePool:
    """The pool, if it is there and may be seen."""
    row = with_sums(visible_pools(user_of(request))).filter(host__name=name[:63], uuid=pool).first()
    if row is None:
        raise Http404(_("There is no such pool."))
    return row


def volume_or_404(request: HttpRequest, name: str, pool: UUID, key: int) -> StorageVolume:
    """The volume of that number, if it is one of the pool."""
    rows = visible_volumes(user_of(request)).filter(pk=key, pool__host__name=name[:63], pool__uuid=pool)
    row = rows.first()
    if row is None:
        raise Http404(_("There is no such volume."))
    return row


@require_safe
def pool_page(request: HttpRequest, name: str, pool: UUID) -> HttpResponse:
    """Facts, what it holds and promises, and its volumes with who uses each."""
    row = pool_or_404(request, name, pool)
    volumes = visible_volumes(user_of(request)).filter(pool=row)
    context = listed(request, volumes, storage_selection.volumes, "name")
    context |= {
        "pool": row,
        "sharers": sharers(row),
        "shared_how": shared_how(row),
        "uses": with_uses(context["page_obj"]),
        "kinds": storage_selection.KINDS,
        "use_choices": storage_selection.USES,
        "seen_choices": storage_selection.SEEN,
        "formats": filtering.with_chosen(_formats(row), request.GET, "format"),
        "active": volume_filters(request),
        "gone": StorageVolume.objects.filter(pool=row).exclude(absent_since=None).count(),
        "list_url": row.get_absolute_url(),
        "actions": pool_actions(row, user_of(request)),
    }
    part = request.headers.get("HX-Target") == "storage-list"
    return render(request, "storage/_volumes_list.html" if part else "storage/pool.html", context)


def _formats(pool: StoragePool) -> list[str]:
    rows = StorageVolume.objects.filter(pool=pool, absent_since=None).exclude(format="")
    return list(rows.order_by("format").values_list("format", flat=True).distinct())


def shared_how(pool: StoragePool) -> str:
    """How it is known that it is the same storage as others'."""
    return {
        "source": _("Their definitions name the same source."),
        "volumes": _("Their folders have one path, and in them are the same volumes, changed at the same moments."),
        "person": _("A person said so."),
    }.get(pool.shared_by, "")


@require_safe
def volume_page(request: HttpRequest, name: str, pool: UUID, key: int) -> HttpResponse:
    """Facts, the chain of what it lies on, and who uses it."""
    row = volume_or_404(request, name, pool, key)
    context: dict[str, Any] = {
        "volume": row,
        "pool": row.pool,
        "use": use_of([row])[row.pk],
        "not_whole": fillings.why_not_whole(row),
        "is_appliance": row.name.lower().endswith(".ova") and row.absent_since is None,
        "chain": [{"volume": step} if isinstance(step, StorageVolume) else {"path": step} for step in chain_of(row)],
        "actions": volume_actions(row, user_of(request)),
        "nav": "storage",
    }
    return render(request, "storage/volume.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
def shared(request: HttpRequest, name: str, pool: UUID) -> HttpResponse:
    """Which other pool is the same storage, by a person's word."""
    row = pool_or_404(request, name, pool)
    if not access.may(user_of(request), storage_changes.VERB, row):
        return answers.refused(request, Denied(_("You do not have the right to do this.")), nav="storage")
    form = SharedForm(request.POST if request.method == "POST" else None, pool=row)
    if request.method == "POST" and form.is_valid():
        try:
            form.apply(actor_of(request))
        except (Denied, Refused) as error:
            return answers.refused(request, error, nav="storage")
        text = _("Noted for %(name)s.") % {"name": row.name}
        return answers.done(request, text, row.get_absolute_url(), refresh=True)
    context = {"form": form, "pool": row, "nav": "storage", "standalone": not answers.is_htmx(request)}
    template = "storage/_shared_dialog.html" if answers.is_htmx(request) else "storage/shared.html"
    return render(request, template, context, status=422 if form.errors else 200)


@require_POST
def forget(request: HttpRequest, name: str, pool: UUID) -> HttpResponse:
    """Remove the rows of what is gone."""
    row = pool_or_404(request, name, pool)
    try:
        number = storage_changes.forget_gone(row, actor_of(request))
    except Denied as error:
        return answers.refused(request, error, nav="storage")
    text = _("%(number)s forgotten. Nothing was changed on the host.") % {"number": number}
    return answers.done(request, text, row.get_absolute_url(), refresh=True)
