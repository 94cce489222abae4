"""From raw counters to figures, and from figures to history. Pure but for :class:`History`."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from hosts.hypervisor.records import GuestCounters, HostCounters
from hosts.models import Sample

#: (seconds of one sample, seconds it is kept)
STEPS = ((30, 6 * 3600), (300, 14 * 86400), (3600, 400 * 86400))
#: finished stretches that wait for the database at most: a quarter of an hour of the finest
MOST_WAITING = 32
#: live figure → column of Sample
COLUMNS = {"cpu": "cpu", "mem_used": "memory", "rd": "read", "wr": "write", "rx": "received", "tx": "sent"}


def guest_figures(before: GuestCounters | None, now: GuestCounters) -> dict[str, Any]:
    """Figures of a guest: cpu in percent of its own vCPUs, memory in bytes, rates in bytes a second (None at first)."""
    figures: dict[str, Any] = {"mem": now.memory, "mem_used": now.memory_used, "at": time.time()}
    rates: dict[str, float | None] = dict.fromkeys(("cpu", "rd", "wr", "rx", "tx"))
    if before is not None and now.at > before.at:
        seconds = now.at - before.at
        used = max(0, now.cpu_ns - before.cpu_ns) / 1e9 / seconds
        rates["cpu"] = round(min(100.0, 100.0 * used / max(1, now.vcpus)), 1)
        for name, column in (("rd", "read"), ("wr", "write"), ("rx", "received"), ("tx", "sent")):
            rates[name] = round(max(0, getattr(now, column) - getattr(before, column)) / seconds)
    return figures | rates


def host_figures(before: HostCounters | None, now: HostCounters) -> dict[str, Any]:
    """Figures of a host: cpu in percent of all processors, memory in bytes."""
    cpu = None
    if before is not None and now.total_ns > before.total_ns:
        cpu = round(100.0 * (now.busy_ns - before.busy_ns) / (now.total_ns - before.total_ns), 1)
    return {"cpu": cpu, "mem": now.memory, "mem_used": now.memory_used, "at": time.time()}


@dataclass
class _Sum:
    count: int = 0
    sums: dict[str, float] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)

    def add(self, figures: dict[str, Any]) -> None:
        self.count += 1
        for name, column in COLUMNS.items():
            value = figures.get(name)
            if value is not None:
                self.sums[column] = self.sums.get(column, 0.0) + value
                self.counts[column] = self.counts.get(column, 0) + 1

    def means(self) -> dict[str, float]:
        return {column: total / self.counts[column] for column, total in self.sums.items()}


class History:
    """Collects one host's figures and writes one row per subject and finished stretch, coarser ones from finer ones."""

    def __init__(self) -> None:
        self._open: dict[tuple[int, int], dict[str, _Sum]] = {}

    def add(self, frame: dict[str, dict[str, Any]], at: float | None = None) -> None:
        """Take in a frame; writes the stretches that are over."""
        now = int(at if at is not None else time.time())
        for step, _keep in STEPS:
            start = now - now % step
            bucket = self._open.setdefault((step, start), {})
            for subject, figures in frame.items():
                bucket.setdefault(subject, _Sum()).add(figures)
        self._write([key for key in self._open if key[1] + key[0] <= now])

    def flush(self) -> None:
        """Write what there is, at the end."""
        self._write(list(self._open))

    def _write(self, keys: Iterable[tuple[int, int]]) -> None:
        """Write stretches that are over. What the database does not take now waits for the next time, the newest of it."""
        over = sorted(keys, key=lambda key: key[1])
        for key in over[:-MOST_WAITING]:
            del self._open[key]
        over = over[-MOST_WAITING:]
        rows = [
            Sample(subject=subject, step=step, at=start, count=total.count, **total.means())
            for step, start in over
            for subject, total in self._open[step, start].items()
        ]
        if rows:
            Sample.objects.bulk_create(rows, batch_size=500, ignore_conflicts=True)
        for key in over:
            del self._open[key]


def prune(now: float | None = None) -> None:
    """Delete samples that are older than their step is kept."""
    at = int(now if now is not None else time.time())
    for step, keep in STEPS:
        Sample.objects.filter(step=step, at__lt=at - keep).delete()


def history(subject: str, seconds: int) -> dict[str, Any]:
    """The last ``seconds`` of a subject: {"step", "t": [unix], "series": {name: [value|None]}} in the finest step kept so long."""
    step = next((step for step, keep in STEPS if seconds <= keep), STEPS[-1][0])
    since = int(time.time()) - seconds
    rows = Sample.objects.filter(subject=subject, step=step, at__gte=since).order_by("at")
    values = list(rows.values_list("at", *COLUMNS.values()))
    return {
        "step": step,
        "t": [row[0] for row in values],
        "series": {name: [row[index] for row in values] for index, name in enumerate(COLUMNS, start=1)},
    }
