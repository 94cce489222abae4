"""A live migration by kvmdash against the same by `virsh migrate --live --p2p`, back and forth between two hosts of the lab.

python -m bench.migration [--runs 8] [--lab NAME]

Both are measured from asking (the API's POST; the start of the command) until it is over (the operation's row says so; the command
ends). Needs root and QEMU; brings a lab of its own up and down, unless one that is up is named.
"""

from __future__ import annotations

import os
import re
import sqlite3
import statistics
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from bench.report import Figure, arguments, at_most, fact, finish, say
from bench.running import dashboard, wait_for
from kvmdash.tests.program import Program
from lab import Lab

GOAL = 1.05
GUEST = "db-1"
HOSTS = ("kvm1", "kvm2")


@contextmanager
def lab_named(name: str) -> Iterator[Lab]:
    """A lab that is up; one of our own, when none is named, goes down afterwards."""
    lab = Lab(name or f"bench{os.getpid() % 10000}")
    lab.up(hosts=3, guests=6)
    try:
        yield lab
    finally:
        if not name:
            lab.down()


def by_virsh(lab: Lab, source: str, target: str) -> float:
    """Seconds of the command, which connects as kvmdash does."""
    facts = lab.facts["hosts"]
    command = ["virsh", "-q", "-c", facts[source]["uri"], "migrate", GUEST, facts[target]["peer_uri"]]
    command += ["--live", "--p2p", "--abort-on-error", "--persistent", "--undefinesource"]
    begun = time.monotonic()
    subprocess.run(command, check=True, capture_output=True)
    return time.monotonic() - begun


def by_kvmdash(program: Program, rows: sqlite3.Connection, uuid: str, target: str) -> tuple[float, dict[str, Any]]:
    """Seconds from the POST until the row says that it has ended, and the operation."""
    begun = time.monotonic()
    status, answer = program.api(f"vms/{uuid}/migrate", {"host": target})
    assert status == 202, answer
    key = answer["id"].replace("-", "")
    while rows.execute("SELECT finished_at FROM hosts_operation WHERE id = ?", (key,)).fetchone()[0] is None:
        time.sleep(0.002)
    took = time.monotonic() - begun
    operation = program.operation(answer["id"])
    assert operation["state"] == "succeeded", operation
    return took, operation


def job_seconds(lab: Lab, host: str) -> float:
    """How long libvirt itself says that the last move there took."""
    told = re.search(
        r"Time elapsed:\s+(\d+)\s+ms", lab.virsh(host, "domjobinfo", GUEST, "--completed", "--keep-completed")
    )
    assert told is not None
    return int(told[1]) / 1000


def where(lab: Lab) -> str:
    """The host on which the guest runs."""
    return next(name for name in lab.hosts if GUEST in lab.virsh(name, "list", "--name").split())


def measure(runs: int, name: str) -> list[Figure]:
    with lab_named(name) as lab:
        facts = {host: lab.facts["hosts"][host] for host in HOSTS}
        with dashboard({}) as program:
            program.manage("register_lab", str(lab.directory / "lab.json"))
            program.stop()
            program.start()
            wait_for(lambda: program.get(f"hosts/{HOSTS[0]}")["state"] == "connected", 60, "kvm1 to be connected")
            wait_for(lambda: program.get(f"hosts/{HOSTS[1]}")["state"] == "connected", 60, "kvm2 to be connected")
            say(f"{GUEST} between {' and '.join(facts)}")
            return compare(lab, program, runs)


def compare(lab: Lab, program: Program, runs: int) -> list[Figure]:
    """Each pair of moves begins with the other one, so that both go in both directions equally often."""
    rows = sqlite3.connect(f"file:{program.folder / 'kvmdash.sqlite3'}?mode=ro", uri=True)
    uuid = program.vm(GUEST)["uuid"]
    took: dict[str, list[float]] = {"virsh": [], "kvmdash": []}
    jobs: dict[str, list[float]] = {"virsh": [], "kvmdash": []}
    if (place := where(lab)) not in HOSTS:
        by_virsh(lab, place, HOSTS[0])
    for number in range(2 * runs):
        source = where(lab)
        target = HOSTS[1 - HOSTS.index(source)]
        wait_for(lambda source=source: _is_settled(program, source), 30, f"{GUEST} to be seen on {source}")
        time.sleep(1.0)
        tool = ("kvmdash", "virsh", "virsh", "kvmdash")[number % 4]
        if tool == "virsh":
            took[tool].append(by_virsh(lab, source, target))
        else:
            seconds, operation = by_kvmdash(program, rows, uuid, target)
            took[tool].append(seconds)
            assert operation["result"]["total_ms"]
        jobs[tool].append(job_seconds(lab, target))
        say(f"{source} → {target} by {tool}: {took[tool][-1]:.3f} s")
    around = {tool: statistics.median(took[tool]) - statistics.median(jobs[tool]) for tool in took}
    ours, theirs = statistics.median(took["kvmdash"]), statistics.median(took["virsh"])
    rows.close()
    return [
        at_most("live migration by kvmdash ÷ virsh migrate --live --p2p, medians", ours / theirs, GOAL, "×", 3),
        fact("the same in seconds", f"{ours:.3f} s, virsh {theirs:.3f} s"),
        fact(
            "of that around the job, which libvirt measures",
            f"{around['kvmdash']:.3f} s, virsh {around['virsh']:.3f} s",
        ),
    ]


def _is_settled(program: Program, host: str) -> bool:
    vm = program.vm(GUEST)
    return bool(vm["host"] == host and vm["power_state"] == "running")


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--runs", type=int, default=8)
    parser.add_argument("--lab", default="")
    options = parser.parse_args()
    finish(measure(options.runs, options.lab), options)


if __name__ == "__main__":
    main()
