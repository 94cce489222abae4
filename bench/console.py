"""What a console costs: bytes a second and round trips against the plain websockify command, and memory for each console.

    python -m bench.console [--streams 1 50] [--consoles 2000] [--seconds 4] [--runs 3]

Everything runs on this machine: a source of bytes that behaves like a VNC server, the gateway (and the relay in front of it), the
plain ``websockify`` command, and reading clients. The roads take turns and each figure is the median of the runs. A round trip is
compared with one straight to the source over TCP, of which a proxy makes two; and with websockify's.
"""

from __future__ import annotations

import base64
import os
import selectors
import shutil
import socket
import statistics
import struct
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.report import Figure, arguments, at_least, at_most, fact, finish, say
from bench.running import resident

PROJECT = Path(__file__).resolve().parents[1]
FORMAT = struct.pack(">BBBBHHHBBBxxx", 32, 24, 0, 1, 255, 255, 255, 16, 8, 0)
GREETING = struct.pack(">HH", 640, 480) + FORMAT + struct.pack(">I", 4) + b"fake"
KEY = struct.pack(">BBxxI", 4, 1, 0x61)
FLOOD = b"F"  # what a client says to get bytes without end
ECHO = b"E"  # … or each of its bytes back


# --- the source: greets like RFB 3.8, then floods or echoes


def source(port: int) -> None:
    """Serve until killed. Without ``raw``'s first byte R, a client is greeted as by a VNC server."""
    listener = socket.create_server(("127.0.0.1", port), backlog=4000)
    threading.stack_size(256 * 1024)
    while True:
        client, _address = listener.accept()
        threading.Thread(target=serve_one, args=(client,), daemon=True).start()


def serve_one(client: socket.socket) -> None:
    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    try:
        client.sendall(b"RFB 003.008\n")
        take(client, 12)
        client.sendall(b"\x01\x01")
        take(client, 1)
        client.sendall(bytes(4))
        take(client, 1)
        client.sendall(GREETING)
        what = take(client, 1)
        block = bytes(1 << 18)
        while what == FLOOD:
            client.sendall(block)
        while data := client.recv(65536):
            client.sendall(data)
    except (OSError, EOFError):
        client.close()


def take(client: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        piece = client.recv(size - len(data))
        if not piece:
            raise EOFError
        data += piece
    return data


# --- a client: the least a browser does


class Client:
    """A websocket (or plain TCP) that shook hands with the source; afterwards frames are only counted."""

    def __init__(self, port: int, path: str | None) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), 60)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.framed = path is not None
        self._inbox = b""
        if path is not None:
            self._upgrade(path)
        self.read(12)
        self.send(b"RFB 003.008\n")
        self.read(2)
        self.send(b"\x01")
        self.read(4)
        self.send(b"\x01")
        self.read(len(GREETING))

    def _upgrade(self, path: str) -> None:
        key = base64.b64encode(os.urandom(16)).decode()
        self.socket.sendall(
            f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nOrigin: http://127.0.0.1\r\nUpgrade: websocket\r\n"
            f"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: binary\r\n"
            f"Sec-WebSocket-Key: {key}\r\n\r\n".encode()
        )
        answer = b""
        while not answer.endswith(b"\r\n\r\n"):
            answer += take(self.socket, 1)
        assert b" 101 " in answer, answer

    def read(self, size: int) -> bytes:
        while len(self._inbox) < size:
            self._inbox += self._frame() if self.framed else take(self.socket, 1)
        taken, self._inbox = self._inbox[:size], self._inbox[size:]
        return taken

    def _frame(self) -> bytes:
        first, length = take(self.socket, 2)
        if length == 126:
            length = struct.unpack(">H", take(self.socket, 2))[0]
        elif length == 127:
            length = struct.unpack(">Q", take(self.socket, 8))[0]
        payload = take(self.socket, length)
        if first & 0x0F == 9:
            self.socket.sendall(b"\x8a\x80" + bytes(4))
            return b""
        assert first & 0x0F == 2, (first, payload)
        return payload

    def send(self, data: bytes) -> None:
        if self.framed:
            data = struct.pack(">BB", 0x82, 0x80 | len(data)) + bytes(4) + data
        self.socket.sendall(data)


