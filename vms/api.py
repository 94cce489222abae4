"""The API's guests. Each kind of operation on a guest is an address of its own, made from the registry of kinds."""

from __future__ import annotations

from functools import partial
from typing import Any
from uuid import UUID

from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext as _
from ninja import Query, Router, Status
from pydantic import ValidationError

from hosts import access
from hosts.api_schemas import AnyArguments, OperationOut
from hosts.api_tools import Accepted, accepted, add_kind, columns, find, only_known, page_of, sent
from hosts.models import Operation
from hosts.operations import queue
from hosts.operations.kind import InvalidArguments, Kind, registry
from hosts.problems import ANY, CHANGE, FieldError, ProblemError, invalid
from hosts.requests import actor_of, client_address, user_of
from hosts.said import said
from hosts.sessions import row_key_of
from hosts.tokens import token_of
from vms import deleting
from vms.api_consoles import router as consoles_router
from vms.api_create import add_to as add_creation
from vms.api_definition import router as definition_router
from vms.api_moves import router as moves_router
from vms.api_plans import router as plans_router
from vms.api_preflight import router as preflight_router
from vms.api_schedules import router as schedules_router
from vms.api_schemas import (
    ARGUMENTS,
    BulkBody,
    ConsoleBody,
    ConsoleOut,
    SightingOut,
    SnapshotOut,
    VmDetail,
    VmOut,
    VmPage,
    VmQuery,
    WatcherOut,
    verbs,
)
from vms.api_systems import router as systems_router
from vms.console.access import console_path, open_console
from vms.copies import COPY, asked_of
from vms.models import ConsoleSession, ConsoleTicket, Sighting, VirtualMachine
from vms.operations.base import GuestKind
from vms.selection import FILTERS, InvalidFilter, filter_vms, sort_vms
from vms.snapshots import snapshots_of

router = Router(tags=["vms"])
router.add_router("", definition_router)
add_creation(router)
router.add_router("", schedules_router)
router.add_router("", moves_router)
router.add_router("", preflight_router)
router.add_router("", plans_router)
router.add_router("", systems_router)
router.add_router("", consoles_router)
#: columns that are large, and that a list does not tell
NOT_LISTED = ("description", "disks", "nics", "graphics", "devices", "search_text")


@router.get("vms", response={200: VmPage, **ANY}, summary="List guests")
def vms(request: HttpRequest, query: Query[VmQuery]) -> VmPage:
    """The same search, filters and sorting as the page of virtual machines."""
    only_known(request, VmQuery)
    given = {name: value for name in FILTERS if (value := getattr(query, name))}
    try:
        wanted = sort_vms(filter_vms(_visible(request), given), query.sort)
    except InvalidFilter as error:
        raise invalid("query", error.field, error.message) from error
    rows, numbers = page_of(wanted.defer(*NOT_LISTED), query)
    return VmPage(items=[VmOut(**_vm(row)) for row in rows], **numbers)


@router.post("vms/bulk", response={202: OperationOut, **CHANGE}, summary="Ask for the same change to many guests")
def bulk(request: HttpRequest, response: HttpResponse, body: BulkBody) -> Accepted:
    """One operation with a child for each guest, each with a result of its own."""
    kind = registry.get(body.verb)
    if not isinstance(kind, GuestKind):
        raise invalid("body", "verb", _("There is no such verb; there are %(verbs)s.") % {"verbs": ", ".join(verbs())})
    arguments = _arguments_of(kind, body.arguments)
    rows = _all_of(request, body.uuids)
    return accepted(request, response, queue.enqueue_many(kind.name, rows, arguments, actor_of(request, "api")))


@router.get("vms/{uuid}", response={200: VmDetail, **ANY}, summary="One guest")
def vm(request: HttpRequest, uuid: UUID) -> VmDetail:
    """Everything known of a guest: where it was seen, its devices, who watches it, its definition."""
    row = find(_visible(request), uuid=uuid)
    sightings = list(row.sightings.select_related("host").order_by("host__name"))
    busy = Operation.objects.filter(subject_uuid=uuid, exclusive=True, state__in=Operation.ACTIVE).first()
    return VmDetail(
        **_vm(row),
        **columns(row, ("description", "disks", "nics", "graphics", "devices")),
        sightings=[_sighting(sighting) for sighting in sightings],
        snapshots=[SnapshotOut(**snapshot) for snapshot in snapshots_of(row)],
        consoles=[_watcher(console) for console in row.console_sessions.filter(closed_at=None).select_related("user")],
        operation=busy.pk if busy is not None else None,
        definition=next((_definition(sighting) for sighting in sightings if sighting.host_id == row.host_id), ""),
    )


