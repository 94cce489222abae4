"""Hosts with what their guests ask of them: rows for lists and the overview, read with a fixed number of queries."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from django.db.models import Count, Q, QuerySet, Sum

from hosts import access
from hosts.models import Host, User

#: certificates, keys and capabilities stay in the database
HEAVY = ("capabilities", "tls_ca", "tls_certificate", "tls_key", "ssh_key", "ssh_host_key", "sasl_password", "cells")
PRESENT = Q(vms__absent_since=None)
#: power states in which a guest holds memory on its host
ACTIVE = ("running", "paused", "migrating", "pmsuspended")
#: a guest on the move runs
RUNNING = ("running", "migrating")


def heavy_of(road: str = "") -> list[str]:
    """Columns of hosts that lists leave in the database, for ``defer``; ``road`` such as ``host__``."""
    return [f"{road}{name}" for name in HEAVY]


@dataclass(frozen=True, slots=True)
class HostRow:
    """One host and the sums over its guests; bytes."""

    host: Host
    guests: int
    running: int
    vcpus: int
    memory_allocated: int

    @property
    def is_live(self) -> bool:
        """Whether its figures are being kept up to date."""
        return self.host.is_connected

    @property
    def overcommit(self) -> float | None:
        """Virtual processors of active guests for each real one."""
        return round(self.vcpus / self.host.cpus, 2) if self.host.cpus else None

    @property
    def memory_overcommit(self) -> float | None:
        """Memory promised to active guests, in percent of what there is."""
        return round(100 * self.memory_allocated / self.host.memory, 1) if self.host.memory else None


@dataclass(frozen=True, slots=True)
class Totals:
    """The whole cluster: hosts that answer count for capacity."""

    hosts: int
    connected: int
    guests: int
    running: int
    cpus: int
    vcpus: int
    memory: int
    memory_used: int | None
    memory_allocated: int
    cpu_percent: float | None


def with_sums(hosts: QuerySet[Host]) -> QuerySet[Host]:
    """``hosts`` with the sums over their guests, and without what no list shows."""
    active = PRESENT & Q(vms__power_state__in=ACTIVE)
    return hosts.defer(*heavy_of()).annotate(
        sum_guests=Count("vms", filter=PRESENT),
        sum_running=Count("vms", filter=PRESENT & Q(vms__power_state__in=RUNNING)),
        sum_vcpus=Sum("vms__vcpus", filter=active, default=0),
        sum_memory=Sum("vms__memory", filter=active, default=0),
    )


def row_of(host: Host) -> HostRow:
    """The row of a host that comes from :func:`with_sums`."""
    sums = vars(host)
    return HostRow(host, sums["sum_guests"], sums["sum_running"], sums["sum_vcpus"], sums["sum_memory"])


def rows_for(user: User) -> list[HostRow]:
    """All hosts the user may see."""
    return [row_of(host) for host in with_sums(access.visible_to(user, Host.objects.order_by("name")))]


def totals_of(rows: Iterable[HostRow]) -> Totals:
    """Sums over ``rows``; what does not answer adds guests, but neither capacity nor figures."""
    rows = list(rows)
    live = [row for row in rows if row.is_live]
    return Totals(
        # Whoever disabled a host knows that it does not answer.
        hosts=sum(row.host.enabled for row in rows),
        connected=len(live),
        guests=sum(row.guests for row in rows),
        running=sum(row.running for row in live),
        cpus=sum(row.host.cpus for row in live),
        vcpus=sum(row.vcpus for row in live),
        memory=sum(row.host.memory for row in live),
        memory_used=_memory_used(live),
        memory_allocated=sum(row.memory_allocated for row in live),
        cpu_percent=_mean_cpu(live),
    )


def _memory_used(rows: list[HostRow]) -> int | None:
    measured = [row.host.memory_used for row in rows if row.host.memory_used is not None]
    return sum(measured) if measured else None


def _mean_cpu(rows: list[HostRow]) -> float | None:
    """Weighted by processors: a busy small host is not a busy cluster."""
    measured = [(row.host.cpu_percent, row.host.cpus) for row in rows if row.host.cpu_percent is not None]
    cpus = sum(count for _percent, count in measured)
    return round(sum(percent * count for percent, count in measured) / cpus, 1) if cpus else None
