"""What it costs kvmdash to watch moves: processor time of the engine while some are under way, above what it takes without them.

python -m bench.watching [--seconds 30] [--runs 2] [--lab NAME]

The engine is the process of `manage.py up`: pages, mirror and operations. The lab's guests move slowly (1 MiB a second), so that
nothing but watching happens; nobody looks at a page. Measured in turns: without, with, without. Needs root and QEMU; brings a lab
of its own up and down, unless one that is up is named.
"""

from __future__ import annotations

import os
import statistics
import time
from pathlib import Path

from bench.migration import lab_named
from bench.report import Figure, arguments, at_most, fact, finish, say
from bench.running import dashboard, wait_for
from kvmdash.tests.program import Program

GOAL = 1.0
GUESTS = ("web-1", "web-2", "db-1", "cache-1")
SPEED = 1
#: seconds after which what begins or ends a move is over
SETTLED = 6.0


def spent(program: Program) -> float:
    """Seconds of processor time of the engine so far."""
    assert program.process is not None
    fields = Path(f"/proc/{program.process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def taken(program: Program, seconds: float) -> float:
    """Its share of a core for so long, in percent."""
    time.sleep(SETTLED)
    before, begun = spent(program), time.monotonic()
    time.sleep(seconds)
    return 100 * (spent(program) - before) / (time.monotonic() - begun)


def moving(program: Program, hosts: list[str], seconds: float) -> float:
    """The same while all guests move; they are stopped afterwards and stay."""
    places = {name: program.vm(name)["host"] for name in GUESTS}
    # What web-2's disk needs on the other side does not stop a lab's guest; libvirt does not see that the folder is shared.
    asked = [
        program.ask(name, "migrate", host=next(one for one in hosts if one != place), bandwidth=SPEED, unsafe=True)
        for name, place in places.items()
    ]
    wait_for(lambda: all(program.operation(one)["state"] == "running" for one in asked), 30, "the moves to begin")
    share = taken(program, seconds)
    for one in asked:
        assert program.operation(one)["state"] == "running", "a move ended while it was watched"
    for one in asked:
        program.api(f"operations/{one}/cancel", {})
    for one in asked:
        program.ended(one)
    for name, place in places.items():
        wait_for(lambda name=name, place=place: program.vm(name)["host"] == place, 60, f"{name} to stay")
    return share


def measure(runs: int, seconds: float, name: str) -> list[Figure]:
    with lab_named(name) as lab, dashboard({}) as program:
        program.manage("register_lab", str(lab.directory / "lab.json"))
        program.stop()
        program.start()
        hosts = list(lab.hosts)
        wait_for(lambda: all(one["state"] == "connected" for one in program.get("hosts")["items"]), 60, "the hosts")
        for guest in GUESTS:
            wait_for(lambda guest=guest: program.vm(guest)["agent_connected"], 120, f"{guest} to have booted")
        without, each = [taken(program, seconds)], []
        for _run in range(runs):
            busy = moving(program, hosts, seconds)
            without.append(taken(program, seconds))
            each.append((busy - (without[-2] + without[-1]) / 2) / len(GUESTS))
            say(f"{busy:.2f} % of a core with {len(GUESTS)} moves, {without[-2]:.2f} % and {without[-1]:.2f} % without")
    return [
        at_most("processor time for one running move, of a core", statistics.median(each), GOAL, " %", 2),
        fact("without moves", f"{statistics.median(without):.1f} %"),
    ]  # fmt: skip


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--seconds", type=float, default=30)
    parser.add_argument("--runs", type=int, default=2)
    parser.add_argument("--lab", default="")
    options = parser.parse_args()
    finish(measure(options.runs, options.seconds, options.lab), options)


if __name__ == "__main__":
    main()
