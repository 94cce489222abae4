"""The relay's side of the gateway: a websocket client that hands payloads on as they arrive, without collecting messages."""

from __future__ import annotations

import asyncio
import base64
import os
from collections import deque
from typing import cast

from vms.console import frames
from vms.console.closing import Closing

_UNREAD_BYTES = 262144
_LONGEST_ANSWER = 16384
#: to our own gateway over loopback there is no cache to be fooled: XOR with zeros is no work
_MASK = bytes(4)
_ABNORMAL = 1006


class NotUpgraded(Exception):
    """The gateway did not answer with a websocket."""


class Upstream(asyncio.Protocol):
    """One connection to the gateway. Reading pauses while what was read has not been taken."""

    def __init__(self) -> None:
        loop = asyncio.get_running_loop()
        self.code = _ABNORMAL
        self.reason = ""
        self.headers: dict[str, str] = {}
        self._transport: asyncio.Transport | None = None
        self._opened: asyncio.Future[None] = loop.create_future()
        self._closed = loop.create_future()
        self._answer = b""
        self._reader = frames.FrameReader(wants_mask=False)
        self._unread: deque[bytes] = deque()
        self._unread_bytes = 0
        self._paused = False
        self._arrived = asyncio.Event()
        self._writable = asyncio.Event()
        self._writable.set()
        self._ended = False

    @classmethod
    async def open(cls, host: str, port: int, path: str, headers: dict[str, str]) -> Upstream:
        """Connect and shake hands. Raises OSError or NotUpgraded."""
        _transport, upstream = await asyncio.get_running_loop().create_connection(cls, host, port)
        upstream._write(_request(host, port, path, headers))
        try:
            await upstream._opened
        except BaseException:
            upstream.abort()
            raise
        return upstream

    # --- what asyncio calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are none by class.
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        if not self._opened.done():
            data = self._open(data)
        if data:
            self._take(data)

    def connection_lost(self, exc: Exception | None) -> None:
        if not self._opened.done():
            self._opened.set_exception(NotUpgraded("hung up"))
        self._end()
        if not self._closed.done():
            self._closed.set_result(None)
        self._writable.set()

    def pause_writing(self) -> None:
        self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()

    # --- the stream

    def _open(self, data: bytes) -> bytes:
        """Read the answer to our request; what follows it."""
        self._answer += data
        head, end, rest = self._answer.partition(b"\r\n\r\n")
        if not end:
            if len(head) > _LONGEST_ANSWER:
                self._opened.set_exception(NotUpgraded("endless answer"))
            return b""
        lines = head.decode("latin-1").split("\r\n")
        status = lines[0].partition(" ")[2][:3]
        if status != "101":
            self._opened.set_exception(NotUpgraded(status))
            return b""
        self.headers = {
            name.lower(): value.strip() for name, _colon, value in (line.partition(":") for line in lines[1:])
        }
        self._answer = b""
        self._opened.set_result(None)
        return rest

    def _take(self, data: bytes) -> None:
        try:
            pieces = self._reader.feed(data)
        except Closing:
            self.abort()
            return
        for piece in pieces:
            self._piece(piece)
        if self._unread_bytes > _UNREAD_BYTES and not self._paused and self._transport is not None:
            self._paused = True
            self._transport.pause_reading()

    def _piece(self, piece: frames.Piece) -> None:
        if piece.opcode == frames.BINARY:
            self._unread.append(piece.payload)
            self._unread_bytes += len(piece.payload)
            self._arrived.set()
        elif piece.opcode == frames.PING:
            self._write(_frame(frames.PONG, piece.payload))
        elif piece.opcode == frames.CLOSE:
            self.code = frames.close_code(piece.payload)
            self.reason = piece.payload[2:].decode(errors="replace")
            self._write(_frame(frames.CLOSE, piece.payload[:2]))
            self._end()

    def _end(self) -> None:
        self._ended = True
        self._arrived.set()

    def _write(self, data: bytes) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(data)

    async def receive(self) -> bytes | None:
        """The next bytes; None when the gateway has closed and everything was taken."""
        while not self._unread:
            if self._ended:
                return None
            self._arrived.clear()
            await self._arrived.wait()
        data = self._unread.popleft()
        self._unread_bytes -= len(data)
        if self._paused and self._unread_bytes <= _UNREAD_BYTES // 2 and self._transport is not None:
            self._paused = False
            self._transport.resume_reading()
        return data

    async def send(self, data: bytes) -> None:
        """Hand bytes to the gateway; waits while it takes none."""
        self._write(_frame(frames.BINARY, data))
        await self._writable.wait()

    async def close(self, code: int) -> None:
        """Say goodbye and wait a moment for the answer."""
        if not self._ended:
            self._write(_frame(frames.CLOSE, frames.close_payload(code, "")))
        if self._transport is not None:
            self._transport.resume_reading()
        try:
            await asyncio.wait_for(asyncio.shield(self._closed), 3)
        except TimeoutError:
            self.abort()

    def abort(self) -> None:
        """Hang up."""
        if self._transport is not None:
            self._transport.abort()


def _frame(opcode: int, payload: bytes) -> bytes:
    return frames.header(opcode, len(payload), _MASK) + payload


def _request(host: str, port: int, path: str, headers: dict[str, str]) -> bytes:
    fixed = {
        "Host": f"{host}:{port}",
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": base64.b64encode(os.urandom(16)).decode(),
    }
    lines = [f"GET {path} HTTP/1.1", *(f"{name}: {_clean(value)}" for name, value in (fixed | headers).items())]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1", "replace")


def _clean(value: str) -> str:
    """A header is one line, whatever somebody else sent."""
    return "".join(character for character in value if character.isprintable())
