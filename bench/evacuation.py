"""A host with twelve small guests emptied by a plan of kvmdash, against schedules of `virsh migrate` that a person would make.

python -m bench.evacuation [--guests 12] [--runs 2] [--per-host N] [--per-link N] [--lab NAME]

The guests run and boot nothing: twelve systems that start would take these cores for themselves. The schedules: one after the
other; two at a time to each of the two other hosts; all at once. The plan is the one that maintenance makes, at its own pace.

It is measured from the API's POST that begins it until its row says that it has ended; a schedule from the start of its first
command to the end of its last. In between the guests are brought back, which is not measured. Needs root and QEMU; brings a lab of
its own up and down, unless one that is up is named.
"""

from __future__ import annotations

import sqlite3
import statistics
import subprocess
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

from lxml import etree

from bench.migration import lab_named
from bench.report import Figure, arguments, at_most, fact, finish, say
from bench.running import dashboard, wait_for
from kvmdash.tests.program import Program
from lab import Lab

GOAL = 1.1
HOST, TARGETS = "kvm1", ("kvm2", "kvm3")
PATTERN, MEMORY_MIB = "cache-1", 64
#: schedule → moves that it has under way to one target; 0 for one after the other, whatever the target
SCHEDULES = {"one after the other": 0, "two to each target": 2, "all at once": 1000}
#: the pace that a plan proposes for guests this small, by hand; beside the goal
SAME_PACE = "four to each target"


def crowd(lab: Lab, count: int) -> list[str]:
    """Guests like one of the lab's, running on the host; their names."""
    where = next(name for name in lab.hosts if PATTERN in lab.virsh(name, "list", "--all", "--name").split())
    plain = lab.virsh(where, "dumpxml", PATTERN, "--inactive")
    names = [f"crowd-{number:02}" for number in range(1, count + 1)]
    for name in names:
        domain = etree.fromstring(plain)
        domain.find("name").text, domain.find("uuid").text = name, str(uuid.uuid4())
        for element in domain.findall("memory") + domain.findall("currentMemory"):
            element.text, element.attrib["unit"] = str(MEMORY_MIB), "MiB"
        for nic in domain.findall("devices/interface"):
            nic.remove(nic.find("mac"))
        firmware = domain.find("os")
        for element in firmware:
            if element.tag != "type":
                firmware.remove(element)
        etree.SubElement(firmware, "boot", dev="hd")
        file = lab.host(HOST).directory / f"{name}.xml"
        file.write_bytes(etree.tostring(domain))
        lab.virsh(HOST, "define", str(file))
        lab.virsh(HOST, "start", name)
    return names


@contextmanager
def crowded(lab: Lab, count: int) -> Iterator[list[str]]:
    """The guests are there, and gone afterwards; the lab's own stand still meanwhile."""
    others = [(host, name) for host in lab.hosts for name in lab.virsh(host, "list", "--name").split()]
    for host, name in others:
        lab.virsh(host, "suspend", name)
    try:
        yield crowd(lab, count)
    finally:
        for where in lab.hosts.values():
            for name in where.virsh("list", "--all", "--name").stdout.split():
                if name.startswith("crowd-"):
                    where.virsh("destroy", name)
                    where.virsh("undefine", name)
        for host, name in others:
            lab.virsh(host, "resume", name)


def move(lab: Lab, name: str, target: str) -> None:
    """What a person types."""
    facts = lab.facts["hosts"]
    command = ["virsh", "-q", "-c", facts[HOST]["uri"], "migrate", name, facts[target]["peer_uri"]]
    command += ["--live", "--p2p", "--abort-on-error", "--persistent", "--undefinesource"]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 0, f"{name}: {done.stderr}"


def by_virsh(lab: Lab, names: list[str], at_once: int) -> float:
    """Seconds of a schedule; the targets take turns."""
    begun = time.monotonic()
    if not at_once:
        for number, name in enumerate(names):
            move(lab, name, TARGETS[number % 2])
        return time.monotonic() - begun
    pools = [ThreadPoolExecutor(min(at_once, len(names))) for _target in TARGETS]
    going = [
        pools[number % 2].submit(move, lab, name, TARGETS[number % 2]) for number, name in enumerate(names)
    ]  # fmt: skip
    for one in going:
        one.result()
    took = time.monotonic() - begun
    for pool in pools:
        pool.shutdown()
    return took


