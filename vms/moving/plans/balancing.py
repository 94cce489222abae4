"""What moving some guests would do for the balance of the cluster: proposals with figures before and after. Nothing moves by it.

A host's load is the larger of two shares: memory that is used, and processor time. What guests took lately is the mean of their
samples, and what they take now where there are none. Proposals are made one by one, each on what the ones before it leave.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.db.models import Avg

from hosts.models import Host, Sample
from vms.models import VirtualMachine
from vms.moving.preflight import rows
from vms.moving.preflight.engine import Table
from vms.moving.preflight.finding import NO, UNKNOWN

#: proposals at most, and guests that are looked at
MOST, LOOKED_AT = 20, 500
#: points by which a move must lower the higher of its two hosts' loads
LEAST_GAIN = 5.0
#: seconds of one sample, and for how many seconds samples say what somebody took lately
STEP, LATELY = 300, 3600


@dataclass(slots=True)
class Load:
    """A host, with the shares (in percent) of memory and processor time that are taken; None where that is not known."""

    host: Host
    memory: float
    cpu: float | None
    guests: int

    @property
    def worst(self) -> float:
        """The larger of the two."""
        return max(self.memory, self.cpu or 0.0)


@dataclass(frozen=True, slots=True)
class Proposal:
    """One guest that would move, and what that does to the two hosts: loads in percent."""

    vm: VirtualMachine
    source: Host
    target: Host
    memory: int
    cores: float
    source_before: float
    source_after: float
    target_before: float
    target_after: float


@dataclass(slots=True)
class Balance:
    """All of it: hosts before and after, and the proposals in between."""

    before: list[Load] = field(default_factory=list)
    after: list[Load] = field(default_factory=list)
    proposals: list[Proposal] = field(default_factory=list)

    @property
    def spread(self) -> tuple[float, float]:
        """Points between the highest and the lowest load, before and after."""
        return _spread(self.before), _spread(self.after)


def _spread(loads: Sequence[Load]) -> float:
    return max((one.worst for one in loads), default=0.0) - min((one.worst for one in loads), default=0.0)


def balance(hosts: Any, guests: Any) -> Balance:
    """``hosts`` and ``guests`` are querysets of what may be seen."""
    taking_part = hosts.filter(enabled=True, maintenance_since=None, state=Host.State.CONNECTED)
    known = list(taking_part.filter(memory__gt=0, memory_used__isnull=False).defer("capabilities", "cells"))
    running = guests.filter(absent_since=None, power_state="running", host__in=known)
    vms = list(running.select_related("host").order_by("-memory", "name")[:LOOKED_AT])
    counts = {host.pk: 0 for host in known}
    for key in running.values_list("host_id", flat=True):
        counts[key] += 1
    lately = _lately(f"host:{host.pk}" for host in known)
    before, after = ([_load(host, counts[host.pk], lately) for host in known] for _time in range(2))
    found = Balance(before, after)
    if len(known) < 2 or not vms:
        return found
    table, cores = rows.table(vms), _cores(vms)
    loads = {load.host.pk: load for load in found.after}
    moved: set[int] = set()
    while len(found.proposals) < MOST:
        best = _best(table, vms, cores, loads, moved)
        if best is None:
            return found
        guest, proposal = best
        moved.add(guest)
        found.proposals.append(proposal)
        _apply(proposal, loads)
    return found


def _load(host: Host, guests: int, lately: dict[str, float]) -> Load:
    cpu = lately.get(f"host:{host.pk}", host.cpu_percent)
    return Load(host, 100 * (host.memory_used or 0) / host.memory, cpu, guests)


def _lately(subjects: Iterable[str]) -> dict[str, float]:
    """Processor time in percent that each took lately, of those that there are samples of."""
    since = int(time.time()) - LATELY
    rows = Sample.objects.filter(subject__in=list(subjects), step=STEP, at__gte=since, cpu__isnull=False)
    return {one["subject"]: one["mean"] for one in rows.values("subject").annotate(mean=Avg("cpu")).order_by()}


def _cores(vms: Sequence[VirtualMachine]) -> dict[Any, float]:
    """Processors that each keeps busy: lately, or now where no samples are."""
    lately = _lately(f"vm:{vm.pk}" for vm in vms)
    return {vm.pk: lately.get(f"vm:{vm.pk}", vm.cpu_percent or 0.0) * vm.vcpus / 100 for vm in vms}


def _best(
    table: Table, vms: Sequence[VirtualMachine], cores: dict[Any, float], loads: dict[int, Load], moved: set[int]
) -> tuple[int, Proposal] | None:
    """The move that lowers the higher load of its two hosts the most, from the host with the highest that any move helps."""
    for source in sorted(loads.values(), key=lambda load: -load.worst):
        guests = [guest for guest, vm in enumerate(vms) if guest not in moved and vm.host_id == source.host.pk]
        found = [one for guest in guests for one in _moves(table, guest, vms[guest], source, loads, cores)]
        if found:
            _gain, guest, proposal = max(found, key=lambda one: one[:2])
            return guest, proposal
    return None


def _moves(
    table: Table, guest: int, vm: VirtualMachine, source: Load, loads: dict[int, Load], cores: dict[Any, float]
) -> list[tuple[float, int, Proposal]]:
    """Where the guest could go so that it helps enough, with how much it helps."""
    found = []
    for number, machine in enumerate(table.machines):
        target = loads.get(machine.id)
        if (
            target is None
            or target is source
            or table.verdicts[guest][number] == NO
            or _is_doubtful(table, guest, number)
        ):
            continue
        proposal = _proposal(vm, source, target, cores[vm.pk])
        gain = max(source.worst, target.worst) - max(proposal.source_after, proposal.target_after)
        if gain >= LEAST_GAIN:
            found.append((gain, guest, proposal))
    return found


def _is_doubtful(table: Table, guest: int, number: int) -> bool:
    """Whether more than the road is not known."""
    return any(check.name != "road" for check, _finding in table.against(guest, number, UNKNOWN))


def _proposal(vm: VirtualMachine, source: Load, target: Load, cores: float) -> Proposal:
    memory = vm.memory_used or vm.memory
    return Proposal(
        vm, source.host, target.host, memory, cores, source.worst, _worst_with(source, -memory, -cores), target.worst,
        _worst_with(target, memory, cores),
    )  # fmt: skip


def _worst_with(load: Load, memory: int, cores: float) -> float:
    host = load.host
    cpu = load.cpu + 100 * cores / host.cpus if load.cpu is not None and host.cpus else 0.0
    return max(load.memory + 100 * memory / host.memory, cpu, 0.0)


def _apply(proposal: Proposal, loads: dict[int, Load]) -> None:
    for host, sign in ((proposal.source, -1), (proposal.target, 1)):
        load = loads[host.pk]
        load.memory = max(0.0, load.memory + sign * 100 * proposal.memory / host.memory)
        load.guests += sign
        if load.cpu is not None and host.cpus:
            load.cpu = max(0.0, load.cpu + sign * 100 * proposal.cores / host.cpus)