@router.post("vms/{uuid}/console", response={200: ConsoleOut, **CHANGE}, summary="A ticket for a console")
def console(request: HttpRequest, uuid: UUID, wanted: ConsoleBody | None = None) -> ConsoleOut:
    """The address of a websocket, good for opening once within the next seconds."""
    row, user, token = find(_visible(request), uuid=uuid), user_of(request), token_of(request)
    view_only, device = (wanted.view_only, wanted.device) if wanted is not None else (None, "")
    if view_only is None:
        view_only = not access.may(user, "vm.console", row)
    ticket = open_console(
        user,
        row,
        view_only=view_only,
        device=device,
        session_key="" if token else row_key_of(request),
        token_id=token.pk if token else None,
        address=client_address(request),
        road="api",
    )
    url = f"{'wss' if request.is_secure() else 'ws'}://{request.get_host()}{console_path(ticket, uuid if device else None)}"
    seconds = int(ConsoleTicket.LIFETIME.total_seconds())
    return ConsoleOut(url=url, view_only=view_only, expires_in=seconds)


@router.post("vms/{uuid}/forget", response={204: None, **CHANGE}, summary="Forget a guest that no host holds")
def forget(request: HttpRequest, uuid: UUID) -> Status[None]:
    """Remove what is known of it; nothing is done on any host."""
    deleting.forget(find(_visible(request), uuid=uuid), actor_of(request, "api"))
    return Status(204, None)


def _visible(request: HttpRequest) -> QuerySet[VirtualMachine]:
    rows = access.visible_to(request.user, VirtualMachine.objects.all())
    return rows.select_related("host").prefetch_related("tags")


def _vm(row: VirtualMachine) -> dict[str, Any]:
    own = {"tags", "host", "stale"}
    return columns(row, [name for name in VmOut.model_fields if name not in own]) | {
        "tags": [tag.name for tag in row.tags.all()],
        "host": row.host.name if row.host is not None else None,
        "stale": row.is_stale,
    }


def _sighting(row: Sighting) -> SightingOut:
    same = [name for name in SightingOut.model_fields if name != "host"]
    return SightingOut(host=row.host.name, **columns(row, same))


def _watcher(row: ConsoleSession) -> WatcherOut:
    return WatcherOut(user=row.user.username, **columns(row, ("kind", "device", "view_only", "opened_at")))


def _definition(row: Sighting) -> str:
    return row.live_definition or row.inactive_definition


def _all_of(request: HttpRequest, uuids: list[UUID]) -> list[VirtualMachine]:
    """The guests in the order asked for, each once; 422 when one is not there."""
    found = {row.uuid: row for row in _visible(request).filter(uuid__in=uuids)}
    missing = [uuid for uuid in uuids if uuid not in found]
    if missing:
        raise invalid("body", "uuids", _("There is no guest %(uuid)s.") % {"uuid": missing[0]})
    return [found[uuid] for uuid in dict.fromkeys(uuids)]


def _arguments_of(kind: Kind, given: dict[str, Any]) -> dict[str, Any]:
    """The arguments of a bulk operation, checked like those of a single one."""
    try:
        return sent(ARGUMENTS.get(kind.name, AnyArguments).model_validate(given))
    except ValidationError as error:
        wrong = [
            FieldError(location="body", field=".".join(map(str, ("arguments", *one["loc"]))), message=said(one["msg"]))
            for one in error.errors(include_url=False)
        ]
        raise ProblemError(422, wrong[0].message, wrong) from error


def _row(request: HttpRequest, uuid: UUID) -> VirtualMachine:
    return find(_visible(request), uuid=uuid)


def _asked(kind: GuestKind, request: HttpRequest, uuid: UUID) -> VirtualMachine:
    """The guest, on the host that the query says, if it says one."""
    try:
        return asked_of(kind, _row(request, uuid), request.GET.get(COPY, ""))
    except InvalidArguments as error:
        raise invalid("query", error.field, str(error)) from error


def _add(kind: GuestKind) -> None:
    arguments, options = ARGUMENTS.get(kind.name, AnyArguments), (COPY,) if kind.of_copies else ()
    add_kind(router, kind, f"vms/{{uuid}}/{kind.name}", ("uuid", UUID), partial(_asked, kind), arguments, options)


for _kind in registry.values():
    if isinstance(_kind, GuestKind):
        _add(_kind)
