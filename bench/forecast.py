"""How well a move's time left is foretold, from its second pass on, on moves of a guest that keeps changing its memory.

python -m bench.forecast [--runs 2] [--dirty 2 4 8 12] [--speed 16] [--lab NAME] [--record FILE]

The guest writes into so many MiB of its memory each second while it is sent at so many MiB a second, so that its move takes several
passes and ends. What the page foretold at each point of the recorded curve is compared with when the move really ended, as a share
of the time that was left. Silence counts as wrong by the whole of it. Before each move the guest is waited for until it changes its
memory as it was told to: after a move an emulated guest may stand still for a while and then make up for it, and nobody can
foretell that. ``--record`` keeps the curves, for the test that replays them. Needs root and QEMU; brings a lab of its own up and
down, unless one that is up is named.
"""

from __future__ import annotations

import json
import re
import statistics
import time
from dataclasses import dataclass
from pathlib import Path

from bench.migration import lab_named
from bench.report import Figure, arguments, at_most, fact, finish, say
from bench.running import dashboard, share, wait_for
from kvmdash.tests.program import Program
from lab import Lab
from lab.errors import LabError
from vms.moving.curve import Point, forecast

GOAL = 0.25
GUEST = "dirty-1"
#: MiB that it goes round in
BUFFER = 96
#: seconds before the end from which on a share of what is left says nothing
NEAR_END = 1.0
#: seconds over which QEMU is asked how fast the guest changes its memory, and how far off that may be: it looks at samples
STEADY_SECONDS, STEADY = 3, (0.4, 2.0)


@dataclass(frozen=True, slots=True)
class Recorded:
    """A move that has ended: what the guest changes and what is sent, MiB a second; the curve; seconds until its end."""

    dirty: int
    speed: int
    allowed_ms: int
    end: float
    points: list[list[float]]

    @property
    def ratio(self) -> float:
        """What is dirtied of what is sent."""
        return self.dirty / self.speed


def errors_of(move: Recorded) -> list[float]:
    """For each point from the second pass on: how far off the foretold time was, as a share of what was left."""
    known = [Point.of(point) for point in move.points]
    found = []
    for number, point in enumerate(known, 1):
        left = move.end - point.t
        if point.n < 2 or left < NEAR_END:
            continue
        told = forecast(known[:number], move.allowed_ms)
        found.append(abs(told.seconds - left) / left if told.seconds is not None else 1.0)
    return found


def read(file: Path) -> list[Recorded]:
    """What ``--record`` wrote."""
    return [Recorded(**one) for one in json.loads(file.read_text())]


def write(moves: list[Recorded], file: Path) -> None:
    """One move a line."""
    lines = [json.dumps({name: getattr(move, name) for name in Recorded.__slots__}) for move in moves]
    file.write_text("[\n" + ",\n".join(lines) + "\n]\n")


def one_move(program: Program, lab: Lab, dirty: int, speed: int) -> Recorded:
    """The guest moved to another host."""
    vm = program.vm(GUEST)
    steady(lab, vm["host"], dirty)
    target = next(name for name in lab.hosts if name != vm["host"])
    identity = program.ask(GUEST, "migrate", host=target, bandwidth=speed)
    ended = program.ended(identity, 300)
    assert ended["state"] == "succeeded", ended
    record = program.get(f"vms/{vm['uuid']}/moves/{identity}")
    wait_for(lambda: program.vm(GUEST)["host"] == target, 30, "the move to be seen")
    points = [Point(**point).plain() for point in record["points"]]
    return Recorded(dirty, speed, record["allowed_ms"], ended["result"]["total_ms"] / 1000, points)


def steady(lab: Lab, host: str, dirty: int) -> None:
    """The guest changes its memory as fast as it was told to, twice one after the other."""
    least, most = (times * dirty for times in STEADY)
    in_a_row = 0
    until = time.monotonic() + 240
    while in_a_row < 2:
        if time.monotonic() > until:
            raise SystemExit(f"{GUEST} does not change its memory at {dirty} MiB a second")
        in_a_row = in_a_row + 1 if least <= changed(lab, host) <= most else 0


