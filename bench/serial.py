"""Bytes of a guest's serial line through the gateway, against `virsh console` writing into a pipe.

python -m bench.serial [--kilobytes 1024] [--runs 4] [--lab NAME]

A lab guest writes so many bytes to its serial line. Both are measured from the command's Enter until its last byte is there: at a
websocket client of the one-port road, and at the end of virsh's pipe. The guest's emulated line is what both wait for: this says
whether kvmdash keeps up with it.
Needs root and QEMU; brings a lab of its own up and down, unless one that is up is named.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import time

from websockets.exceptions import ConnectionClosed

from bench.migration import lab_named
from bench.report import Figure, arguments, at_least, fact, finish, say
from bench.running import dashboard, wait_for
from kvmdash.tests.program import Program
from lab import Lab
from vms.tests.console.text_viewer import TextViewer

GOAL = 0.8
GUEST, HOST = "cache-1", "kvm1"
END = b"the-end-of-it"


def command(kilobytes: int) -> bytes:
    """What the guest's shell is told; the mark at its end is not typed as it is written."""
    fill = f"dd if=/dev/zero bs=1024 count={kilobytes} 2> /dev/null | tr '\\0' x"
    return f"stty -echo; {fill}; echo the-end''-of-it; stty echo\r".encode()


def by_kvmdash(program: Program, kilobytes: int) -> float:
    """Bytes a second at a websocket client."""
    status, answer = program.api(f"vms/{program.vm(GUEST)['uuid']}/console", {"device": "serial0"})
    assert status == 200, answer
    with TextViewer(answer["url"], origin=program.url) as viewer:
        viewer.told(state="open", mine=True)
        viewer.type(b"\r")
        viewer.sees(b"# ")
        viewer.live, begun = b"", time.monotonic()
        viewer.type(command(kilobytes))
        size, tail = 0, b""
        while END not in tail:
            viewer.one(120)
            size, tail, viewer.live = size + len(viewer.live), (tail + viewer.live)[-200:], b""
        assert viewer.skipped == 0 and size >= kilobytes * 1024, (viewer.skipped, size)
        return size / (time.monotonic() - begun)


def answers(program: Program) -> bool:
    """Whether gateway and guest have come up: the guest's shell says something."""
    status, answer = program.api(f"vms/{program.vm(GUEST)['uuid']}/console", {"device": "serial0"})
    if status != 200:
        return False
    with TextViewer(answer["url"], origin=program.url) as viewer:
        try:
            viewer.told(state="open", mine=True)
            viewer.type(b"\r")
            while b"# " not in viewer.live:
                viewer.one(5)
        except (TimeoutError, ConnectionClosed):
            return False
        return True


def by_virsh(lab: Lab, kilobytes: int) -> float:
    """Bytes a second at the end of virsh's pipe. It wants a terminal to read from, and takes the console from the gateway."""
    ours, theirs = os.openpty()
    call = ["virsh", "-q", "-c", lab.facts["hosts"][HOST]["uri"], "console", GUEST, "--force"]
    with subprocess.Popen(call, stdin=theirs, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as virsh:
        assert virsh.stdout is not None
        try:
            until(virsh.stdout.fileno(), b"# ", lambda: os.write(ours, b"\r"))
            begun = time.monotonic()
            os.write(ours, command(kilobytes))
            size = until(virsh.stdout.fileno(), END)
            return size / (time.monotonic() - begun)
        finally:
            virsh.terminate()
            os.close(ours)
            os.close(theirs)


def until(descriptor: int, mark: bytes, begin: object = None) -> int:
    """Read until the mark came; how many bytes that was."""
    if callable(begin):
        time.sleep(1.0)
        begin()
    size, tail = 0, b""
    while mark not in tail:
        data = os.read(descriptor, 65536)
        assert data, "virsh ended"
        size, tail = size + len(data), (tail + data)[-200:]
    return size


def measure(kilobytes: int, runs: int, name: str) -> list[Figure]:
    with lab_named(name) as lab, dashboard({}) as program:
        program.manage("register_lab", str(lab.directory / "lab.json"))
        program.stop()
        program.start()
        wait_for(lambda: program.get(f"hosts/{HOST}")["state"] == "connected", 60, "the host to be connected")
        wait_for(lambda: program.get(f"vms?q={GUEST}")["items"], 60, "the guest to be seen")
        program.running(GUEST)
        if program.vm(GUEST)["host"] != HOST:
            program.done(GUEST, "migrate", host=HOST)
            wait_for(lambda: program.vm(GUEST)["host"] == HOST, 30, "the guest to be there")
        wait_for(lambda: program.vm(GUEST)["agent_connected"] is not False, 60, "the guest to have booted")
        wait_for(lambda: answers(program), 60, "the guest's shell to answer through the gateway")
        took: dict[str, list[float]] = {"kvmdash": [], "virsh": []}
        for number in range(2 * runs):
            tool = ("kvmdash", "virsh", "virsh", "kvmdash")[number % 4]
            rate = by_kvmdash(program, kilobytes) if tool == "kvmdash" else by_virsh(lab, kilobytes)
            took[tool].append(rate)
            say(f"{tool}: {rate / 1000:.0f} kB/s")
    ours, theirs = statistics.median(took["kvmdash"]), statistics.median(took["virsh"])
    return [
        at_least("serial console bytes ÷ virsh console through a pipe, medians", ours / theirs, GOAL, "×", 2),
        fact("the same in bytes", f"{ours / 1000:.0f} kB/s, virsh {theirs / 1000:.0f} kB/s"),
    ]


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--kilobytes", type=int, default=1024)
    parser.add_argument("--runs", type=int, default=4)
    parser.add_argument("--lab", default="")
    options = parser.parse_args()
    finish(measure(options.kilobytes, options.runs, options.lab), options)


if __name__ == "__main__":
    main()
