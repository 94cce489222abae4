"""A guest made from a cloud image by kvmdash, against the same steps with libvirt-python alone.

python -m bench.creation [--megabytes 400] [--runs 5] [--lab NAME]

The steps: connect, copy the image, make the copy larger, make a seed and fill it, define, start. Both are measured from asking (the
API's POST; the opening of the connection) until it is over (the operation's row says so; the guest was started). The image is as
large as a distribution's, of bytes that nothing can compress. Needs root and QEMU; brings a lab of its own up and down, unless one
that is up is named.
"""

from __future__ import annotations

import os
import sqlite3
import statistics
import subprocess
import time
from pathlib import Path
from typing import Any

import libvirt

from bench.migration import lab_named
from bench.report import Figure, arguments, at_most, fact, finish, say
from bench.running import dashboard, wait_for
from kvmdash.tests.program import Program
from lab import Lab

GOAL = 1.1
HOST, IMAGE, POOL = "kvm1", "bench-image.qcow2", "local"
SIZE, MEMORY = 2 << 30, 64 << 20
BODY = {
    "host": HOST, "road": "cloud", "image": f"shared/{IMAGE}", "pool": POOL, "network": "default", "size": SIZE,
    "memory": MEMORY, "vcpus": 1, "virt": "qemu", "start": True, "seed": {"user": "ada"},
}  # fmt: skip


def make_image(target: Path, megabytes: int) -> None:
    """A qcow2 full of bytes."""
    raw = target.with_suffix(".raw")
    with raw.open("wb") as file:
        for _number in range(megabytes):
            file.write(os.urandom(1 << 20))
    subprocess.run(["qemu-img", "convert", "-f", "raw", "-O", "qcow2", raw, target], check=True)
    raw.unlink()


def volume(name: str, capacity: int, form: str) -> str:
    """The XML of a new volume."""
    return (
        f"<volume><name>{name}</name><capacity>{capacity}</capacity><target><format type='{form}'/></target></volume>"
    )


def by_hand(uri: str, name: str, definition: str, seed: bytes, capacity: int) -> float:
    """Seconds of the bare steps, one after the other."""
    begun = time.monotonic()
    raw = libvirt.open(uri)
    pool = raw.storagePoolLookupByName(POOL)
    source = raw.storagePoolLookupByName("shared").storageVolLookupByName(IMAGE)
    disk = pool.createXMLFrom(volume(f"{name}.qcow2", capacity, "qcow2"), source, 0)
    disk.resize(SIZE, 0)
    cd = pool.createXML(volume(f"{name}-seed.iso", 1 << 20, "raw"), 0)
    stream = raw.newStream(0)
    cd.upload(stream, 0, len(seed), 0)
    sent = 0
    while sent < len(seed):
        sent += stream.send(seed[sent : sent + 65536])
    stream.finish()
    raw.defineXML(definition).create()
    took = time.monotonic() - begun
    raw.close()
    return took


def by_kvmdash(program: Program, rows: sqlite3.Connection, name: str) -> float:
    """Seconds from the POST until the row says that it has ended."""
    begun = time.monotonic()
    status, answer = program.api("vms", BODY | {"name": name})
    assert status == 202, answer
    key = answer["id"].replace("-", "")
    while rows.execute("SELECT finished_at FROM hosts_operation WHERE id = ?", (key,)).fetchone()[0] is None:
        time.sleep(0.002)
    took = time.monotonic() - begun
    operation = program.operation(answer["id"])
    assert operation["state"] == "succeeded", operation
    return took


def remove(raw: Any, name: str) -> None:
    """Take the guest and its disks away."""
    guest = raw.lookupByName(name)
    guest.destroy()
    guest.undefine()
    for file in (f"{name}.qcow2", f"{name}-seed.iso"):
        raw.storagePoolLookupByName(POOL).storageVolLookupByName(file).delete(0)


def measure(runs: int, megabytes: int, name: str) -> list[Figure]:
    with lab_named(name) as lab:
        image = lab.shared / IMAGE
        make_image(image, megabytes)
        try:
            with dashboard({}) as program:
                program.manage("register_lab", str(lab.directory / "lab.json"))
                program.stop()
                program.start()
                wait_for(lambda: program.get(f"hosts/{HOST}")["state"] == "connected", 60, f"{HOST} to be connected")
                return compare(lab, program, runs, megabytes)
        finally:
            image.unlink()


def compare(lab: Lab, program: Program, runs: int, megabytes: int) -> list[Figure]:
    """In turns, each first as often as the other; every guest is taken away before the next."""
    from vms.creation import seed

    uri = lab.facts["hosts"][HOST]["uri"]
    raw = libvirt.open(uri)
    raw.storagePoolLookupByName("shared").refresh(0)
    wait_for(lambda: program.api(f"pools/{HOST}/shared")[0] == 200, 60, "the pool to be seen")
    program.refresh(f"pools/{HOST}/shared")
    wait_for(lambda: program.get(f"pools/{HOST}/shared/volumes?q={IMAGE}")["items"], 60, "the image to be seen")
    rows = sqlite3.connect(f"file:{program.folder / 'kvmdash.sqlite3'}?mode=ro", uri=True)
    disc = seed.image(
        {"meta-data": "instance-id: bench\n", "user-data": "#cloud-config\n", "network-config": "version: 2\n"}
    )
    took: dict[str, list[float]] = {"hand": [], "kvmdash": []}
    for number in range(2 * runs):
        guest, tool = f"bench-{number}", ("kvmdash", "hand", "hand", "kvmdash")[number % 4]
        status, plan = program.api("vms/plan", BODY | {"name": guest})
        assert status == 200 and plan["host"] == HOST, plan
        if tool == "hand":
            took[tool].append(by_hand(uri, guest, plan["definition"], disc, megabytes << 20))
        else:
            took[tool].append(by_kvmdash(program, rows, guest))
        say(f"{guest} by {tool}: {took[tool][-1]:.3f} s")
        remove(raw, guest)
        time.sleep(1.0)
    rows.close()
    ours, bare = statistics.median(took["kvmdash"]), statistics.median(took["hand"])
    return [
        at_most(f"a guest from a cloud image of {megabytes} MiB ÷ the bare steps, medians", ours / bare, GOAL, "×", 3),
        fact("the same in seconds", f"{ours:.3f} s, bare {bare:.3f} s"),
    ]


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--megabytes", type=int, default=400)
    parser.add_argument("--lab", default="")
    options = parser.parse_args()
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "kvmdash.settings")
    finish(measure(options.runs, options.megabytes, options.lab), options)


if __name__ == "__main__":
    main()
