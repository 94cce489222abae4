"""The browser's end of a console: a websocket whose buffers are bounded, first with deadlines, then without blocking."""

from __future__ import annotations

import socket
import time

from vms.console import frames
from vms.console.closing import NORMAL, Closing

RECEIVE_BYTES = 65536
#: a frame of so few bytes is sent in one piece
_SMALL_BYTES = 4096
#: how long a closing browser is waited for
_FAREWELL_SECONDS = 2.0
#: beyond this, unsent bytes wait in the guest's socket and not in the kernel's
_UNSENT_BYTES = 131072


class Browser:
    """Reads and writes the payload bytes; answers pings; knows when it last heard of the other side."""

    def __init__(self, connection: socket.socket, early: bytes = b"") -> None:
        self.connection = connection
        self.heard = time.monotonic()
        self.sent = 0
        self._reader = frames.FrameReader()
        self._inbox = b""
        self._early = early
        self._out: list[memoryview] = []
        self._pong: bytes | None = None
        self._closed_by_them = False
        if connection.family != socket.AF_UNIX:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, _UNSENT_BYTES)

    # --- the handshake: blocking, with a deadline

    def set_deadline(self, seconds: float | None) -> None:
        """From now on, ``read`` and ``write`` raise TimeoutError after so long; with None nothing blocks any more."""
        self._until = time.monotonic() + (seconds or 0)
        # To settimeout(), None would mean to block for ever.
        self.connection.settimeout(seconds or 0.0)

    def read(self, size: int) -> bytes:
        """Exactly ``size`` bytes."""
        while len(self._inbox) < size:
            self.connection.settimeout(max(self._until - time.monotonic(), 0.001))
            self._inbox += self.receive()
        taken, self._inbox = self._inbox[:size], self._inbox[size:]
        return taken

    def write(self, data: bytes) -> None:
        """All of ``data``, at once."""
        self.send(data)
        while self.is_pending:
            self.flush()

    def leftover(self) -> bytes:
        """What came after the handshake's last byte; taken once."""
        taken, self._inbox = self._inbox, b""
        return taken

    # --- afterwards

    @property
    def is_pending(self) -> bool:
        """Whether something waits to be sent: nothing more is to be read for this browser."""
        return bool(self._out)

    def receive(self) -> bytes:
        """The payload bytes of one read, maybe none. Raises Closing when the browser closes or is gone."""
        data, self._early = self._early or self._receive(), b""
        self.heard = time.monotonic()
        whole = self._reader.whole(data) if self._pong is None else None
        if whole is not None:
            return whole
        payload = []
        for piece in self._reader.feed(data):
            if piece.opcode == frames.BINARY:
                payload.append(piece.payload)
            elif piece.opcode == frames.PING:
                # One answer is enough however many pings wait: they cannot fill our memory.
                self._pong = piece.payload
            elif piece.opcode == frames.CLOSE:
                self._closed_by_them = True
                raise Closing(NORMAL, "Closed in the browser.")
        if self._pong is not None and not self._out:
            self.flush()
        return payload[0] if len(payload) == 1 else b"".join(payload)

    def _receive(self) -> bytes:
        data = self.connection.recv(RECEIVE_BYTES)
        if not data:
            self._closed_by_them = True
            raise Closing(NORMAL, "The browser went away.")
        return data

    def send(self, data: bytes) -> None:
        """Queue ``data`` as one frame and send what can be sent."""
        self.sent += len(data)
        if len(data) <= _SMALL_BYTES and not self._out:
            self._send_small(frames.header(frames.BINARY, len(data)) + data)
            return
        self._out += [memoryview(frames.header(frames.BINARY, len(data))), memoryview(data)]
        self.flush()

    def _send_small(self, frame: bytes) -> None:
        """A key's echo is copied faster than it is queued."""
        try:
            sent = self.connection.send(frame)
        except BlockingIOError:
            sent = 0
        if sent < len(frame):
            self._out.append(memoryview(frame)[sent:])

    def ping(self) -> None:
        """Ask for a sign of life, unless bytes already wait for this browser."""
        if not self._out:
            self._out.append(memoryview(frames.header(frames.PING, 0)))
            self.flush()

    def flush(self) -> None:
        """Send what the socket takes now."""
        if not self._out and self._pong is not None:
            self._out.append(memoryview(frames.header(frames.PONG, len(self._pong)) + self._pong))
            self._pong = None
        if not self._out:
            return
        try:
            sent = self.connection.sendmsg(self._out)
        except BlockingIOError:
            return
        while self._out and sent >= len(self._out[0]):
            sent -= len(self._out.pop(0))
        if sent:
            self._out[0] = self._out[0][sent:]

    def close(self, closing: Closing) -> None:
        """Say why, wait a moment for the answer, and hang up. Never raises."""
        try:
            self.set_deadline(_FAREWELL_SECONDS)
            while self._out:
                self._one_more_moment()
                self.flush()
            payload = frames.close_payload(closing.code, closing.reason)
            self.connection.sendall(frames.header(frames.CLOSE, len(payload)) + payload)
            while not self._closed_by_them:
                self._one_more_moment()
                self.receive()
        except (OSError, Closing):
            pass  # It was closing anyway.
        self._hang_up()

    def _one_more_moment(self) -> None:
        left = self._until - time.monotonic()
        if left <= 0:
            raise TimeoutError
        self.connection.settimeout(left)

    def _hang_up(self) -> None:
        try:
            self.connection.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass  # They were faster.
