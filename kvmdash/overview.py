"""What the overview shows, piece by piece. Page and push use the same functions."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Any

from django.db.models import Case, Count, F, FloatField, Sum, Value, When
from django.urls import reverse

from hosts import access, capacity, fragments
from hosts.figures import STEPS
from hosts.models import Host, Operation, Sample, StoragePool, StorageVolume, User
from hosts.operations import presenter
from hosts.storage_queries import representatives
from kvmdash.shell import open_alarms
from vms.models import VirtualMachine

PowerState = VirtualMachine.PowerState
SHOWN_HOSTS = 24
ENDED = 8
#: share of a file system by which two looks at it may differ in what is free
NEARLY = 0.02
#: seconds after the end of a stretch until every host has written it
SETTLING = 10
Context = dict[str, Any]


def numbers(user: User) -> Context:
    """The three numbers that tell whether all is well."""
    rows = capacity.rows_for(user)
    totals = capacity.totals_of(rows)
    return {
        "totals": totals,
        "alarms": len(open_alarms(user)),
        "urls": {"vms": reverse("vms:list"), "hosts": reverse("hosts:list")},
        "unseen": sum(row.guests for row in rows if not row.is_live),
    }


def room(user: User) -> Context:
    """What there is of processors, memory and storage: used, promised, and in all."""
    return {"totals": capacity.totals_of(capacity.rows_for(user)), "storage": _storage(user)}


def _storage(user: User) -> dict[str, int] | None:
    """Bytes of all pools that can be asked, shared storage counted once; None where there are none."""
    pools = StoragePool.objects.filter(absent_since=None, active=True, host__state=Host.State.CONNECTED)
    rows = access.visible_to(user, pools).select_related("host").defer("definition", *capacity.heavy_of("host__"))
    chosen = set(representatives(rows))
    disks = file_systems(row for row in rows if row.pk in chosen and row.capacity)
    if not disks:
        return None
    volumes = StorageVolume.objects.filter(pool__in=chosen, absent_since=None)
    return {
        "capacity": sum(row.capacity for row in disks),
        "used": sum(row.allocation for row in disks),
        "promised": volumes.aggregate(sum=Sum("capacity"))["sum"] or 0,
    }


def file_systems(pools: Iterable[StoragePool]) -> list[StoragePool]:
    """One pool for each file system: folders of one tell the whole of it each, to the byte, and what is free as of their last look.

    libvirt does not say on which file system a folder lies. Two on one host with one size and about as much free are taken for
    one, which counts too little where they are not: better than promising room that is not there.
    """
    found: list[StoragePool] = []
    for pool in pools:
        if not any(_is_one_file_system(pool, other) for other in found):
            found.append(pool)
    return found


def _is_one_file_system(one: StoragePool, other: StoragePool) -> bool:
    if (one.host_id, one.capacity) != (other.host_id, other.capacity):
        return False
    if one.type == other.type == "dir":
        return abs(one.available - other.available) <= NEARLY * one.capacity
    return one.available == other.available


def hosts(user: User) -> Context:
    """Hosts with their bars, those in trouble first."""
    rows = sorted(capacity.rows_for(user), key=lambda row: (row.is_live, row.host.name))
    return {
        "rows": rows[:SHOWN_HOSTS],
        "rest": rows[SHOWN_HOSTS:],
        "more": max(0, len(rows) - SHOWN_HOSTS),
        "may_manage": access.may(user, "host.manage"),
    }


def guests(user: User) -> Context:
    """Guests by state; those on hosts that do not answer are counted as what they are: not known."""
    present = access.visible_to(user, VirtualMachine.objects.filter(absent_since=None)).order_by()
    counted = present.values("power_state", "host__state").annotate(n=Count("pk"))
    counts: dict[str, int] = {}
    for line in counted:
        state = line["power_state"] if line["host__state"] == Host.State.CONNECTED else "unreachable"
        counts[state] = counts.get(state, 0) + line["n"]
    total = sum(counts.values())
    order = [*PowerState.values, "unreachable"]
    return {
        "total": total,
        "states": [
            {"state": state, "count": counts[state], "share": 100 * counts[state] / total, "url": _vms_in(state)}
            for state in order
            if counts.get(state)
        ],
    }


def _vms_in(state: str) -> str:
    query = "seen=stale" if state == "unreachable" else f"state={state}"
    return f"{reverse('vms:list')}?{query}"


def operations(user: User) -> Context:
    """What runs, and what ended last."""
    rows = access.visible_to(user, Operation.objects.filter(parent=None))
    active = rows.filter(state__in=Operation.ACTIVE)[:ENDED]
    ended = rows.exclude(state__in=Operation.ACTIVE).order_by("-finished_at")[:ENDED]
    return {
        "active": [presenter.present(operation, user) for operation in active],
        "ended": [presenter.present(operation, user) for operation in ended],
    }


def alarms(user: User) -> Context:
    """What needs a person now."""
    return {"alarms": open_alarms(user)}


def history(user: User, seconds: int) -> Context:
    """The cluster's figures: CPU weighted by processors, memory added up; in the shape of hosts.figures.history."""
    step = next((step for step, keep in STEPS if seconds <= keep), STEPS[-1][0])
    now = int(time.time())
    cpus = dict(access.visible_to(user, Host.objects.filter(cpus__gt=0)).values_list("pk", "cpus"))
    if not cpus:
        return {"step": step, "t": [], "series": {"cpu": [], "mem_used": []}}
    weights = Case(
        *(When(subject=f"host:{pk}", then=Value(float(count))) for pk, count in cpus.items()),
        default=Value(0.0), output_field=FloatField(),
    )  # fmt: skip
    rows = (
        Sample.objects.filter(
            subject__in=[f"host:{pk}" for pk in cpus], step=step, at__gte=now - seconds, cpu__isnull=False
        )
        .filter(at__lte=now - step - SETTLING)
        .order_by()
        .values("at")
        .annotate(weight=Sum(weights), busy=Sum(F("cpu") * weights), memory_sum=Sum("memory"))
        .order_by("at")
    )
    found = [(row["at"], row["busy"] / row["weight"], row["memory_sum"]) for row in rows if row["weight"]]
    return {
        "step": step,
        "t": [row[0] for row in found],
        "series": {"cpu": [round(row[1], 1) for row in found], "mem_used": [row[2] for row in found]},
    }


PARTS: dict[str, tuple[Any, list[str], str]] = {
    "numbers": (numbers, ["hosts", "vms-any", "vms-host-state", "alarms"], "host.view"),
    "capacity": (room, ["hosts", "vms-any", "resources"], "host.view"),
    "hosts": (hosts, ["hosts", "vms-any"], "host.view"),
    "guests": (guests, ["vms-any", "vms-host-state"], "vm.view"),
    "operations": (operations, ["operations", "operations-progress"], "operation.view"),
    "alarms": (alarms, ["alarms"], "alarm.view"),
}


def register() -> None:
    """The overview's live pieces."""
    for name, (part, topics, verb) in PARTS.items():
        fragments.register(
            fragments.Fragment(
                f"overview-{name}",
                f"overview/_{name}.html",
                verb,
                lambda _id, topics=topics: topics,  # type: ignore[misc]
                lambda _id, user, part=part: {name_of(part): part(user)},  # type: ignore[misc]
                late=True,
            )
        )


def name_of(part: Any) -> str:
    """The name under which a template finds what ``part`` tells."""
    return f"{part.__name__}_part"
