"""The processors of the whole cluster: what all hosts have in common, and which guests can go where."""

from __future__ import annotations

from typing import Any

from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from hosts import access
from hosts.models import Host
from hosts.requests import user_of
from vms.models import VirtualMachine
from vms.moving.preflight import rows
from vms.moving.preflight.baseline import baselines
from vms.moving.preflight.engine import Table
from vms.moving.preflight.finding import NO
from vms.views.listing import page_number

#: guests that are judged for one page
GUESTS_A_PAGE = 200


@require_safe
def processors(request: HttpRequest) -> HttpResponse:
    """The baseline, and the guests that block moves."""
    user = user_of(request)
    guests = access.visible_to(
        user, VirtualMachine.objects.filter(absent_since=None, power_state__in=("running", "paused"))
    )
    paginator = Paginator(guests.select_related("host").order_by("name", "uuid"), GUESTS_A_PAGE)
    page = paginator.page(min(page_number(request.GET), paginator.num_pages))
    table = rows.table(list(page.object_list), access.visible_to(user, Host.objects.all()))
    context = {
        "baselines": baselines(table.machines),
        "blocking": blocking(table, list(page.object_list)),
        "hosts": len(table.machines),
        "page_obj": page,
        "nav": "hosts",
    }
    return render(request, "vms/processors.html", context)


def blocking(table: Table, vms: list[VirtualMachine]) -> list[dict[str, Any]]:
    """Guests that cannot go to some other host, those that can go to none first; with why not, each reason once."""
    found = []
    for guest, vm in enumerate(vms):
        others = [number for number, machine in enumerate(table.machines) if machine.id != vm.host_id]
        refused = [number for number in others if table.verdicts[guest][number] == NO]
        if not refused:
            continue
        reasons: dict[str, list[str]] = {}
        for number in refused:
            for _check, finding in table.against(guest, number):
                reasons.setdefault(finding.reason, []).append(table.machines[number].name)
        cpu = sum(any(check.name == "cpu" for check, _f in table.against(guest, number)) for number in refused)
        found.append({
            "vm": vm, "refused": len(refused), "of": len(others), "nowhere": len(refused) == len(others),
            "reasons": list(reasons)[:4], "more": max(0, len(reasons) - 4), "cpu": cpu,
        })  # fmt: skip
    return sorted(found, key=lambda one: (not one["nowhere"], -one["refused"], one["vm"].name))
