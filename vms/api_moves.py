"""The API's records of moves."""

from __future__ import annotations

from typing import Any, Literal
from uuid import UUID

from django.http import HttpRequest
from django.utils.translation import gettext_noop
from ninja import Field, Router, Schema

from hosts import access
from hosts.api_schemas import Body
from hosts.api_tools import find
from hosts.models import Operation
from hosts.problems import ANY, CHANGE
from hosts.requests import actor_of
from vms.models import MoveRecord, VirtualMachine
from vms.moving import policies
from vms.moving.curve import Point, forecast
from vms.moving.leftovers import leftovers_of

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


class PolicyOut(Schema):
    """A named way to move guests: `values` are arguments of `migrate`; what is not among them is as usual."""

    name: str
    label: str
    words: str
    values: dict[str, Any]
    used: bool = Field(description="Whether it is what is meant in this cluster where nothing is said.")


class PolicyBody(Body):
    """Which one."""

    policy: Literal["safe", "fast", "never-pause", "huge"]


def _policies() -> list[PolicyOut]:
    used = policies.of_cluster().name
    return [
        PolicyOut(name=one.name, label=str(one.label), words=str(one.words), values=one.values, used=one.name == used)
        for one in policies.POLICIES.values()
    ]


@router.get("policies", response={200: list[PolicyOut], **ANY}, summary="Policies of moves")
def list_policies(request: HttpRequest) -> list[PolicyOut]:
    """Named ways to move guests."""
    access.require(request.user, "vm.view")
    return _policies()


@router.post("policies", response={200: list[PolicyOut], **CHANGE}, summary="Choose the cluster's policy of moves")
def choose_policy(request: HttpRequest, body: PolicyBody) -> list[PolicyOut]:
    """It is what is meant from now on where a move says nothing else."""
    policies.choose(body.policy, actor_of(request, "api"))
    return _policies()


class LeftDefinitionOut(Schema):
    """A definition on a host where the guest is not any more."""

    host: str
    name: str


class LeftDiskOut(Schema):
    """A volume that a move copied from and that nothing uses any more."""

    host: str
    pool: str
    name: str
    path: str
    allocation: int


class LeftoversOut(Schema):
    """What moves have left behind; `tidy` removes it."""

    definitions: list[LeftDefinitionOut]
    disks: list[LeftDiskOut]


@router.get("vms/{uuid}/leftovers", response={200: LeftoversOut, **ANY}, summary="What moves have left behind")
def leftovers(request: HttpRequest, uuid: UUID) -> LeftoversOut:
    """Nothing while it is not certain where the guest is."""
    visible = access.visible_to(request.user, VirtualMachine.objects.select_related("host"))
    left = leftovers_of(find(visible, uuid=uuid))
    return LeftoversOut(
        definitions=[LeftDefinitionOut(host=one.host.name, name=one.name) for one in left.definitions],
        disks=[
            LeftDiskOut(
                host=one.volume.pool.host.name,
                pool=one.volume.pool.name,
                name=one.volume.name,
                path=one.volume.path,
                allocation=one.volume.allocation,
            )
            for one in left.disks
        ],
    )


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
