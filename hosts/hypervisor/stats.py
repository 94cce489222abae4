"""Counters of all running guests of a host in one call."""

from __future__ import annotations

import time

import libvirt

from hosts.hypervisor.connection import Connection
from hosts.hypervisor.records import GuestCounters

_WHAT = (
    libvirt.VIR_DOMAIN_STATS_STATE
    | libvirt.VIR_DOMAIN_STATS_CPU_TOTAL
    | libvirt.VIR_DOMAIN_STATS_BALLOON
    | libvirt.VIR_DOMAIN_STATS_VCPU
    | libvirt.VIR_DOMAIN_STATS_INTERFACE
    | libvirt.VIR_DOMAIN_STATS_BLOCK
)
_HOW = libvirt.VIR_CONNECT_GET_ALL_DOMAINS_STATS_ACTIVE | getattr(
    libvirt, "VIR_CONNECT_GET_ALL_DOMAINS_STATS_NOWAIT", 0
)


def read_guest_counters(connection: Connection) -> list[GuestCounters]:
    """One getAllDomainStats; guests whose counters are locked at the moment are left out of this round."""
    return connection.call(_read)


def _read(raw: libvirt.virConnect) -> list[GuestCounters]:
    try:
        rows = raw.getAllDomainStats(_WHAT, _HOW)
    except libvirt.libvirtError as error:
        if error.get_error_code() == libvirt.VIR_ERR_NO_SUPPORT:
            return []
        raise
    now = time.monotonic()
    return [_counters(domain.UUIDString(), now, stats) for domain, stats in rows]


def _counters(uuid: str, now: float, stats: dict[str, int]) -> GuestCounters:
    memory = stats.get("balloon.current", 0) * 1024
    read, write = _sums(stats, "block", "rd.bytes", "wr.bytes")
    received, sent = _sums(stats, "net", "rx.bytes", "tx.bytes")
    return GuestCounters(
        uuid=uuid,
        at=now,
        cpu_ns=stats.get("cpu.time", 0),
        vcpus=stats.get("vcpu.current", 1),
        memory=memory,
        memory_used=_memory_used(memory, stats),
        read=read,
        write=write,
        received=received,
        sent=sent,
    )


def _memory_used(memory: int, stats: dict[str, int]) -> int | None:
    """What the guest uses: by its balloon driver when that reports, else what its process holds on the host."""
    if "balloon.usable" in stats and "balloon.available" in stats:
        return max(0, (stats["balloon.available"] - stats["balloon.usable"]) * 1024)
    if "balloon.rss" in stats:
        return min(memory, stats["balloon.rss"] * 1024) if memory else stats["balloon.rss"] * 1024
    return None


def _sums(stats: dict[str, int], group: str, one: str, other: str) -> tuple[int, int]:
    """Two counters of all disks or cards, each added up."""
    total_one = total_other = 0
    for index in range(stats.get(f"{group}.count", 0)):
        total_one += stats.get(f"{group}.{index}.{one}", 0)
        total_other += stats.get(f"{group}.{index}.{other}", 0)
    return total_one, total_other
