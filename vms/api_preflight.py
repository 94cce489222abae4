"""The API's preflight: whether guests may move, and why not. Looking changes nothing."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from django.http import HttpRequest
from ninja import Field, Query, Router, Schema

from hosts import access
from hosts.api_tools import find, only_known
from hosts.models import Host
from hosts.problems import ANY
from vms.models import VirtualMachine
from vms.moving.preflight import rows
from vms.moving.preflight.baseline import baselines
from vms.moving.preflight.finding import VERDICTS, WARNING
from vms.views.preflight import matrix

router = Router(tags=["vms"])
VERDICT: dict[str, Any] = {"enum": list(VERDICTS)}
MOST = 500


class CellOut(Schema):
    """One check of a guest against a host. What is not known is never ok."""

    check: str
    verdict: str = Field(json_schema_extra=VERDICT)
    reason: str
    remedy: str = Field(description="What would mend it; empty where nothing has to be, or nothing can.")


class TargetOut(Schema):
    """One host; its verdict is the worst of its cells."""

    host: str
    verdict: str = Field(json_schema_extra=VERDICT)
    memory_left: int | None = Field(description="Bytes that would be free there afterwards.")
    seen_at: datetime | None = Field(description="When the host was last heard of.")
    resources_at: datetime | None = Field(description="When its networks and guests were last read.")
    supply_at: datetime | None = Field(
        description="When it told how many huge pages are free and which secrets it has."
    )
    processors_at: datetime | None = Field(description="When it told which processors guests can have.")
    cells: list[CellOut]


class PreflightOut(Schema):
    """Every host for one guest, the best first."""

    uuid: UUID
    name: str
    host: str | None
    seen_at: datetime | None
    targets: list[TargetOut]


class SummaryTarget(Schema):
    """A host for one of several guests, with the first reason against it."""

    host: str
    verdict: str = Field(json_schema_extra=VERDICT)
    reason: str


class SummaryOut(Schema):
    """One of several guests."""

    uuid: UUID
    name: str
    host: str | None
    targets: list[SummaryTarget]


class SummaryQuery(Schema):
    """Which guests."""

    uuid: list[UUID] = Field(max_length=MOST, min_length=1)


class BeyondOut(Schema):
    """A host, and the features that it has beyond what all have."""

    host: str
    more: list[str]
    seen_at: datetime | None


class BaselineOut(Schema):
    """What all hosts have in common that run guests of one architecture in one way."""

    arch: str
    virt: str
    features: list[str]
    models: list[str]
    hosts: list[BeyondOut]
    silent: list[str] = Field(description="Hosts that have not told.")


@router.get("vms/{uuid}/preflight", response={200: PreflightOut, **ANY}, summary="Where a guest can move")
def preflight(request: HttpRequest, uuid: UUID) -> PreflightOut:
    """Every host with every check, from what the hosts told last."""
    vm = find(access.visible_to(request.user, VirtualMachine.objects.select_related("host")), uuid=uuid)
    found = matrix(rows.table([vm], access.visible_to(request.user, Host.objects.all())))
    targets = [
        TargetOut(
            host=row.machine.name,
            verdict=row.verdict,
            memory_left=row.left,
            seen_at=row.machine.seen_at,
            resources_at=row.machine.resources_at,
            processors_at=row.machine.abilities_at,
            supply_at=row.machine.supply_at,
            cells=[CellOut(check=c.name, verdict=c.verdict, reason=c.reason, remedy=c.remedy) for c in row.cells],
        )
        for row in found
    ]
    host = vm.host.name if vm.host is not None else None
    return PreflightOut(uuid=vm.pk, name=vm.name, host=host, seen_at=vm.seen_at, targets=targets)


@router.get("preflight", response={200: list[SummaryOut], **ANY}, summary="Where several guests can move")
def several(request: HttpRequest, query: Query[SummaryQuery]) -> list[SummaryOut]:
    """``uuid`` is given once for each guest; those that are not there are left out."""
    only_known(request, SummaryQuery)
    visible = access.visible_to(request.user, VirtualMachine.objects.filter(pk__in=query.uuid))
    vms = list(visible.select_related("host").order_by("name", "uuid"))
    table = rows.table(vms, access.visible_to(request.user, Host.objects.all()))
    found = []
    for guest, vm in enumerate(vms):
        targets = []
        for number in table.best(guest):
            against = table.against(guest, number, WARNING)
            verdict = VERDICTS[table.verdicts[guest][number]]
            reason = against[0][1].reason if against else ""
            targets.append(SummaryTarget(host=table.machines[number].name, verdict=verdict, reason=reason))
        host = vm.host.name if vm.host is not None else None
        found.append(SummaryOut(uuid=vm.pk, name=vm.name, host=host, targets=targets))
    return found


@router.get("processors", response={200: list[BaselineOut], **ANY}, summary="Processor features that all hosts have")
def processors(request: HttpRequest) -> list[BaselineOut]:
    """Guests that have no more than these can move to each of the hosts."""
    machines = rows.machines_of(access.visible_to(request.user, Host.objects.all()), [])
    return [
        BaselineOut(
            arch=one.arch,
            virt=one.virt,
            features=list(one.features),
            models=list(one.models),
            hosts=[
                BeyondOut(host=m.machine.name, more=list(m.more), seen_at=m.machine.abilities_at) for m in one.members
            ],
            silent=list(one.silent),
        )
        for one in baselines(machines)
    ]
