"""The log of a text console: rows that every role and machine reads, sealed, and no more of them than is set."""

from __future__ import annotations

import re
from collections import deque
from uuid import UUID

from django.conf import settings
from django.db.models import QuerySet
from django.utils import timezone

from hosts.secrets import Sealed
from vms.models import SerialLog

#: a guest that writes little must not fill the table with rows
ROW_BYTES = 16384
#: what is written at once; more than that between two writings is not kept
MOST_AT_ONCE = 262144
#: escape sequences (CSI, OSC and its kin, two-byte ones) and control characters other than line feed and tab
_SEQUENCES = re.compile(
    rb"\x1b\[[0-?]*[ -/]*[@-~]|\x1b[\]PX^_][^\x07\x1b]{0,1024}(?:\x07|\x1b\\)|\x1b[ -/]*[0-~]|[\x00-\x08\x0b-\x1f\x7f]"
)


class Unwritten:
    """What waits to be written. A guest that writes faster than is kept loses the older part. Locking is the owner's."""

    def __init__(self) -> None:
        self._pieces: deque[bytes] = deque()
        self._size = 0

    def add(self, data: bytes) -> None:
        """One piece more."""
        self._pieces.append(data)
        self._size += len(data)
        while self._size > MOST_AT_ONCE and len(self._pieces) > 1:
            self._size -= len(self._pieces.popleft())

    def take(self) -> bytes:
        """All of it, once."""
        data = b"".join(self._pieces)[-MOST_AT_ONCE:]
        self._pieces.clear()
        self._size = 0
        return data


def append(vm: UUID, device: str, data: bytes) -> None:
    """Write a piece, and forget the oldest beyond what is kept. A row takes up what comes until it is large enough."""
    last = _newest_first(vm, device).first()
    if last is not None and last.size + len(data) <= ROW_BYTES:
        last.text = Sealed.of(last.text.open() + data.decode("latin-1"))
        last.size += len(data)
        last.save(update_fields=["text", "size"])
        return
    SerialLog.objects.create(vm_id=vm, device=device, size=len(data), text=data.decode("latin-1"))
    _forget(vm, device)


def _forget(vm: UUID, device: str) -> None:
    """The newest pieces that fit stay, and the newest in any case."""
    left = settings.SERIAL_LOG_BYTES
    for number, (pk, size) in enumerate(_newest_first(vm, device).values_list("pk", "size")):
        left -= size
        if left < 0 and number:
            _newest_first(vm, device).filter(pk__lte=pk).delete()
            return


def _newest_first(vm: UUID, device: str) -> QuerySet[SerialLog]:
    return SerialLog.objects.filter(vm_id=vm, device=device).order_by("-pk")


def read(vm: UUID, device: str) -> bytes:
    """All that is kept."""
    rows = SerialLog.objects.filter(vm_id=vm, device=device).order_by("pk")
    return b"".join(row.text.open().encode("latin-1") for row in rows)


def tail(vm: UUID, device: str, most: int) -> bytes:
    """The last bytes, for those who come after a restart."""
    parts: list[bytes] = []
    left = most
    for row in _newest_first(vm, device).iterator(chunk_size=16):
        data = row.text.open().encode("latin-1")[-left:]
        parts.append(data)
        left -= len(data)
        if left <= 0:
            break
    return b"".join(reversed(parts))


def note(words: str) -> bytes:
    """A line of ours in the log."""
    at = timezone.now().strftime("%Y-%m-%d %H:%M:%S UTC")
    return f"\r\n--- {at} {words} ---\r\n".encode()


def plain(data: bytes) -> str:
    """Without what makes a terminal do things: fit to be read with any program."""
    text = _SEQUENCES.sub(b"", _LINE_ENDS.sub(b"\n", data))
    return text.decode(errors="replace").translate(_C1)


_LINE_ENDS = re.compile(rb"\r+\n?")
#: control characters of eight bits, which some terminals obey
_C1 = dict.fromkeys(range(0x80, 0xA0))
