"""The API's records of moves."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.http import HttpRequest
from django.utils.translation import gettext_noop
from ninja import Field, Router, Schema

from hosts import access
from hosts.api_tools import find
from hosts.models import Operation
from hosts.problems import ANY
from vms.models import MoveRecord
from vms.moving.curve import Point, forecast

router = Router(tags=["vms"])
#: what :func:`hosts.api_tools.find` may not find, for the catalogue of translations
THINGS = (gettext_noop("move record"),)


class PointOut(Schema):
    """The move ``t`` seconds after its begin; bytes, and bytes a second."""

    t: float
    left: int
    sent: int
    total: int
    rate: int
    dirty: int
    n: int = Field(description="The pass over the guest's memory.")


class ForecastOut(Schema):
    """How it will end when nothing is changed, seen from its last point."""

    verdict: str = Field(json_schema_extra={"enum": ["early", "ends", "never"]})
    seconds: float | None
    pause_ms: int | None
    dirty: int
    link: int


class MoveOut(Schema):
    """How a move went, or goes."""

    operation: UUID
    state: str
    allowed_ms: int = Field(description="The pause that QEMU may make at its end.")
    points: list[PointOut]
    steered: list[dict[str, Any]] = Field(description="What was asked meanwhile: t, who, what, value, done.")
    forecast: ForecastOut | None = Field(description="Of one that is under way.")


@router.get("vms/{uuid}/moves/{operation}", response={200: MoveOut, **ANY}, summary="The curve of a move")
def move(request: HttpRequest, uuid: UUID, operation: UUID) -> MoveOut:
    """Of one that is under way, or has ended."""
    visible = access.visible_to(request.user, Operation.objects.filter(subject_uuid=uuid, kind="migrate"))
    record = find(MoveRecord.objects.filter(operation__in=visible).select_related("operation"), pk=operation)
    points = [Point.of(one) for one in record.points]
    coming = forecast(points, record.allowed_ms) if record.operation.is_active else None
    return MoveOut(
        operation=record.operation_id,
        state=record.operation.state,
        allowed_ms=record.allowed_ms,
        points=[PointOut.from_orm(point) for point in points],
        steered=record.steered,
        forecast=ForecastOut.from_orm(coming) if coming is not None else None,
    )
