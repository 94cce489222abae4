"""The API's plans of moves, and maintenance of hosts."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from django.http import HttpRequest
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop
from ninja import Field, Router, Schema, Status

from hosts import access
from hosts.api_schemas import Body
from hosts.api_tools import find, sent
from hosts.audit import Actor
from hosts.models import Host
from hosts.operations.kind import InvalidArguments, Refused
from hosts.operations.storage_base import NotNow
from hosts.problems import ANY, CHANGE, invalid
from hosts.requests import actor_of, user_of
from vms.models import MovePlan, VirtualMachine
from vms.moving.plans import driving, editing, making
from vms.views.plans import context_of

#: a UUID, which JSON has only as text
Key = Annotated[UUID, Field(strict=False)]
router = Router(tags=["vms"])
#: what :func:`hosts.api_tools.find` may not find, for the catalogue of translations
THINGS = (gettext_noop("move plan"),)
LISTED = 200


class MovePlanBody(Body):
    """What is to be planned: a host that is to be empty, or guests that are to move."""

    host: str | None = Field(None, max_length=63)
    uuids: list[Key] | None = Field(None, min_length=1, max_length=500)


class MoveStepBody(Body):
    """What is to become of one guest of the plan."""

    vm: Key
    action: Literal["move", "shutdown", "save", "start", "stay"] | None = None
    target: str | None = Field(None, max_length=63, description="The host, of a move.")
    copy_storage: bool | None = None


class MovePlanChange(Body):
    """What is left out stays as it is."""

    per_host: int | None = Field(None, ge=1, le=editing.MOST_AT_ONCE, description="Moves of one host at a time.")
    per_link: int | None = Field(None, ge=1, le=editing.MOST_AT_ONCE, description="Moves between two hosts at a time.")
    unsafe: bool | None = Field(None, description="Of all moves: the storage is shared.")
    auto_converge: bool | None = Field(None, description="Of all moves: slow guests down if it must be.")
    bandwidth: int | None = Field(None, ge=0, le=1024 * 1024, description="Of each move, MiB a second; 0: no limit.")
    steps: list[MoveStepBody] | None = Field(None, max_length=making.MOST)


class MoveStepOut(Schema):
    """What becomes, or became, of one guest."""

    order: int
    vm: UUID
    name: str
    source: str
    action: str
    target: str | None
    copy_storage: bool
    memory: int
    why: str
    expected: float | None = Field(description="Seconds.")
    guessed: bool = Field(description="Whether that is a guess: nothing was measured between these hosts.")
    state: str = Field(json_schema_extra={"enum": ["waiting", "running", "succeeded", "failed", "skipped"]})
    operation: UUID | None


class MoveRoomOut(Schema):
    """What comes to a target, and what is left of its free memory then."""

    host: str
    guests: int
    memory: int
    left: int | None


class MovePlanOut(Schema):
    """A plan in short."""

    id: UUID
    purpose: str
    host: str | None
    state: str = Field(json_schema_extra={"enum": ["draft", "running", "paused", "stopping", "done"]})
    actor: str
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    operation: UUID | None = Field(description="The bulk operation whose children the steps are.")


class MovePlanDetail(MovePlanOut):
    """A plan with its steps."""

    per_host: int
    per_link: int
    arguments: dict[str, Any]
    lasts: float = Field(description="Seconds that all of it is expected to take.")
    guessed: bool
    rooms: list[MoveRoomOut]
    steps: list[MoveStepOut]


class MaintenanceBody(Body):
    """Whether new guests and moves keep away from the host."""

    on: bool


class MaintenanceOut(Schema):
    """How it is now."""

    host: str
    maintenance_since: datetime | None
    maintenance_by: str


@router.get("plans", response={200: list[MovePlanOut], **ANY}, summary="Plans of moves")
def plans(request: HttpRequest) -> list[MovePlanOut]:
    """The newest 200."""
    rows = access.visible_to(request.user, MovePlan.objects.all())[:LISTED]
    return [MovePlanOut(**_short(row)) for row in rows]


@router.post("plans", response={201: MovePlanDetail, **CHANGE}, summary="Plan moves")
def make(request: HttpRequest, body: MovePlanBody) -> Status[MovePlanDetail]:
    """A draft: nothing moves. Each guest goes to the host that is best for it; those that can go nowhere say why."""
    actor = actor_of(request, "api")
    access.require(user_of(request), making.VERB)
    if (body.host is None) == (body.uuids is None):
        raise Refused(_("Either a host is needed or guests."))
    if body.host is not None:
        host = Host.objects.filter(name=body.host).first()
        if host is None:
            raise NotNow("host", _("There is no such host."))
        return Status(201, _detail(request, making.of_host(host, actor)))
    visible = access.visible_to(request.user, VirtualMachine.objects.filter(pk__in=body.uuids or []))
    vms = list(visible)
    if len(vms) < len(set(body.uuids or [])):
        raise NotNow("uuids", _("Some of the selected machines are no longer there. Select again."))
    return Status(201, _detail(request, making.of_selection(vms, actor)))


@router.get("plans/{plan}", response={200: MovePlanDetail, **ANY}, summary="A plan of moves")
def one(request: HttpRequest, plan: UUID) -> MovePlanDetail:
    """With every step."""
    return _detail(request, _row(request, plan))


@router.patch("plans/{plan}", response={200: MovePlanDetail, **CHANGE}, summary="Change a draft")
def change(request: HttpRequest, plan: UUID, body: MovePlanChange) -> MovePlanDetail:
    """Other targets, other actions, another pace. A target that will not do is refused with the reason."""
    row = _row(request, plan)
    said = {name: value for name, value in sent(body).items() if value is not None}
    for step in said.get("steps", []):
        step["vm"] = str(step["vm"])
    said["steps"] = [{name: v for name, v in step.items() if v is not None} for step in said.get("steps", [])]
    try:
        editing.change(row, said, actor_of(request, "api"))
    except InvalidArguments as error:
        raise invalid("body", error.field, str(error)) from error
    return _detail(request, _row(request, plan))


VERBS: dict[str, Callable[[MovePlan, Actor], Any]] = {
    "run": driving.run,
    "pause": driving.pause,
    "continue": driving.go_on,
    "stop": driving.stop,
    "back": making.back,
}


@router.post(
    "plans/{plan}/{verb}", response={200: MovePlanDetail, **CHANGE}, summary="Begin, pause, continue, stop, bring back"
)
def tell(request: HttpRequest, plan: UUID, verb: Literal["run", "pause", "continue", "stop", "back"]) -> MovePlanDetail:
    """``stop`` lets moves end that are under way. ``back`` makes a new draft that takes an ended plan back, and answers with it."""
    row = _row(request, plan)
    access.require(user_of(request), making.VERB)
    made = VERBS[verb](row, actor_of(request, "api"))
    return _detail(request, made if isinstance(made, MovePlan) else _row(request, plan))


@router.delete("plans/{plan}", response={204: None, **CHANGE}, summary="Throw a draft away")
def drop(request: HttpRequest, plan: UUID) -> Status[None]:
    """Only a draft."""
    editing.drop(_row(request, plan), actor_of(request, "api"))
    return Status(204, None)


@router.post("hosts/{name}/maintenance", response={200: MaintenanceOut, **CHANGE}, summary="Maintenance of a host")
def maintenance(request: HttpRequest, name: str, body: MaintenanceBody) -> MaintenanceOut:
    """While it is on, no new guest is made there and no guest moves there. Guests that are there stay: plan their moves."""
    host = find(access.visible_to(request.user, Host.objects.all()), name=name[:63])
    actor = actor_of(request, "api")
    driving.enter(host, actor) if body.on else driving.leave(host, actor)
    host.refresh_from_db(fields=["maintenance_since", "maintenance_by"])
    return MaintenanceOut(host=host.name, maintenance_since=host.maintenance_since, maintenance_by=host.maintenance_by)


def _row(request: HttpRequest, key: UUID) -> MovePlan:
    return find(access.visible_to(request.user, MovePlan.objects.all()), pk=key)


def _short(row: MovePlan) -> dict[str, Any]:
    plain = ("id", "purpose", "state", "created_at", "started_at", "finished_at")
    names = {"host": row.host_name or None, "actor": row.actor_name, "operation": row.operation_id}
    return {name: getattr(row, name) for name in plain} | names


def _detail(request: HttpRequest, row: MovePlan) -> MovePlanDetail:
    shown = context_of(row, user_of(request))
    steps = [
        MoveStepOut(
            order=step.order, vm=step.vm_id, name=step.vm_name, source=step.source_name, action=step.action,
            target=step.target_name or None, copy_storage=step.copy_storage, memory=step.memory, why=step.why_words,
            expected=step.expected, guessed=step.guessed, state=step.state, operation=step.operation_id,
        )
        for step in (one["row"] for one in shown["steps"])
    ]  # fmt: skip
    rooms = [
        MoveRoomOut(host=r["host"].name, guests=r["guests"], memory=r["memory"], left=r["left"]) for r in shown["rooms"]
    ]
    return MovePlanDetail(
        **_short(row), per_host=row.per_host, per_link=row.per_link, arguments=row.arguments, lasts=shown["lasts"],
        guessed=shown["guessed"], rooms=rooms, steps=steps,
    )  # fmt: skip
