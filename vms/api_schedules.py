"""The API's schedules of snapshots."""

from __future__ import annotations

import datetime as dt
from typing import Any, Literal
from uuid import UUID

from django.http import HttpRequest
from django.utils.translation import gettext_noop
from ninja import Field, Router, Schema, Status

from hosts import access
from hosts.api_schemas import Body
from hosts.api_tools import find, sent
from hosts.operations.kind import InvalidArguments
from hosts.problems import ANY, CHANGE, invalid
from hosts.requests import actor_of
from hosts.said import said
from vms import schedules
from vms.api_definition import MOST_NUMBER
from vms.models import SnapshotSchedule, VirtualMachine

router = Router(tags=["vms"])
#: what :func:`hosts.api_tools.find` may not find, for the catalogue of translations
THINGS = (gettext_noop("snapshot schedule"),)


class ScheduleBody(Body):
    """When, how, and how many are kept. What is left out is as on the page's empty form, or stays as it is."""

    enabled: bool = True
    every: Literal["hours", "day", "week", "month"] = "day"
    hours: int = Field(6, ge=1, le=12, description="For every few hours, counted from midnight.")
    at: str = Field(
        "03:00", pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$", description="By the server's clock and time zone."
    )
    weekday: int = Field(0, ge=0, le=6, description="0 is Monday.")
    day: int = Field(1, ge=1, le=31, description="Of the month; the last one in months that are shorter.")
    where: Literal["internal", "external"] = "internal"
    quiesce: bool = Field(True, description="Freeze file systems where the agent answers; for external ones.")
    keep: int = Field(7, ge=1, le=schedules.MOST_KEPT)


class ScheduleOut(Schema):
    """A schedule, and how it stands."""

    id: int
    enabled: bool
    every: str
    hours: int
    at: str
    weekday: int
    day: int
    where: str
    quiesce: bool
    keep: int
    owner: str = Field(description="In whose name it asks.")
    next_at: dt.datetime
    last_at: dt.datetime | None
    taken: list[str] = Field(description="Names of its snapshots, oldest first.")
    operation: UUID | None = Field(description="What it waits for now.")
    trouble: str = Field(description="Why its last turn failed; empty when it did not.")


@router.get(
    "vms/{uuid}/schedules", response={200: list[ScheduleOut], **ANY}, summary="A guest's schedules of snapshots"
)
def listed(request: HttpRequest, uuid: UUID) -> list[ScheduleOut]:
    """All of them."""
    return [_out(row) for row in schedules.of(_vm(request, uuid))]


@router.post("vms/{uuid}/schedules", response={201: ScheduleOut, **CHANGE}, summary="Take snapshots by the clock")
def add(request: HttpRequest, uuid: UUID, body: ScheduleBody) -> Status[ScheduleOut]:
    """Make a schedule; it asks in your name."""
    return Status(201, _out(_save(request, _vm(request, uuid), body, None)))


@router.put("vms/{uuid}/schedules/{id}", response={200: ScheduleOut, **CHANGE}, summary="Change a schedule")
def change(request: HttpRequest, uuid: UUID, id: int, body: ScheduleBody) -> ScheduleOut:  # noqa: A002
    """What is left out stays as it is; from now on it asks in your name."""
    vm = _vm(request, uuid)
    return _out(_save(request, vm, body, _row(vm, id)))


@router.delete("vms/{uuid}/schedules/{id}", response={204: None, **CHANGE}, summary="Remove a schedule")
def remove(request: HttpRequest, uuid: UUID, id: int) -> Status[None]:  # noqa: A002
    """The snapshots that it took stay."""
    schedules.remove(_row(_vm(request, uuid), id), actor_of(request, "api"))
    return Status(204, None)


def _save(
    request: HttpRequest, vm: VirtualMachine, body: ScheduleBody, row: SnapshotSchedule | None
) -> SnapshotSchedule:
    given: dict[str, Any] = sent(body)
    if "at" in given:
        given["at"] = dt.time.fromisoformat(given["at"])
    try:
        return schedules.save(vm, given, actor_of(request, "api"), row)
    except InvalidArguments as error:
        raise invalid("body", error.field, str(error)) from error


def _vm(request: HttpRequest, uuid: UUID) -> VirtualMachine:
    return find(access.visible_to(request.user, VirtualMachine.objects.select_related("host")), uuid=uuid)


def _row(vm: VirtualMachine, number: int) -> SnapshotSchedule:
    return find(schedules.of(vm).filter(pk__lte=MOST_NUMBER), pk=min(max(number, 0), MOST_NUMBER))


def _out(row: SnapshotSchedule) -> ScheduleOut:
    plain = ("enabled", "every", "hours", "weekday", "day", "where", "quiesce", "keep", "next_at", "last_at", "taken")
    return ScheduleOut(
        id=row.pk,
        at=f"{row.at:%H:%M}",
        owner=row.owner_name,
        operation=row.pending,
        trouble=said(row.trouble) if row.trouble else "",
        **{name: getattr(row, name) for name in plain},
    )
