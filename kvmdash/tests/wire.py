"""A cable between kvmdash and a test-driver host that can be cut at an exact moment: right before a change, or right after it.

It reads libvirt's own messages (length, program, version, procedure, type, serial, status) and knows which of them only look;
any other is a change. So a new kind of operation is hit in its middle without anybody naming its calls here.
"""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Callable
from dataclasses import dataclass

HEADER = struct.Struct("!IIIIIiI")
REMOTE_PROGRAM = 0x20008086
CALL = 0
#: procedures of libvirt's remote protocol (remote_protocol.x) that change nothing at a host, of those that kvmdash uses
LOOKS = frozenset({
    1, 2, 3, 4, 6, 7, 59, 60, 66, 157, 227, 228, 340, 341, 342,  # the connection and the host itself
    14, 15, 23, 24, 150, 151, 163, 183, 202, 211, 212, 273, 298, 344, 353,  # guests
    186, 187, 188, 189, 190, 191, 271, 274, 275, 413,  # snapshots and checkpoints
    43, 44, 84, 85, 87, 88, 89, 91, 92, 95, 96, 97, 98, 99, 100, 209, 152, 153, 154, 155, 281, 282, 283,  # storage and networks
    46, 47,  # one network
    130, 156, 284, 285, 286,  # interfaces, devices and network filters
    141, 147, 287,  # secrets
    167, 168, 313, 314, 316, 317, 368, 369, 380, 381,  # events
    403,  # what pools it can have
    136,  # what the test of a host asks to find out its rights
})  # fmt: skip


@dataclass
class Wire:
    """Listens on a ``port`` of its own and passes everything on to the host at ``target``, until it is told otherwise."""

    target: int

    def __post_init__(self) -> None:
        self.changed = threading.Event()
        #: changes that reached the host since the cable was armed
        self.delivered: list[int] = []
        self._at_the_change: Callable[[], None] = lambda: None
        self._held: list[tuple[socket.socket, bytes]] = []
        self._mode = "open"
        self._lock = threading.Lock()
        self._socket = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port = int(self._socket.getsockname()[1])
        self._pairs: list[_Pair] = []
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def uri(self) -> str:
        """How the product reaches the host through this cable."""
        return f"test+tcp://127.0.0.1:{self.port}/default"

    def arm(self, moment: str, then: Callable[[], None] = lambda: None) -> None:
        """Go silent at the next change: ``before`` it reaches the host, or ``after`` it did and before the answer comes back.

        ``hold`` is not silent: the change waits in the cable until :meth:`release`, and everything else passes.
        ``then`` is called at that moment, before the change is passed on.
        """
        with self._lock:
            self.changed.clear()
            self.delivered.clear()
            self._at_the_change = then
            self._mode = moment

    def mend(self) -> None:
        """A new cable: what hung in the old one is lost, and new connections pass."""
        with self._lock:
            self._mode = "open"
            pairs, self._pairs = self._pairs, []
        for pair in pairs:
            pair.cut()

    def close(self) -> None:
        """Put it away."""
        self._socket.close()
        self.mend()

    def _accept(self) -> None:
        while True:
            try:
                near, _address = self._socket.accept()
                far = socket.create_connection(("127.0.0.1", self.target), timeout=5)
            except OSError:
                if self._socket.fileno() == -1:
                    return
                near.close()  # The host is down: the caller is refused as late as this.
                continue
            far.settimeout(None)
            with self._lock:
                pair = _Pair(self, near, far)
                self._pairs.append(pair)
            pair.start()

    def release(self) -> None:
        """Let the changes that wait in the cable go on to the host."""
        with self._lock:
            self._mode = "open"
            held, self._held = self._held, []
        for far, message in held:
            far.sendall(message)

    def holds(self, far: socket.socket, message: bytes) -> bool:
        """Whether a message does not go on now; the first change that meets an armed cable silences it."""
        _length, program, _version, procedure, kind, _serial, _status = HEADER.unpack_from(message)
        is_change = program == REMOTE_PROGRAM and kind == CALL and procedure not in LOOKS
        with self._lock:
            moment = self._mode
            if is_change and moment in ("before", "after"):
                self._mode = "silent"
                self._at_the_change()
            passes = moment == "open" or (moment == "after" and is_change) or (moment != "silent" and not is_change)
            if is_change and moment == "hold":
                self._held.append((far, message))
            if passes and is_change:
                self.delivered.append(procedure)
        if is_change:
            self.changed.set()
        return not passes

    @property
    def is_silent(self) -> bool:
        """Whether nothing comes through any more."""
        return self._mode == "silent"


class _Pair:
    """One connection through the cable."""

    def __init__(self, wire: Wire, near: socket.socket, far: socket.socket) -> None:
        self.wire, self.near, self.far = wire, near, far

    def start(self) -> None:
        for pump in (self._calls, self._answers):
            threading.Thread(target=pump, daemon=True).start()

    def cut(self) -> None:
        for end in (self.near, self.far):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            end.close()

    def _calls(self) -> None:
        try:
            while message := _read(self.near):
                if not self.wire.holds(self.far, message):
                    self.far.sendall(message)
        except OSError:
            pass
        self.cut()

    def _answers(self) -> None:
        try:
            while data := self.far.recv(65536):
                if not self.wire.is_silent:
                    self.near.sendall(data)
        except OSError:
            pass
        if not self.wire.is_silent:
            self.cut()


def _read(end: socket.socket) -> bytes:
    """One whole message; nothing at the end."""
    head = _exactly(end, 4)
    return head + _exactly(end, int.from_bytes(head) - 4) if head else b""


def _exactly(end: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        part = end.recv(size - len(data))
        if not part:
            return b""
        data += part
    return data
