"""Whether guests may move, before anything does: one guest against every host, or a selection as a table."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from hosts import access
from hosts.models import Host
from hosts.operations.kind import InvalidArguments, Refused
from hosts.requests import user_of
from hosts.views import answers
from vms.models import VirtualMachine
from vms.moving.preflight import rows
from vms.moving.preflight.engine import CHECKS, Table
from vms.moving.preflight.facts import Machine
from vms.moving.preflight.finding import NO, UNKNOWN, VERDICTS, WARNING, Finding
from vms.views.act import guest_or_404

#: guests of one table: their keys must fit into an address
MOST = 150


@dataclass(frozen=True, slots=True)
class Cell:
    """One check of one guest against one host, as people read it."""

    name: str
    label: str
    verdict: str
    reason: str
    remedy: str


@dataclass(frozen=True, slots=True)
class Row:
    """One host with all checks; ``left`` is the memory that would be free there afterwards."""

    machine: Machine
    verdict: str
    cells: list[Cell]
    left: int | None
    oldest: datetime | None

    @property
    def telling(self) -> list[Cell]:
        """The cells that somebody should read: what is not simply so."""
        return sorted(
            (cell for cell in self.cells if cell.verdict != "ok"), key=lambda cell: -VERDICTS.index(cell.verdict)
        )


def matrix(table: Table, guest: int = 0) -> list[Row]:
    """Every host for one guest, the best first."""
    return [_row(table, guest, number) for number in table.best(guest)]


def _row(table: Table, guest: int, number: int) -> Row:
    machine = table.machines[number]
    cells = [cell_of(check.name, check.label, finding) for check, finding in table.cells(guest, number)]
    left = machine.free - table.guests[guest].memory if machine.free is not None else None
    told = (machine.seen_at, machine.resources_at, machine.abilities_at, machine.supply_at)
    ages = [at for at in told if at is not None]
    return Row(machine, VERDICTS[table.verdicts[guest][number]], cells, left, min(ages, default=None))


def cell_of(name: str, label: str, finding: Finding) -> Cell:
    """As the page and the API tell it."""
    return Cell(name, _(label), finding.name, finding.reason, finding.remedy)


@require_safe
def preflight(request: HttpRequest, key: uuid.UUID) -> HttpResponse:
    """One guest against every host."""
    vm, user = guest_or_404(request, key), user_of(request)
    found = matrix(rows.table([vm], access.visible_to(user, Host.objects.all())))
    context = {
        "vm": vm,
        "rows": found,
        "checks": [(check.name, _(check.label)) for check in CHECKS],
        "best": next((row for row in found if row.verdict != "no"), None),
        "may_move": access.may(user, "vm.migrate", vm),
        "nav": "vms",
    }
    return render(request, "vms/preflight.html", context)


@require_safe
def many(request: HttpRequest) -> HttpResponse:
    """A selection against every host."""
    try:
        vms = chosen(request)
    except Refused as error:
        return answers.refused(request, error, nav="vms")
    if answers.is_htmx(request):
        return _elsewhere(vms)
    table = rows.table(vms, access.visible_to(user_of(request), Host.objects.all()))
    context = {
        "machines": [_head(table, number) for number in range(len(table.machines))],
        "guests": [_summary(table, vm, number) for number, vm in enumerate(vms)],
        "stuck": sum(min(verdicts, default=NO) == NO for verdicts in table.verdicts),
        "nav": "vms",
    }
    return render(request, "vms/preflight_many.html", context)


def _elsewhere(vms: list[VirtualMachine]) -> HttpResponse:
    """The list asks by a button: the browser is sent to the page of its own."""
    address = f"{reverse('vms:preflight_many')}?{urlencode([('vm', str(vm.pk)) for vm in vms])}"
    return HttpResponse(status=204, headers={"HX-Redirect": address})


def chosen(request: HttpRequest) -> list[VirtualMachine]:
    """The guests whose UUIDs the address names. Raises Refused."""
    texts = request.GET.getlist("vm") or request.GET.getlist("ids")
    if len(texts) > MOST:
        raise InvalidArguments("vm", _("At most %(n)d machines at once.") % {"n": MOST})
    try:
        keys = {uuid.UUID(text) for text in texts}
    except ValueError:
        raise InvalidArguments("vm", _("What was selected is no machine.")) from None
    visible = access.visible_to(user_of(request), VirtualMachine.objects.filter(pk__in=keys))
    vms = list(visible.select_related("host").order_by("name", "uuid"))
    if len(vms) < len(keys):
        raise Refused(_("Some of the selected machines are no longer there. Select again."))
    return vms


def _head(table: Table, number: int) -> dict[str, Any]:
    verdicts = [row[number] for row in table.verdicts]
    return {"machine": table.machines[number], "may": sum(verdict != NO for verdict in verdicts), "of": len(verdicts)}


def _summary(table: Table, vm: VirtualMachine, guest: int) -> dict[str, Any]:
    cells = []
    for number, machine in enumerate(table.machines):
        verdict = table.verdicts[guest][number]
        against = table.against(guest, number, min(max(verdict, WARNING), NO)) if verdict else []
        cells.append({
            "machine": machine,
            "here": machine.id == vm.host_id,
            "verdict": VERDICTS[verdict],
            "reason": against[0][1].reason if against else "",
        })  # fmt: skip
    fits = [cell for cell in cells if cell["verdict"] != "no"]
    unsure = any(cell["verdict"] == VERDICTS[UNKNOWN] for cell in fits)
    return {"vm": vm, "cells": cells, "fits": len(fits), "unsure": unsure}
