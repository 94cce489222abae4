"""How well a move's time left is foretold, from its second pass on, on moves of a guest that keeps changing its memory.

python -m bench.forecast [--runs 4] [--dirty 4] [--speed 16] [--lab NAME]

The guest writes into so many MiB of its memory each second while it is sent at so many MiB a second, so that its move takes several
passes and ends. What the page foretold at each point of the recorded curve is compared with when the move really ended, as a share
of the time that was left. Needs root and QEMU; brings a lab of its own up and down, unless one that is up is named.
"""

from __future__ import annotations

import statistics
from typing import Any

from bench.migration import lab_named
from bench.report import Figure, arguments, at_most, fact, finish, say
from bench.running import dashboard, wait_for
from kvmdash.tests.program import Program
from lab import Lab
from vms.moving.curve import Point, forecast

GOAL = 0.25
GUEST = "dirty-1"
#: MiB that it goes round in
BUFFER = 96
#: seconds before the end from which on a share of what is left says nothing
NEAR_END = 1.0


def errors_of(points: list[dict[str, Any]], allowed_ms: int, end: float) -> list[float]:
    """For each point from the second pass on: how far off the foretold time was, as a share of what was left."""
    known = [Point(**point) for point in points]
    found = []
    for number, point in enumerate(known, 1):
        left = end - point.t
        if point.n < 2 or left < NEAR_END:
            continue
        told = forecast(known[:number], allowed_ms)
        found.append(abs(told.seconds - left) / left if told.seconds is not None else 1.0)
    return found


def one_move(program: Program, lab: Lab, speed: int) -> list[float]:
    """The guest moved to another host; how wrong each forecast was."""
    vm = program.vm(GUEST)
    target = next(name for name in lab.hosts if name != vm["host"])
    identity = program.ask(GUEST, "migrate", host=target, bandwidth=speed)
    ended = program.ended(identity, 300)
    assert ended["state"] == "succeeded", ended
    record = program.get(f"vms/{vm['uuid']}/moves/{identity}")
    wait_for(lambda: program.vm(GUEST)["host"] == target, 30, "the move to be seen")
    return errors_of(record["points"], record["allowed_ms"], ended["result"]["total_ms"] / 1000)


def prepare(program: Program, lab: Lab, dirty: int) -> None:
    """The guest runs and changes its memory."""
    host = next(name for name in lab.hosts if GUEST in lab.virsh(name, "list", "--all", "--name").split())
    text = lab.virsh(host, "dumpxml", GUEST, "--inactive", "--security-info")
    file = lab.host(host).directory / "dirty.xml"
    file.write_text(text.replace("</cmdline>", f" dirty={dirty},{BUFFER}</cmdline>"))
    lab.virsh(host, "define", str(file))
    wait_for(lambda: program.get(f"vms?q={GUEST}")["items"], 60, "the guest to be seen")
    program.running(GUEST)
    wait_for(lambda: program.vm(GUEST)["agent_connected"], 90, "the guest to have booted")


def measure(runs: int, dirty: int, speed: int, name: str) -> list[Figure]:
    with lab_named(name) as lab, dashboard({}) as program:
        program.manage("register_lab", str(lab.directory / "lab.json"))
        program.stop()
        program.start()
        wait_for(lambda: all(one["state"] == "connected" for one in program.get("hosts")["items"]), 60, "the hosts")
        prepare(program, lab, dirty)
        errors: list[float] = []
        for _run in range(runs):
            found = one_move(program, lab, speed)
            errors += found
            say(f"{len(found)} forecasts, wrong by {statistics.median(found or [0]):.0%} (median)")
    assert errors, "no move took a second pass"
    return [
        at_most("wrong forecasts of time left, from the second pass on, median", statistics.median(errors), GOAL, "×", 2),
        fact("90 of 100 were wrong by less than", f"{statistics.quantiles(errors, n=10)[-1]:.2f}× ({len(errors)} forecasts)"),
    ]  # fmt: skip


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--runs", type=int, default=4)
    parser.add_argument("--dirty", type=int, default=4)
    parser.add_argument("--speed", type=int, default=16)
    parser.add_argument("--lab", default="")
    options = parser.parse_args()
    finish(measure(options.runs, options.dirty, options.speed, options.lab), options)


if __name__ == "__main__":
    main()
