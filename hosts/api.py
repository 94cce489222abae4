"""The API's hosts, operations and people. Rows are read, operations are asked for; nothing here talks to a host."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Annotated, Any
from uuid import UUID

from django.db.models import Count, Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext as _
from ninja import Path, Query, Router
from pydantic import BaseModel

from hosts import access
from hosts.api_filters import router as filters_router
from hosts.api_networks import router as networks_router
from hosts.api_schemas import (
    AnyArguments,
    Credentials,
    Guests,
    HostDetail,
    HostOut,
    HostPage,
    LogLine,
    Me,
    NetworkOut,
    NoArguments,
    OperationDetail,
    OperationOut,
    OperationPage,
    OperationQuery,
    Paging,
    PoolOut,
    SignalBody,
    TestArguments,
)
from hosts.api_storage_bytes import router as storage_router
from hosts.api_tools import (
    Accepted,
    accepted,
    add_kind,
    columns,
    find,
    only_known,
    operation_fields,
    operation_out,
    page_of,
)
from hosts.models import Host, Operation
from hosts.operations import queue
from hosts.operations.host_refresh import HostKind
from hosts.operations.kind import registry
from hosts.problems import ANY, CHANGE, invalid
from hosts.requests import actor_of
from hosts.tokens import token_of

router = Router()
router.add_router("", storage_router)
router.add_router("", networks_router)
router.add_router("", filters_router)
#: kind → what it takes
HOST_ARGUMENTS: dict[str, type[BaseModel]] = {"host-refresh": NoArguments, "host-test": TestArguments}
HostName = Annotated[
    str, Path(..., max_length=63, pattern=r"^[A-Za-z0-9.-]+$", description="The host's name here, such as kvm1.")
]


@router.get("me", response={200: Me, **ANY}, tags=["me"], summary="Who am I, and what may I do")
def me(request: HttpRequest) -> Me:
    """The owner of the token, with every verb and whether it is allowed."""
    user: Any = request.user
    token = token_of(request)
    return Me(
        username=user.username,
        name=str(user),
        role=user.role,
        may_watch_consoles=user.may_watch_consoles,
        verbs={verb: access.may(user, verb) for verb in sorted(access.VERBS)},
        token=token.name if token else None,
        token_expires_at=token.expires_at if token else None,
    )


@router.get("hosts", response={200: HostPage, **ANY}, tags=["hosts"], summary="List hosts")
def hosts(request: HttpRequest, paging: Query[Paging]) -> HostPage:
    """All hosts by name, with their state and figures."""
    only_known(request, Paging)
    rows, numbers = page_of(access.visible_to(request.user, _hosts()), paging)
    return HostPage(items=[HostOut(**_host(row)) for row in rows], **numbers)


@router.get("hosts/{name}", response={200: HostDetail, **ANY}, tags=["hosts"], summary="One host")
def host(request: HttpRequest, name: HostName) -> HostDetail:
    """Facts, figures, storage pools and networks of a host, and which credentials are set for it."""
    row = find(access.visible_to(request.user, _hosts()), name=name)
    more = ("state_detail", "peer_uri", "reconciled_at", "sockets", "cores", "threads", "mhz", "cells")
    return HostDetail(
        **_host(row),
        **columns(row, more),
        credentials=Credentials(**{field: bool(getattr(row, field)) for field in Credentials.model_fields}),
        pools=[PoolOut(**columns(pool, PoolOut.model_fields)) for pool in row.pools.all()],
        networks=[NetworkOut(**columns(network, NetworkOut.model_fields)) for network in row.networks.all()],
    )


@router.get("operations", response={200: OperationPage, **ANY}, tags=["operations"], summary="List operations")
def operations(request: HttpRequest, query: Query[OperationQuery]) -> OperationPage:
    """Newest first. The children of bulk operations are listed too; ``parent`` tells them apart."""
    only_known(request, OperationQuery)
    wanted = _operations_filter(query)
    rows, numbers = page_of(access.visible_to(request.user, Operation.objects.filter(wanted)), query)
    return OperationPage(items=[operation_out(request, row) for row in rows], **numbers)


@router.get("operations/{id}", response={200: OperationDetail, **ANY}, tags=["operations"], summary="One operation")
def operation(request: HttpRequest, id: UUID) -> OperationDetail:  # noqa: A002 - the name in the address
    """State, progress figures, log, error, and the children of a bulk operation."""
    row = _operation(request, id)
    kind = registry.get(row.kind)
    return OperationDetail(
        **operation_fields(request, row),
        signals=list(kind.signals) if kind is not None and row.is_active else [],
        log=[LogLine(**columns(line, LogLine.model_fields)) for line in row.log.all()],
        children=[operation_out(request, child) for child in row.children.all()],
    )


@router.post(
    "operations/{id}/cancel", response={202: OperationOut, **CHANGE}, tags=["operations"], summary="Cancel an operation"
)
def cancel(request: HttpRequest, response: HttpResponse, id: UUID) -> Accepted:  # noqa: A002
    """A waiting operation ends at once; a running one is asked to stop, if it can be stopped."""
    row = _operation(request, id)
    queue.cancel(row, actor_of(request, "api"))
    return accepted(request, response, _operation(request, id))


@router.post(
    "operations/{id}/signal",
    response={202: OperationOut, **CHANGE},
    tags=["operations"],
    summary="Ask something of a running operation",
)
def signal(request: HttpRequest, response: HttpResponse, id: UUID, body: SignalBody) -> Accepted:  # noqa: A002
    """Such as another bandwidth for a migration under way."""
    row = _operation(request, id)
    queue.signal(row, body.name, body.arguments, actor_of(request, "api"))
    return accepted(request, response, row)


def _hosts() -> QuerySet[Host]:
    present = Q(vms__absent_since=None)
    running = present & Q(vms__power_state__in=("running", "migrating"))
    return Host.objects.annotate(
        guests_total=Count("vms", filter=present), guests_running=Count("vms", filter=running)
    ).order_by("name")


def _host(row: Any) -> dict[str, Any]:
    names = [name for name in HostOut.model_fields if name not in ("guests", "state_text")]
    return columns(row, names) | {
        "state_text": row.state_words,
        "guests": Guests(total=row.guests_total, running=row.guests_running),
    }


def _operation(request: HttpRequest, pk: UUID) -> Operation:
    return find(access.visible_to(request.user, Operation.objects.all()), pk=pk)


_OPERATION_FILTERS: dict[str, Callable[[Any], Q]] = {
    "state": lambda value: Q(state__in=value.split(",")),
    "kind": lambda value: Q(kind=value),
    "actor": lambda value: Q(actor_name=value),
    "host": lambda value: Q(host_name=value),
    "vm": lambda value: Q(subject_uuid=value),
    "parent": lambda value: Q(parent_id=value),
    "since": lambda value: Q(created_at__gte=_moment("since", value)),
}


def _operations_filter(query: OperationQuery) -> Q:
    wanted = Q()
    for name, condition in _OPERATION_FILTERS.items():
        value = getattr(query, name)
        if value is not None:
            wanted &= condition(value)
    return wanted


def _moment(field: str, text: str) -> datetime:
    """A moment in ISO 8601 with its offset."""
    try:
        moment = datetime.fromisoformat(text.replace(" ", "+"))  # An unquoted '+' arrives as a space.
        if moment.tzinfo is None or "T" not in text.upper():
            raise ValueError
        return moment.astimezone(UTC)
    except (ValueError, OverflowError):
        raise invalid("query", field, _("A moment looks like 2026-01-31T12:00:00Z.")) from None


def _host_row(request: HttpRequest, name: str) -> Host:
    return find(access.visible_to(request.user, Host.objects.all()), name=name)


for _name, _kind in sorted(registry.items()):
    if isinstance(_kind, HostKind):
        _path = f"hosts/{{name}}/{_name.removeprefix('host-')}"
        add_kind(router, _kind, _path, ("name", HostName), _host_row, HOST_ARGUMENTS.get(_name, AnyArguments))
