"""Websocket frames (RFC 6455) as a byte stream: payloads are handed on as they arrive, so no frame is too large to bear.

websockify collects whole messages of any size; a console's bytes need no messages.
"""

from __future__ import annotations

import struct
import sys
from dataclasses import dataclass

from vms.console.closing import PROTOCOL, Closing

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
_LARGEST_CONTROL = 125
_UNSUPPORTED = 1003
#: first byte of a message of one frame; bytes of the least masked frame; the least length that its second byte cannot tell
_FINAL_BINARY, _SMALLEST, _EXTENDED = 0x80 | BINARY, 6, 126


def header(opcode: int, length: int, mask: bytes = b"") -> bytes:
    """The bytes before the payload of a final frame."""
    first, masked = 0x80 | opcode, 0x80 if mask else 0
    if length < 126:
        return struct.pack(">BB", first, masked | length) + mask
    if length < 65536:
        return struct.pack(">BBH", first, masked | 126, length) + mask
    return struct.pack(">BBQ", first, masked | 127, length) + mask


def masked(data: bytes, mask: bytes) -> bytes:
    """``data`` XOR the repeated mask: hides and reveals alike. One big integer is faster here than any loop."""
    length = len(data)
    pad = (mask * (length // 4 + 1))[:length]
    number = int.from_bytes(data, sys.byteorder) ^ int.from_bytes(pad, sys.byteorder)
    return number.to_bytes(length, sys.byteorder)


def close_payload(code: int, reason: str) -> bytes:
    """What a close frame says."""
    return struct.pack(">H", code) + reason.encode()[:123]


def close_code(payload: bytes) -> int:
    """What the other side's close frame said; 1005 when it said nothing."""
    return int(struct.unpack(">H", payload[:2])[0]) if len(payload) >= 2 else 1005


@dataclass(slots=True)
class Piece:
    """Part of a data frame, or one whole control frame."""

    opcode: int
    payload: bytes


class FrameReader:
    """Takes a stream of frames apart; keeps at most a header or a control frame. Raises Closing on a breach of protocol."""

    __slots__ = ("_buffer", "_in_message", "_left", "_mask", "_wants_mask")

    def __init__(self, *, wants_mask: bool = True) -> None:
        self._wants_mask = wants_mask
        self._buffer = b""
        self._left = 0
        self._mask = b""
        self._in_message = False

    def whole(self, data: bytes) -> bytes | None:
        """The payload, when ``data`` is one small message of its own, as a key or a click is; None for all else."""
        if self._buffer or self._left or self._in_message or not self._wants_mask:
            return None
        length = len(data) - _SMALLEST
        if not 0 <= length < _EXTENDED or data[0] != _FINAL_BINARY or data[1] != 0x80 | length:
            return None
        return masked(data[6:], data[2:6])

    def feed(self, data: bytes) -> list[Piece]:
        """Everything that ``data`` completes, in order."""
        pieces: list[Piece] = []
        buffer = self._buffer + data if self._buffer else data
        position = 0
        while True:
            if self._left:
                taken = buffer[position : position + self._left]
                if not taken:
                    break
                position += len(taken)
                pieces.append(Piece(BINARY, self._reveal(taken)))
                continue
            step = self._frame(buffer, position, pieces)
            if not step:
                break
            position += step
        self._buffer = buffer[position:]
        return pieces

    def _reveal(self, taken: bytes) -> bytes:
        self._left -= len(taken)
        if not self._mask:
            return taken
        shown = masked(taken, self._mask)
        turn = len(taken) % 4
        self._mask = self._mask[turn:] + self._mask[:turn]
        return shown

    def _frame(self, buffer: bytes, start: int, pieces: list[Piece]) -> int:
        """Read a frame's header (a control frame whole); the number of bytes used, 0 when more are needed."""
        if len(buffer) - start < 2:
            return 0
        first, second = buffer[start], buffer[start + 1]
        opcode, length = first & 0x0F, second & 0x7F
        self._check(first, second, length)
        extended = {126: 2, 127: 8}.get(length, 0)
        size = 2 + extended + (4 if self._wants_mask else 0)
        if len(buffer) - start < size:
            return 0
        if extended:
            length = int.from_bytes(buffer[start + 2 : start + 2 + extended], "big")
        mask = buffer[start + size - 4 : start + size] if self._wants_mask else b""
        if opcode >= CLOSE:
            return self._control(opcode, buffer[start + size : start + size + length], length, mask, size, pieces)
        self._in_message = not first & 0x80
        self._left, self._mask = length, mask
        return size

    def _control(self, opcode: int, payload: bytes, length: int, mask: bytes, size: int, pieces: list[Piece]) -> int:
        if len(payload) < length:
            return 0
        pieces.append(Piece(opcode, masked(payload, mask) if mask else payload))
        return size + length

    def _check(self, first: int, second: int, length: int) -> None:
        opcode = first & 0x0F
        if first & 0x70 or bool(second & 0x80) != self._wants_mask:
            raise Closing(PROTOCOL, "Malformed websocket frame.")
        if opcode == TEXT:
            raise Closing(_UNSUPPORTED, "Only binary frames are taken.")
        if opcode not in (CONTINUATION, BINARY, CLOSE, PING, PONG):
            raise Closing(PROTOCOL, "Unknown websocket frame.")
        if opcode >= CLOSE and (length > _LARGEST_CONTROL or not first & 0x80):
            raise Closing(PROTOCOL, "Malformed websocket control frame.")
        if opcode < CLOSE and (opcode == CONTINUATION) != self._in_message:
            raise Closing(PROTOCOL, "Websocket frames out of order.")
