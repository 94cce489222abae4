"""View-only: of what a browser says (RFB client messages), only what asks for pictures comes through."""

from __future__ import annotations

import struct

from vms.console.closing import PROTOCOL, Closing

SET_PIXEL_FORMAT, SET_ENCODINGS, UPDATE_REQUEST = 0, 2, 3
KEY, POINTER, CUT_TEXT = 4, 5, 6
CONTINUOUS_UPDATES, FENCE, XVP, DESKTOP_SIZE, QEMU = 150, 248, 250, 251, 255

#: messages of one size that pass, and that are dropped
_PASS = {SET_PIXEL_FORMAT: 20, UPDATE_REQUEST: 10, CONTINUOUS_UPDATES: 10}
_DROP = {KEY: 8, POINTER: 6, XVP: 4}
#: how many bytes of the others tell their size
_HEADS = {SET_ENCODINGS: 4, CUT_TEXT: 8, FENCE: 9, DESKTOP_SIZE: 8, QEMU: 2}
_QEMU_KEY, _QEMU_AUDIO, _QEMU_AUDIO_FORMAT = 0, 1, 2
_MOST_ENCODINGS = 1024
#: lets the server ask for longer pointer messages, whose size depends on what it said
_EXTENDED_BUTTONS = struct.pack(">i", -316)


class ViewOnly:
    """A filter for the stream from browser to guest; keeps at most one small message. Raises Closing on anything unknown."""

    __slots__ = ("_buffer", "_skip")

    def __init__(self) -> None:
        self._buffer = b""
        self._skip = 0

    def __call__(self, data: bytes) -> bytes:
        """What of ``data`` (and of what waited for its end) may go on."""
        data = self._buffer + data
        passed: list[bytes] = []
        position = 0
        while position < len(data):
            if self._skip:
                step = min(self._skip, len(data) - position)
                self._skip -= step
                position += step
                continue
            size = self._size(data, position)
            if not size or (not self._skip and len(data) - position < size):
                break
            if not self._skip:
                passed.append(_kept(data[position : position + size]))
                position += size
        self._buffer = data[position:]
        return b"".join(passed)

    def _size(self, data: bytes, start: int) -> int:
        """The size of the message at ``start``; 0 when more is needed to tell. One to be dropped is set to be skipped."""
        kind = data[start]
        if kind in _PASS:
            return _PASS[kind]
        if kind in _DROP:
            self._skip = _DROP[kind]
            return self._skip
        if kind not in _HEADS:
            raise Closing(PROTOCOL, f"Unknown RFB message {kind}.")
        if len(data) - start < _HEADS[kind]:
            return 0
        head = data[start : start + 12]
        size = _variable(kind, head)
        if size and kind not in (SET_ENCODINGS, FENCE):
            self._skip = size
        return size


def _variable(kind: int, head: bytes) -> int:
    if kind == SET_ENCODINGS:
        return 4 + 4 * _at_most(int(struct.unpack(">H", head[2:4])[0]), _MOST_ENCODINGS)
    if kind == FENCE:
        return 9 + _at_most(head[8], 64)
    if kind == CUT_TEXT:
        # Negative: the extended clipboard, of as many bytes.
        return 8 + abs(int(struct.unpack(">i", head[4:8])[0]))
    if kind == DESKTOP_SIZE:
        return 8 + 16 * head[6]
    return _qemu(head)


def _qemu(head: bytes) -> int:
    if head[1] == _QEMU_KEY:
        return 12
    if head[1] != _QEMU_AUDIO:
        raise Closing(PROTOCOL, "Unknown QEMU message.")
    if len(head) < 4:
        return 0
    return 10 if int(struct.unpack(">H", head[2:4])[0]) == _QEMU_AUDIO_FORMAT else 4


def _at_most(count: int, most: int) -> int:
    if count > most:
        raise Closing(PROTOCOL, "An RFB message is too long.")
    return count


def _kept(message: bytes) -> bytes:
    """A message as it may pass: encodings without the one that would change the size of other messages."""
    if message[0] != SET_ENCODINGS:
        return message
    wanted = [message[at : at + 4] for at in range(4, len(message), 4) if message[at : at + 4] != _EXTENDED_BUTTONS]
    return message[:2] + struct.pack(">H", len(wanted)) + b"".join(wanted)
