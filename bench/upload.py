"""What an upload through the dashboard costs against `virsh vol-upload` of the same file to the same host.

    python -m bench.upload [--megabytes 1024] [--runs 5]

A libvirtd of its own with a folder pool, `manage.py up` in front of it, and a client that sends pieces of 32 MiB with their
SHA-256 as the page does: through the web process, the gateway and libvirt's stream. The client's own work (reading, checksums)
is done before the clock runs, since a browser is another machine. Both take turns, and each upload ends when the volume is
there whole. Two roads are measured: through the web process (one port), and straight to the gateway, as the proxies of deploy/
route pieces; and the latter once more without checksums, which virsh has none of either. The ratio is the median of those of all
rounds. Memory is that of web process and gateway together.
"""

from __future__ import annotations

import base64
import hashlib
import http.client
import statistics
import subprocess
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

from bench.report import Figure, arguments, at_least, at_most, fact, finish, say
from bench.running import dashboard, resident, tree_of, wait_for
from hosts.tests.images_host import ImagesHost, some_bytes
from kvmdash.tests.program import Program
from lab.testhosts import free_port

PIECE = 32 << 20
MIB = 1 << 20
UNCHECKED = "straight to the gateway, nothing checked"


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--megabytes", type=int, default=1024)
    parser.add_argument("--runs", type=int, default=5)
    options = parser.parse_args()
    host = ImagesHost.create("bench-upload")
    host.start()
    try:
        with (
            tempfile.TemporaryDirectory() as folder,
            dashboard({"one": host.uri}, KVMDASH_CONSOLE_GATEWAY=f"127.0.0.1:{free_port()}") as program,
        ):
            file = write_file(Path(folder, "image.raw"), options.megabytes)
            wait_for(lambda: program.get("pools?host=one")["items"], 60, "the pool")
            finish(measure(program, host, file, options.runs), options)
    finally:
        host.remove()


def write_file(file: Path, megabytes: int) -> Path:
    block = some_bytes(MIB)
    with file.open("wb") as handle:
        for number in range(megabytes):
            handle.write(number.to_bytes(8, "big") + block[8:])
    return file


def measure(program: Program, host: ImagesHost, file: Path, runs: int) -> list[Figure]:
    megabytes = file.stat().st_size / MIB
    assert program.process is not None
    before, peak = memory(program.process.pid), Peak(program.process.pid)
    checksums = checksums_of(file)
    gateway, unchecked = int(program.environment["KVMDASH_CONSOLE_GATEWAY"][10:]), [""] * len(checksums)
    roads = {
        "one port": (program.port, checksums),
        "straight to the gateway": (gateway, checksums),
        UNCHECKED: (gateway, unchecked),
    }
    plain: list[float] = []
    ours: dict[str, list[float]] = {road: [] for road in roads}
    for number in range(runs):
        plain.append(virsh_upload(host, file, f"virsh-{number}"))
        for place, (road, (port, sums)) in enumerate(roads.items()):
            with peak:
                ours[road].append(our_upload(program, host, file, f"ours-{number}-{place}", sums, port))
        speeds = ", ".join(f"{road} {megabytes / took[-1]:.0f}" for road, took in {"virsh": plain, **ours}.items())
        say(f"MiB/s: {speeds}")
    name = f"upload of {megabytes:.0f} MiB ÷ virsh vol-upload"
    ratios = {road: [a / b for a, b in zip(plain, took, strict=True)] for road, took in ours.items()}
    medians = {road: megabytes / statistics.median(took) for road, took in {"virsh": plain, **ours}.items()}
    return [
        *[
            at_least(f"{name}, {road}", statistics.median(found), 0.7, "×")
            for road, found in ratios.items()
            if road != UNCHECKED
        ],
        at_most(f"memory more while {megabytes:.0f} MiB pass", peak.most - before, 64, " MB", 0),
        fact(f"{name}, nothing checked", f"{statistics.median(ratios[UNCHECKED]):.2f}×"),
        fact("MiB a second", ", ".join(f"{road} {speed:.0f}" for road, speed in medians.items())),
    ]


def virsh_upload(host: ImagesHost, file: Path, name: str) -> float:
    """Seconds for making a volume and filling it."""
    virsh = ["virsh", "-q", "-c", host.uri]
    begin = time.monotonic()
    size = str(file.stat().st_size)
    subprocess.run([*virsh, "vol-create-as", "images", name, f"{size}b", "--format", "raw"], check=True)
    subprocess.run([*virsh, "vol-upload", name, str(file), "--pool", "images"], check=True)
    took = time.monotonic() - begin
    assert (host.images / name).stat().st_size == file.stat().st_size
    subprocess.run([*virsh, "vol-delete", name, "--pool", "images"], check=True)
    return took


def our_upload(program: Program, host: ImagesHost, file: Path, name: str, checksums: list[str], port: int) -> float:
    """Seconds from asking to the operation's success."""
    begin = time.monotonic()
    status, asked = program.api("pools/one/images/uploads", {"name": name, "size": file.stat().st_size})
    assert status == 202, asked
    upload = wait_for(lambda: opened(program, asked["id"]), 30, "the upload to be open")
    send(port, upload, file, checksums)
    ended = program.ended(asked["id"])
    took = time.monotonic() - begin
    assert ended["state"] == "succeeded", ended
    assert (host.images / name).stat().st_size == file.stat().st_size
    (host.images / name).unlink()
    host.pool().refresh(0)
    return took


def opened(program: Program, operation: str) -> Any:
    upload = program.get(f"uploads/{operation}")
    return upload if upload["open"] else None


def send(port: int, upload: Any, file: Path, checksums: list[str]) -> None:
    """Piece after piece; the kernel reads the file."""
    line = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    with file.open("rb") as handle:
        for number, checksum in enumerate(checksums):
            at = number * PIECE
            length = min(PIECE, upload["size"] - at)
            line.putrequest("PATCH", upload["address"])
            headers = {"Upload-Ticket": upload["ticket"], "Upload-Offset": str(at), "Content-Length": str(length)}
            if checksum:
                headers["Upload-Checksum"] = f"sha256 {checksum}"
            for name, value in headers.items():
                line.putheader(name, value)
            line.endheaders()
            line.sock.sendfile(handle, at, length)
            answer = line.getresponse()
            body = answer.read()
            assert answer.status == 204, (answer.status, body)
            line.close()


def checksums_of(file: Path) -> list[str]:
    """Of each piece, as a header has it."""
    with file.open("rb") as handle:
        pieces = iter(lambda: handle.read(PIECE), b"")
        return [base64.b64encode(hashlib.sha256(piece).digest()).decode() for piece in pieces]


def memory(pid: int) -> float:
    """Megabytes of the program with its gateway."""
    return sum(resident(one) for one in tree_of(pid))


class Peak:
    """The most memory that was seen while it is entered."""

    def __init__(self, pid: int) -> None:
        self.most = 0.0
        self._pid = pid
        self._end = threading.Event()

    def __enter__(self) -> Peak:
        self._end.clear()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._end.wait(0.2):
            self.most = max(self.most, memory(self._pid))


if __name__ == "__main__":
    main()