def changed(lab: Lab, host: str) -> int:
    """MiB a second that the guest changes, as QEMU measures it by samples; -1 where it cannot be told."""
    try:
        lab.virsh(host, "domdirtyrate-calc", GUEST, "--seconds", str(STEADY_SECONDS))
        time.sleep(STEADY_SECONDS + 0.5)
        told = re.search(r"megabytes_per_second=(\d+)", lab.virsh(host, "domstats", GUEST, "--dirtyrate"))
    except LabError:
        return -1
    return int(told[1]) if told else -1


def prepare(program: Program, lab: Lab, plain: str, dirty: int) -> None:
    """The guest runs and changes its memory at that rate."""
    host = place(lab)
    if GUEST in lab.virsh(host, "list", "--name").split():
        lab.virsh(host, "destroy", GUEST)
        wait_for(lambda: program.vm(GUEST)["power_state"] == "shutoff", 60, "the guest to be off")
    file = lab.host(host).directory / "dirty.xml"
    file.write_text(plain.replace("</cmdline>", f" dirty={dirty},{BUFFER}</cmdline>"))
    lab.virsh(host, "define", str(file))
    wait_for(lambda: program.get(f"vms?q={GUEST}")["items"], 60, "the guest to be seen")
    program.running(GUEST)
    wait_for(lambda: program.vm(GUEST)["agent_connected"], 90, "the guest to have booted")


def place(lab: Lab) -> str:
    """The host that holds the guest."""
    return next(name for name in lab.hosts if GUEST in lab.virsh(name, "list", "--all", "--name").split())


def others_off(lab: Lab) -> None:
    """The lab's other guests stand still: this is about one that is moved, on few cores."""
    for host in lab.hosts:
        for name in lab.virsh(host, "list", "--name").split():
            if name != GUEST:
                lab.virsh(host, "suspend", name)


def others_on(lab: Lab) -> None:
    """They go on."""
    for host in lab.hosts:
        for name in lab.virsh(host, "list", "--name", "--state-paused").split():
            lab.virsh(host, "resume", name)


def moves(runs: int, rates: list[int], speed: int, name: str) -> list[Recorded]:
    """Each rate so often."""
    with lab_named(name) as lab, dashboard({}) as program:
        program.manage("register_lab", str(lab.directory / "lab.json"))
        program.stop()
        program.start()
        wait_for(lambda: all(one["state"] == "connected" for one in program.get("hosts")["items"]), 60, "the hosts")
        others_off(lab)
        plain = re.sub(r" dirty=[\d,]+", "", lab.virsh(place(lab), "dumpxml", GUEST, "--inactive", "--security-info"))
        found = []
        try:
            for dirty in rates:
                prepare(program, lab, plain, dirty)
                for _run in range(runs):
                    found.append(one_move(program, lab, dirty, speed))
                    wrong = errors_of(found[-1])
                    say(
                        f"{dirty} of {speed} MiB/s, {found[-1].end:.1f} s: {len(wrong)} forecasts, "
                        f"wrong by {statistics.median(wrong or [0]):.0%} (median)"
                    )
        finally:
            others_on(lab)
    return found


def figures(found: list[Recorded]) -> list[Figure]:
    """All together, and each ratio by itself."""
    errors = [one for move in found for one in errors_of(move)]
    assert len(errors) > 1, "no move took a second pass"
    told = [
        at_most("wrong forecasts of time left, from the second pass on, median", statistics.median(errors), GOAL, "×", 2),
        fact("90 of 100 were wrong by less than", f"{share(errors, 0.9):.2f}× ({len(errors)} forecasts)"),
    ]  # fmt: skip
    for ratio in sorted({move.ratio for move in found}):
        mine = [one for move in found if move.ratio == ratio for one in errors_of(move)]
        if mine:
            text = f"{statistics.median(mine):.2f}×; 90 of 100 {share(mine, 0.9):.2f}× ({len(mine)} forecasts)"
            told.append(fact(f"a guest that dirties {ratio:.0%} of what is sent, median", text))
    return told


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--runs", type=int, default=2)
    parser.add_argument("--dirty", type=int, nargs="+", default=[2, 4, 8, 12])
    parser.add_argument("--speed", type=int, default=16)
    parser.add_argument("--lab", default="")
    parser.add_argument("--record", type=Path, help="add the curves to those of this file")
    options = parser.parse_args()
    found = moves(options.runs, options.dirty, options.speed, options.lab)
    if options.record:
        write([*(read(options.record) if options.record.exists() else []), *found], options.record)
    finish(figures(found), options)


if __name__ == "__main__":
    main()
