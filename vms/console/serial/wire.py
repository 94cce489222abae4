"""What is said on the websocket of a text console: records in a stream of bytes, whatever messages carry them.

A record is a byte that says what it is, four that say how long it is, and so many bytes. The gateway and the relay hand payloads on
as they arrive, so that the bounds of websocket messages mean nothing.
"""

from __future__ import annotations

import json
import struct
from typing import Any

from vms.console.closing import PROTOCOL, Closing

#: to the browser: what the guest writes now; what it wrote before; how things are (JSON); so many bytes were left out
LIVE, HISTORY, STATUS, SKIPPED = 1, 2, 3, 4
#: from the browser: what is typed; something that is asked for (JSON)
INPUT, ASK = 1, 3
_HEAD = struct.Struct(">BI")
#: a browser's record is no longer than this
LONGEST = 65536


def record(kind: int, payload: bytes) -> bytes:
    """One record."""
    return _HEAD.pack(kind, len(payload)) + payload


def status(facts: dict[str, Any]) -> bytes:
    """How things are."""
    return record(STATUS, json.dumps(facts, ensure_ascii=False).encode())


def skipped(count: int) -> bytes:
    """So many bytes were left out."""
    return record(SKIPPED, struct.pack(">Q", count))


class RecordReader:
    """Takes the browser's stream apart; keeps at most one record. Raises Closing on anything that is none."""

    def __init__(self) -> None:
        self._buffer = b""

    def feed(self, data: bytes) -> list[tuple[int, bytes]]:
        """The records that ``data`` completes, in order."""
        self._buffer += data
        found = []
        while len(self._buffer) >= _HEAD.size:
            kind, length = _HEAD.unpack_from(self._buffer)
            if kind not in (INPUT, ASK) or length > LONGEST:
                raise Closing(PROTOCOL, "Not what a text console is sent.")
            end = _HEAD.size + length
            if len(self._buffer) < end:
                break
            found.append((kind, self._buffer[_HEAD.size : end]))
            self._buffer = self._buffer[end:]
        return found


def asked(payload: bytes) -> str:
    """What a browser asks for. Raises Closing when it is nothing."""
    try:
        said = json.loads(payload)
    except ValueError:
        said = None
    wish = said.get("do") if isinstance(said, dict) else None
    if not isinstance(wish, str):
        raise Closing(PROTOCOL, "Not what a text console is asked.")
    return wish