def count_bytes(clients: list[Client], seconds: float) -> float:
    """Megabytes a second over all of them; frame headers weigh nothing at these sizes."""
    selector = selectors.DefaultSelector()
    for client in clients:
        client.send(FLOOD)
        client.socket.setblocking(False)
        selector.register(client.socket, selectors.EVENT_READ)
    buffer = bytearray(1 << 20)

    def drain(until: float) -> int:
        total = 0
        while time.monotonic() < until:
            for key, _events in selector.select(0.1):
                total += key.fileobj.recv_into(buffer)  # type: ignore[union-attr]
        return total

    drain(time.monotonic() + 1.0)
    begin = time.monotonic()
    total = drain(begin + seconds)
    return total / (time.monotonic() - begin) / 1e6


def round_trips(client: Client, times: int = 2000) -> float:
    """The median of one key there and its echo back, in microseconds."""
    client.send(ECHO)
    took = []
    for _number in range(times):
        begin = time.perf_counter()
        client.send(KEY)
        client.read(len(KEY))
        took.append(time.perf_counter() - begin)
    return statistics.median(took) * 1e6


# --- the roads


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for_port(port: int) -> None:
    for _attempt in range(300):
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            time.sleep(0.1)
    raise SystemExit(f"nothing listens on {port}")


@contextmanager
def running(*command: str, port: int) -> Iterator[subprocess.Popen[bytes]]:
    child = subprocess.Popen(command, cwd=PROJECT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_for_port(port)
        yield child
    finally:
        child.terminate()
        child.wait(15)


def gateway(port: int, target: int) -> None:
    """The real gateway, whose guests all live at the source."""
    import signal

    from vms.console.gateway import Gateway
    from vms.console.line import Target

    done = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: done.set())
    made = Gateway(lambda _vm: Target("127.0.0.1", target), port=port)
    made.start()
    done.wait()
    made.stop()


def prepare() -> None:
    """A database with a user and a guest."""
    import django

    django.setup()
    from django.core.management import call_command

    from hosts.models import Host, User
    from vms.models import VirtualMachine

    call_command("migrate_all", verbosity=0)
    User.objects.create_user("bench", password="x", role="operator")
    host = Host.objects.create(name="bench", uri="qemu+tcp://127.0.0.1/system", state="connected")
    VirtualMachine.objects.create(name="bench", host=host, power_state="running", graphics=[{"type": "vnc", "port": 1}])


def tickets(count: int, view_only: bool = False) -> list[str]:
    from hosts.models import User
    from vms.console.access import console_path, open_console
    from vms.models import VirtualMachine

    user, vm = User.objects.get(), VirtualMachine.objects.select_related("host").get()
    return [console_path(open_console(user, vm, view_only=view_only)) for _number in range(count)]


def measure(connect: Callable[[int], list[Client]], streams: list[int], seconds: float) -> dict[str, float]:
    """Megabytes a second for each number of streams, and the round trip in microseconds ('trip')."""
    figures: dict[str, float] = {}
    for count in streams:
        clients = connect(count)
        figures[str(count)] = count_bytes(clients, seconds)
        close(clients)
    (client,) = connect(1)
    figures["trip"] = round_trips(client)
    close([client])
    return figures