def by_kvmdash(program: Program, rows: sqlite3.Connection, count: int, pace: dict[str, int]) -> tuple[float, float]:
    """Seconds of the plan from the POST that begins it, and of making it."""
    asked = time.monotonic()
    status, plan = program.api("plans", {"host": HOST})
    made = time.monotonic() - asked
    assert status == 201, plan
    # The lab's own guests stand still and stay.
    others = [step["vm"] for step in plan["steps"] if not step["name"].startswith("crowd-")]
    stay = {"steps": [{"vm": vm, "action": "stay"} for vm in others]}
    status, plan = program.api(f"plans/{plan['id']}", stay | pace, method="PATCH")
    assert status == 200, plan
    assert sum(step["action"] == "move" for step in plan["steps"]) == count, plan["steps"]
    key = plan["id"].replace("-", "")
    begun = time.monotonic()
    status, answer = program.api(f"plans/{plan['id']}/run", {})
    assert status == 200, answer
    while rows.execute("SELECT finished_at FROM vms_moveplan WHERE id = ?", (key,)).fetchone()[0] is None:
        time.sleep(0.005)
    took = time.monotonic() - begun
    ended = program.get(f"plans/{plan['id']}")
    assert all(step["state"] == "succeeded" for step in ended["steps"] if step["action"] == "move"), ended["steps"]
    status, answer = program.api(f"hosts/{HOST}/maintenance", {"on": False})
    assert status == 200, answer
    return took, made


def bring_back(program: Program, lab: Lab, names: list[str]) -> None:
    """All on the host again, and seen there."""
    for target in TARGETS:
        for name in set(lab.virsh(target, "list", "--name").split()) & set(names):
            # Asked on the host itself: kvm3 lets virsh in by ssh alone.
            peer = lab.facts["hosts"][HOST]["peer_uri"]
            lab.virsh(target, "migrate", name, peer, "--live", "--p2p", "--persistent", "--undefinesource")
    wait_for(lambda: is_settled(program, names), 60, f"the guests to be seen on {HOST}")
    time.sleep(2.0)


def is_settled(program: Program, names: list[str]) -> bool:
    """Whether the pages show all of them running on the host."""
    seen = {vm["name"]: vm for vm in program.get("vms?q=crowd-&page_size=200")["items"]}
    return all(name in seen and seen[name]["host"] == HOST and seen[name]["power_state"] == "running" for name in names)


def begin(program: Program, lab: Lab, names: list[str]) -> None:
    """The dashboard sees the hosts and the guests, and their BIOS has found nothing to boot."""
    program.manage("register_lab", str(lab.directory / "lab.json"))
    program.stop()
    program.start()
    wait_for(lambda: all(one["state"] == "connected" for one in program.get("hosts")["items"]), 60, "the hosts")
    wait_for(lambda: is_settled(program, names), 60, "the guests to be seen")
    time.sleep(5.0)


def measure(runs: int, count: int, pace: dict[str, int], name: str) -> list[Figure]:
    with lab_named(name) as lab, dashboard({}) as program, crowded(lab, count) as names:
        begin(program, lab, names)
        say(f"{count} guests of {MEMORY_MIB} MiB on {HOST}")
        return compare(lab, program, names, runs, pace)


def compare(lab: Lab, program: Program, names: list[str], runs: int, pace: dict[str, int]) -> list[Figure]:
    """Rounds of all roads, every second one backwards."""
    rows = sqlite3.connect(f"file:{program.folder / 'kvmdash.sqlite3'}?mode=ro", uri=True)
    paces = SCHEDULES | {SAME_PACE: 4}
    roads = ["kvmdash", *paces]
    took: dict[str, list[float]] = {road: [] for road in roads}
    planning: list[float] = []
    # What guests and hosts do for the first time takes longer: both are warm before anything counts.
    by_virsh(lab, names, SCHEDULES["all at once"])
    bring_back(program, lab, names)
    for number in range(runs):
        for road in roads if number % 2 == 0 else reversed(roads):
            if road == "kvmdash":
                seconds, made = by_kvmdash(program, rows, len(names), pace)
                planning.append(made)
            else:
                seconds = by_virsh(lab, names, paces[road])
            took[road].append(seconds)
            say(f"{road}: {seconds:.2f} s")
            bring_back(program, lab, names)
    rows.close()
    medians = {road: statistics.median(seconds) for road, seconds in took.items()}
    best = min(SCHEDULES, key=lambda road: medians[road])
    told: list[Any] = [f"{road} {medians[road]:.2f} s" for road in roads]
    return [
        at_most(f"emptying a host of {len(names)} guests by a plan ÷ the best schedule of virsh, medians",
                medians["kvmdash"] / medians[best], GOAL, "×", 3),
        fact("the same ÷ virsh at the plan's own pace", f"{medians['kvmdash'] / medians[SAME_PACE]:.3f}×"),
        fact("the same in seconds", "; ".join(told)),
        fact("making the plan, beside that", f"{statistics.median(planning):.2f} s"),
    ]  # fmt: skip


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--guests", type=int, default=12)
    parser.add_argument("--runs", type=int, default=2)
    parser.add_argument(
        "--per-host", type=int, default=0, help="moves of a host at a time; 0 for what the plan proposes"
    )
    parser.add_argument(
        "--per-link", type=int, default=0, help="moves between two hosts at a time; 0 for what the plan proposes"
    )
    parser.add_argument("--lab", default="")
    options = parser.parse_args()
    pace = {"per_host": options.per_host, "per_link": options.per_link}
    pace = {name: number for name, number in pace.items() if number}
    finish(measure(options.runs, options.guests, pace, options.lab), options)


if __name__ == "__main__":
    main()
