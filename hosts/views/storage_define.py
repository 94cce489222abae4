"""A new pool: on which host, of which type, and a form made for that type."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from hosts import access
from hosts.access import Denied
from hosts.models import Host, Operation, StorageTypes
from hosts.operations import presenter, queue
from hosts.operations.kind import InvalidArguments, Refused, registry
from hosts.operations.pool_find import AT_SERVER
from hosts.operations.storage_base import NotNow
from hosts.requests import actor_of, user_of
from hosts.storage_forms_pool import PoolDefineForm
from hosts.storage_types import TYPES, PoolType
from hosts.views import answers
from hosts.views.hosts import host_or_404


@sensitive_post_parameters("password")
@require_http_methods(["GET", "HEAD", "POST"])
def define(request: HttpRequest) -> HttpResponse:
    """``on`` and ``type`` in the address choose the form; what else is there fills it in."""
    if (denied := _denied(request, "pool-define")) is not None:
        return denied
    host = host_or_404(request, request.GET["on"]) if request.GET.get("on") else None
    kind = TYPES.get(request.GET.get("type", ""))
    if host is None or kind is None:
        return _page(request, host, kind, None)
    if request.method != "POST":
        known = {name: request.GET[name] for name in kind.fields if name in request.GET and name != "password"}
        return _page(request, host, kind, PoolDefineForm(kind=kind, initial=known))
    form = PoolDefineForm(request.POST, kind=kind)
    if not form.is_valid():
        return _page(request, host, kind, form, 422)
    try:
        operation = queue.enqueue("pool-define", host, form.arguments(), actor_of(request))
    except (InvalidArguments, NotNow) as error:
        form.blame(error.field, str(error))
        return _page(request, host, kind, form, 422)
    except (Denied, Refused) as error:
        return answers.refused(request, error, nav="storage")
    return answers.accepted(request, operation, _("Pool %(name)s is being made.") % {"name": form.cleaned_data["name"]})


def _page(
    request: HttpRequest, host: Host | None, kind: PoolType | None, form: PoolDefineForm | None, status: int = 200
) -> HttpResponse:
    hosts = access.visible_to(user_of(request), Host.objects.filter(enabled=True)).order_by("name")
    known = StorageTypes.objects.filter(host=host).first() if host is not None else None
    context = {
        "hosts": hosts,
        "host": host,
        "kind": kind,
        "types": [
            {"type": one, "lacking": known is not None and known.types.get(one.name) is False} for one in TYPES.values()
        ],
        "lacking": known is not None and kind is not None and known.types.get(kind.name) is False,
        "form": form,
        "needs_server": kind is not None and kind.name in AT_SERVER,
        "nav": "storage",
    }
    return render(request, "storage/define.html", context, status=status)


@require_POST
def find(request: HttpRequest) -> HttpResponse:
    """Ask the host which sources there are; the answer shows itself when it is there."""
    host = host_or_404(request, request.POST.get("on", ""))
    arguments = {name: request.POST[name] for name in ("type", "host", "initiator") if request.POST.get(name)}
    if arguments.get("type") not in AT_SERVER:
        arguments.pop("host", None)
    try:
        operation = queue.enqueue("pool-find", host, arguments, actor_of(request))
    except (Denied, Refused) as error:
        return answers.refused(request, error, nav="storage")
    return _found(request, operation)


@require_safe
def found(request: HttpRequest, key: UUID) -> HttpResponse:
    """What was found so far."""
    if (denied := _denied(request, "pool-find")) is not None:
        return denied
    rows = access.visible_to(user_of(request), Operation.objects.filter(pk=key, kind="pool-find"))
    operation = rows.select_related("host").first()
    if operation is None:
        raise Http404
    return _found(request, operation)


def _found(request: HttpRequest, operation: Operation) -> HttpResponse:
    sources = [
        {"words": _words(source), "url": _url(operation, source)} for source in operation.result.get("sources", [])
    ]
    context: dict[str, Any] = {"operation": presenter.present(operation, user_of(request)), "sources": sources}
    return render(request, "storage/_found.html", context)


def _words(source: dict[str, Any]) -> str:
    parts = [
        ", ".join(source["hosts"]),
        source["folder"],
        source["name"],
        ", ".join(source["devices"]),
        source["format"],
    ]
    return " · ".join(part for part in parts if part)


def _url(operation: Operation, source: dict[str, Any]) -> str:
    """The form, filled in with the source."""
    kind = TYPES[operation.arguments["type"]]
    known = {"on": operation.host_name, "type": kind.name}
    values = {
        "host": source["hosts"][0] if source["hosts"] else operation.arguments.get("host", ""),
        "folder": source["folder"], "source_name": source["name"], "format": source["format"],
        "target": source["devices"][0] if source["devices"] else "",
    }  # fmt: skip
    known |= {name: value for name, value in values.items() if value and name in kind.fields}
    return f"{reverse('hosts:pool_define')}?{urlencode(known)}"


def _denied(request: HttpRequest, kind: str) -> HttpResponse | None:
    if access.may(user_of(request), registry[kind].verb):
        return None
    return answers.refused(request, Denied(_("You do not have the right to do this.")), nav="storage")
