"""The guest's end of a console: where its screen listens, and the socket that leads there (straight, or through ssh)."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

from vms.console.closing import UNREACHABLE, Closing

#: ssh servers drop connections at random when more than ten log in at once (MaxStartups)
_SSH_AT_ONCE = 6
_turns: dict[tuple[str, ...], threading.BoundedSemaphore] = {}
_turns_lock = threading.Lock()


@dataclass(frozen=True, slots=True)
class Target:
    """Where a screen listens: an address, or the path of a socket file; ``ssh`` is the command that leads to its host."""

    address: str = ""
    port: int = 0
    path: str = ""
    password: str = field(default="", repr=False)
    ssh: tuple[str, ...] = ()
    ssh_destination: tuple[str, ...] = ()

    @property
    def label(self) -> str:
        """The place in words, for messages."""
        return self.path or f"{self.address}:{self.port}"


class Line:
    """A connected socket; with a child process where ssh carries it."""

    def __init__(self, connection: socket.socket, child: subprocess.Popen[bytes] | None, label: str) -> None:
        self.socket = connection
        self._child = child
        self._label = label
        self._until = time.monotonic()

    def set_deadline(self, seconds: float | None) -> None:
        """From now on, ``read`` and ``write`` give up after so long; with None nothing blocks any more."""
        self._until = time.monotonic() + (seconds or 0)
        self.socket.setblocking(False)

    def read(self, size: int) -> bytes:
        """Exactly ``size`` bytes, before the deadline."""
        data = b""
        while len(data) < size:
            try:
                self.socket.settimeout(max(self._until - time.monotonic(), 0.001))
                piece = self.socket.recv(size - len(data))
            except OSError as error:
                raise Closing(UNREACHABLE, f"The VNC server at {self._label} does not answer.") from error
            if not piece:
                raise Closing(UNREACHABLE, self._why_it_ended())
            data += piece
        return data

    def write(self, data: bytes) -> None:
        """All of ``data``."""
        try:
            self.socket.settimeout(max(self._until - time.monotonic(), 0.001))
            self.socket.sendall(data)
        except OSError as error:
            raise Closing(UNREACHABLE, self._why_it_ended()) from error

    def ready(self) -> None:
        """The handshake is over: nothing blocks any more, and what ssh still has to say is nobody's interest."""
        self.socket.setblocking(False)
        if self._child is not None and self._child.stderr is not None:
            self._child.stderr.close()

    def _why_it_ended(self) -> str:
        said = self._last_words()
        if said:
            return f"ssh: {said}"
        return f"The VNC server at {self._label} closed the connection."

    def _last_words(self) -> str:
        if self._child is None or self._child.stderr is None or self._child.stderr.closed:
            return ""
        try:
            self._child.wait(2)
        except subprocess.TimeoutExpired:
            return ""
        lines = os.read(self._child.stderr.fileno(), 2000).decode(errors="replace").split("\n")
        return next((line.strip()[:100] for line in reversed(lines) if line.strip()), "")

    def interrupt(self) -> None:
        """Wake up whoever waits for the guest, from another thread."""
        with contextlib.suppress(OSError):
            self.socket.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Close the socket and reap the child."""
        self.socket.close()
        if self._child is None:
            return
        if self._child.stderr is not None:
            self._child.stderr.close()
        self._child.terminate()
        try:
            self._child.wait(2)
        except subprocess.TimeoutExpired:
            self._child.kill()
            self._child.wait()


@contextlib.contextmanager
def turn_for(target: Target) -> Iterator[None]:
    """Hold this while dialling and greeting: only so many log in to one ssh server at once."""
    if not target.ssh:
        yield
        return
    with _turns_lock:
        turn = _turns.setdefault(target.ssh_destination, threading.BoundedSemaphore(_SSH_AT_ONCE))
    with turn:
        yield


def dial(target: Target, seconds: float) -> Line:
    """Connect. Raises Closing when nothing listens there."""
    if target.ssh:
        return _through_ssh(target)
    try:
        connection = _unix(target.path, seconds) if target.path else _tcp(target, seconds)
    except OSError as error:
        why = error.strerror or "no answer"
        raise Closing(UNREACHABLE, f"The screen at {target.label} cannot be reached: {why}.") from error
    return Line(connection, None, target.label)


def _tcp(target: Target, seconds: float) -> socket.socket:
    connection = socket.create_connection((target.address, target.port), seconds)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    # A host that lost its power sends no farewell.
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in ((socket.TCP_KEEPIDLE, 10), (socket.TCP_KEEPINTVL, 5), (socket.TCP_KEEPCNT, 3)):
        connection.setsockopt(socket.IPPROTO_TCP, option, value)
    return connection


def _unix(path: str, seconds: float) -> socket.socket:
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connection.settimeout(seconds)
    try:
        connection.connect(path)
    except OSError:
        connection.close()
        raise
    return connection


def _through_ssh(target: Target) -> Line:
    ours, theirs = socket.socketpair()
    address = f"[{target.address}]" if ":" in target.address else target.address
    command = [*target.ssh, "-W", f"{address}:{target.port}", *target.ssh_destination]
    try:
        ends = theirs.fileno()
        child = subprocess.Popen(command, stdin=ends, stdout=ends, stderr=subprocess.PIPE, start_new_session=True)
    except OSError as error:
        ours.close()
        raise Closing(UNREACHABLE, f"ssh cannot be started: {error.strerror}.") from error
    finally:
        theirs.close()
    return Line(ours, child, target.label)