def close(clients: list[Client]) -> None:
    for client in clients:
        client.socket.close()
    time.sleep(1.0)


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--streams", type=int, nargs="+", default=[1, 50])
    parser.add_argument("--consoles", type=int, default=2000)
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--runs", type=int, default=3)
    options = parser.parse_args()
    folder = tempfile.mkdtemp(prefix="kvmdash-bench-")
    ports = {name: free_port() for name in ("source", "websockify", "gateway", "web")}
    os.environ.update(
        DJANGO_SETTINGS_MODULE="kvmdash.settings", KVMDASH_DATA_DIR=folder, KVMDASH_LOG_LEVEL="ERROR",
        KVMDASH_CONSOLE_GATEWAY=f"127.0.0.1:{ports['gateway']}",
    )  # fmt: skip
    try:
        prepare()
        finish(compare(ports, options.streams, options.consoles, options.seconds, options.runs), options)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def compare(ports: dict[str, int], streams: list[int], consoles: int, seconds: float, runs: int) -> list[Figure]:
    """All roads by turns, then memory with so many consoles open."""
    this = (sys.executable, "-m", "bench.console")
    websockify = str(Path(sys.executable).with_name("websockify"))
    plain = (websockify, f"127.0.0.1:{ports['websockify']}", f"127.0.0.1:{ports['source']}")
    web = (sys.executable, "manage.py", "web", "--port", str(ports["web"]))
    roads: dict[str, Callable[[int], list[Client]]] = {
        "plain TCP": lambda count: many(ports["source"], [None] * count),
        "websockify": lambda count: many(ports["websockify"], ["/"] * count),
        "gateway": lambda count: many(ports["gateway"], tickets(count)),
        "one port": lambda count: many(ports["web"], tickets(count)),
    }
    took: dict[str, list[dict[str, float]]] = {name: [] for name in roads}
    with (
        running(*this, "--source", str(ports["source"]), port=ports["source"]),
        running(*plain, port=ports["websockify"]),
        running(*this, "--gateway", f"{ports['gateway']}:{ports['source']}", port=ports["gateway"]) as child,
        running(*web, port=ports["web"]),
    ):
        for _ in range(runs):
            for name, connect in roads.items():
                took[name].append(measure(connect, streams, seconds))
                say(f"{name:12}" + "".join(f"{key}: {value:8.0f}   " for key, value in took[name][-1].items()))
        remembered = memory(child.pid, ports["gateway"], consoles)
    return [*speeds(took, streams), *trips(took), *remembered]


def speeds(took: dict[str, list[dict[str, float]]], streams: list[int]) -> list[Figure]:
    """Bytes a second against websockify's, each road's against websockify's of the same round."""
    return [
        at_least(
            f"bytes, {road} ÷ websockify, {count} streams",
            over(took, road, "websockify", str(count)),
            goal,
            "×",
        )
        for road, goal in (("gateway", 0.9), ("one port", 0.5))
        for count in streams
    ]


def trips(took: dict[str, list[dict[str, float]]]) -> list[Figure]:
    """Round trips against those straight to the source."""
    found = [
        at_most(f"round trip, {road} ÷ straight TCP", over(took, road, "plain TCP", "trip"), 2.0, "×", 2)
        for road in ("gateway", "one port")
    ]
    medians = {road: statistics.median(run["trip"] for run in runs) for road, runs in took.items()}
    shown = ", ".join(f"{road} {value:.0f}" for road, value in medians.items())
    return [*found, fact("round trips in µs", shown)]


def over(took: dict[str, list[dict[str, float]]], road: str, other: str, key: str) -> float:
    """The median of the ratios of all rounds."""
    return statistics.median(a[key] / b[key] for a, b in zip(took[road], took[other], strict=True))


def many(port: int, paths: list[str] | list[None]) -> list[Client]:
    return [Client(port, path) for path in paths]


def memory(pid: int, port: int, consoles: int) -> list[Figure]:
    """What the gateway takes for each console, once each has carried a little."""
    time.sleep(2.0)
    before = resident(pid)
    clients: list[Client] = []
    for begin in range(0, consoles, 100):
        clients += many(port, tickets(min(100, consoles - begin)))
    for client in clients:
        client.send(ECHO + KEY)
        client.read(len(KEY))
    alive = sum(answers(client) for client in clients)
    after = resident(pid)
    close(clients)
    each = (after - before) * 1024 / consoles
    return [
        at_least("consoles open in one gateway that carry bytes", alive, consoles, digits=0),
        at_most(f"memory a console, {consoles} open", each, 64, " kB", 0),
        fact("the gateway's memory without and with them", f"{before:.0f} and {after:.0f} MB"),
    ]


def answers(client: Client) -> bool:
    """Whether the console still carries a key there and back."""
    client.send(KEY)
    return client.read(len(KEY)) == KEY


def entry() -> None:
    if sys.argv[1:2] == ["--source"]:
        source(int(sys.argv[2]))
    elif sys.argv[1:2] == ["--gateway"]:
        import django

        django.setup()
        port, _colon, target = sys.argv[2].partition(":")
        gateway(int(port), int(target))
    else:
        main()


if __name__ == "__main__":
    entry()
