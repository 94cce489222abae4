"""From raw counters to figures, and from figures to history. Pure but for :class:`History`."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Any

from hosts.hypervisor.records import GuestCounters, HostCounters
from hosts.models import Sample

#: (seconds of one sample, seconds it is kept)
STEPS = ((30, 6 * 3600), (300, 14 * 86400), (3600, 400 * 86400))
FINEST = STEPS[0][0]
#: finished stretches that wait for the database at most: a quarter of an hour of the finest
MOST_WAITING = 32
#: live figure → column of Sample
COLUMNS = {"cpu": "cpu", "mem_used": "memory", "rd": "read", "wr": "write", "rx": "received", "tx": "sent"}


class Frame(dict[str, dict[str, Any]]):
    """One tick of a host: 'vm:<uuid>' and 'host:<id>' → figures. Nobody changes it once it is made."""

    def __deepcopy__(self, memo: dict[int, Any]) -> Frame:
        """Itself: the channel layer in memory copies what it carries, thousands of guests every two seconds."""
        return self


def guest_figures(before: GuestCounters | None, now: GuestCounters) -> dict[str, Any]:
    """Figures of a guest: cpu in percent of its own vCPUs, memory in bytes, rates in bytes a second (None at first)."""
    figures: dict[str, Any] = {"mem": now.memory, "mem_used": now.memory_used, "at": time.time()}
    if before is None or now.at <= before.at:
        return figures | _NO_RATES
    seconds = now.at - before.at
    used = (now.cpu_ns - before.cpu_ns) / 1e9 / seconds
    figures["cpu"] = round(min(100.0, 100.0 * used / max(1, now.vcpus)), 1) if used > 0 else 0.0
    figures["rd"] = _rate(now.read - before.read, seconds)
    figures["wr"] = _rate(now.write - before.write, seconds)
    figures["rx"] = _rate(now.received - before.received, seconds)
    figures["tx"] = _rate(now.sent - before.sent, seconds)
    return figures


def _rate(bytes_more: int, seconds: float) -> int:
    """Bytes a second; a counter that fell began anew."""
    return round(bytes_more / seconds) if bytes_more > 0 else 0


_NO_RATES: dict[str, None] = dict.fromkeys(("cpu", "rd", "wr", "rx", "tx"))


def host_figures(before: HostCounters | None, now: HostCounters) -> dict[str, Any]:
    """Figures of a host: cpu in percent of all processors, memory in bytes."""
    cpu = None
    if before is not None and now.total_ns > before.total_ns:
        cpu = round(100.0 * (now.busy_ns - before.busy_ns) / (now.total_ns - before.total_ns), 1)
    return {"cpu": cpu, "mem": now.memory, "mem_used": now.memory_used, "at": time.time()}


class _Sum:
    """Figures of one subject added up; ``sums`` and ``counts`` in the order of :data:`COLUMNS`."""

    __slots__ = ("count", "counts", "sums")

    def __init__(self) -> None:
        self.count = 0
        self.sums: list[float] = [0.0] * len(COLUMNS)
        self.counts = [0] * len(COLUMNS)

    def add(self, figures: dict[str, Any]) -> None:
        """Take in one frame's figures."""
        self.count += 1
        for index, name in enumerate(COLUMNS):
            value = figures.get(name)
            if value is not None:
                self.sums[index] += value
                self.counts[index] += 1

    def add_all(self, other: _Sum) -> None:
        """Take in a finer stretch."""
        self.count += other.count
        self.sums = [a + b for a, b in zip(self.sums, other.sums, strict=True)]
        self.counts = [a + b for a, b in zip(self.counts, other.counts, strict=True)]

    def means(self) -> dict[str, float]:
        """Column of Sample → mean, of those that had figures."""
        columns = zip(COLUMNS.values(), self.sums, self.counts, strict=True)
        return {column: total / count for column, total, count in columns if count}


class History:
    """Collects one host's figures and writes one row per subject and finished stretch, coarser ones from finer ones."""

    def __init__(self) -> None:
        self._open: dict[tuple[int, int], dict[str, _Sum]] = {}
        self._start: int | None = None

    def add(self, frame: dict[str, dict[str, Any]], at: float | None = None) -> None:
        """Take in a frame; writes the stretches that are over."""
        now = int(at if at is not None else time.time())
        start = now - now % FINEST
        if self._start is not None and start != self._start:
            self._sum_up(self._start)
        self._start = start
        bucket = self._open.setdefault((FINEST, start), {})
        for subject, figures in frame.items():
            found = bucket.get(subject)
            if found is None:
                found = bucket[subject] = _Sum()
            found.add(figures)
        self._write([key for key in self._open if key[1] + key[0] <= now])

    def _sum_up(self, start: int) -> None:
        """The finest stretch from ``start`` on is over: it is a part of the coarser ones."""
        for step, _keep in STEPS[1:]:
            bucket = self._open.setdefault((step, start - start % step), {})
            for subject, total in self._open.get((FINEST, start), {}).items():
                bucket.setdefault(subject, _Sum()).add_all(total)

    def flush(self) -> None:
        """Write what there is, at the end."""
        if self._start is not None:
            self._sum_up(self._start)
            self._start = None
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
