"""What the mirror costs against bare libvirt-python, on libvirt's test driver over TCP.

python -m bench.mirror [--guests 100 1000 5000] [--runs 5]

The first look at a host against listing its domains and fetching each definition once, by wall clock and by this process's own CPU
time; later looks, which find nothing new; and one tick of figures of guests that all run against one bare getAllDomainStats.
"""

from __future__ import annotations

import gc
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

from bench.report import Figure, arguments, at_most, fact, finish, say
from bench.running import DEFINITION, SMALLEST, host_of, median_of, remove, use_settings

GOAL = 2.0
TICKS = 15


def first_look(host_id: int, connection: Any) -> None:
    """What the watcher does when a host is connected, as far as guests go."""
    from hosts.watcher import Watcher

    Watcher(host_id)._read_guests(connection)


def bare_look(uri: str) -> tuple[float, float]:
    """The same by libvirt-python alone, in a process of its own, where no event loop is woken by each call."""
    command = [sys.executable, "-m", "bench.mirror", "--bare", uri]
    wall, cpu = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
    return float(wall), float(cpu)


def print_bare_look(uri: str) -> None:
    """Wall and CPU seconds of the middle one of three."""
    import libvirt

    raw = libvirt.open(uri)
    print(*median_of(lambda: [domain.XMLDesc(0) for domain in raw.listAllDomains(0)], 3))


def middle(took: list[tuple[float, float]]) -> tuple[float, float]:
    """Medians of wall and CPU seconds."""
    walls, cpus = zip(*took, strict=True)
    return statistics.median(walls), statistics.median(cpus)


def mirror(count: int, name: str, definition: str, runs: int) -> list[Figure]:
    """Looks at a host with so many guests that are off, each after a bare one."""
    from hosts.hypervisor.connection import Connection
    from hosts.hypervisor.records import Target
    from hosts.models import Host
    from vms.models import VirtualMachine

    bares, firsts, laters = [], [], []
    with host_of(count, start=False, definition=definition) as (there, _uuids):
        host = Host.objects.create(name=f"bench-{name}-{count}", uri=there.uri, state=Host.State.CONNECTED)
        with Connection.open(Target(there.uri)) as connection:
            for _ in range(runs):
                VirtualMachine.objects.all().delete()
                bares.append(bare_look(there.uri))
                firsts.append(median_of(lambda: first_look(host.pk, connection), 1))
                laters.append(median_of(lambda: first_look(host.pk, connection), 1))
        host.delete()
    bare, first, later = middle(bares), middle(firsts), middle(laters)
    first_ratio = statistics.median(ours[0] / theirs[0] for ours, theirs in zip(firsts, bares, strict=True))
    later_ratio = statistics.median(ours[0] / theirs[0] for ours, theirs in zip(laters, bares, strict=True))
    label = f"{count} guests of the {name} definition"
    say(f"{label}: bare {bare[0] * 1000:.0f} ms, first {first[0] * 1000:.0f} ms, later {later[0] * 1000:.0f} ms")
    return [
        at_most(f"first look at {label} ÷ bare list + XMLDesc", first_ratio, GOAL, "×", 2),
        fact(f"first look at {label}: a guest", _a_guest(first, bare, count)),
        fact(f"later look at {label} ÷ bare list + XMLDesc", f"{later_ratio:.2f}×"),
    ]


def _a_guest(ours: tuple[float, float], bare: tuple[float, float], count: int) -> str:
    wall, cpu, bare_wall, bare_cpu = (1e6 * seconds / count for seconds in (*ours, *bare))
    return f"{wall:.0f} µs ({cpu:.0f} CPU), bare {bare_wall:.0f} µs ({bare_cpu:.0f} CPU)"


def tick(count: int, definition: str) -> list[Figure]:
    """One tick of figures of so many guests that run; what the server does about garbage is done here too."""
    import libvirt

    from hosts.figure_taker import FigureTaker
    from hosts.hypervisor.connection import Connection
    from hosts.hypervisor.records import Target
    from hosts.models import Host

    with host_of(count, definition=definition) as (there, _uuids):
        raw = libvirt.open(there.uri)
        host = Host.objects.create(name=f"bench-tick-{count}", uri=there.uri, state=Host.State.CONNECTED)
        with Connection.open(Target(there.uri)) as connection:
            taker = FigureTaker(host.pk, connection, threading.Event())
            taker._next["rows"] = time.monotonic() + 3600  # Rows are written every tenth second, beside.
            assert len(raw.getAllDomainStats(0, 0)) == count
            gc.collect()
            gc.freeze()
            bare, ours = in_turn(lambda: raw.getAllDomainStats(0, 0), taker._tick)
        host.delete()
        raw.close()
    return [
        at_most(f"a tick of {count} running guests ÷ bare getAllDomainStats", ours / bare, GOAL, "×", 2),
        fact(f"a tick of {count} running guests", f"{ours * 1000:.1f} ms, bare {bare * 1000:.1f} ms"),
    ]


def in_turn(*works: Callable[[], Any]) -> list[float]:
    """Median wall seconds of each, measured by turns: what else the machine does hits all of them."""
    took: list[list[float]] = [[] for _ in works]
    for _ in range(TICKS):
        for times, work in zip(took, works, strict=True):
            times.append(median_of(work, 1)[0])
    return [sorted(times)[TICKS // 2] for times in took]


def main() -> None:
    if sys.argv[1:2] == ["--bare"]:
        print_bare_look(sys.argv[2])
        return
    parser = arguments(__doc__)
    parser.add_argument("--guests", type=int, nargs="+", default=[100, 1000, 5000])
    parser.add_argument("--runs", type=int, default=5)
    options = parser.parse_args()
    folder = use_settings()
    from hosts import notify

    notify.bus.start_thread()
    try:
        figures = []
        for count in options.guests:
            figures += mirror(count, "usual", DEFINITION, options.runs)
            figures += mirror(count, "smallest", SMALLEST, options.runs)
            figures += tick(count, DEFINITION)
        finish(figures, options)
    finally:
        remove(folder)


if __name__ == "__main__":
    main()
