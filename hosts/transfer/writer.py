"""Filling one volume: bytes into libvirt's stream, checksums on the way, and the row that says how far it came.

Only processes that talk to hosts import this.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any
from uuid import UUID

from hosts import fillings, notify
from hosts.hypervisor.connection import Connection
from hosts.hypervisor.volume_stream import VolumeReader, VolumeWriter
from hosts.models import Filling
from hosts.transfer.checksums import Passed, algorithm_of

#: bytes after which the host is asked whether all is written: so much is sent again after a break
SECTION = 256 << 20
#: seconds between two notes of how far it came
NOTE_SECONDS = 1.0


class Place:
    """Where the bytes go."""

    def __init__(self, filling: Filling) -> None:
        self.id: UUID = filling.pk
        self.operation_id: UUID = filling.operation_id
        self.pool_uuid = str(filling.pool.uuid)
        self.name = filling.name
        self.size = filling.size
        self.checksum = filling.checksum

    def new_passed(self) -> Passed | None:
        """For a volume from its first byte on, where a checksum is wanted of it."""
        return Passed(algorithm_of(self.checksum)) if self.checksum else None


class FillingWriter:
    """Writes from ``offset`` on. ``rows`` runs work with the database; what it raises (also fillings.Lost) comes through.

    ``passed`` is the checksum of all bytes before ``offset``, None where it is not known or nothing is wanted of it.
    """

    def __init__(
        self,
        place: Place,
        holder: str,
        connection: Connection,
        offset: int,
        passed: Passed | None,
        rows: Callable[..., Any],
    ) -> None:
        self.place = place
        self.offset = self.confirmed = offset
        self.passed = passed
        self._holder = holder
        self._connection = connection
        self._rows = rows
        self._stream: VolumeWriter | None = None
        self._noted_at = time.monotonic()

    @property
    def is_whole(self) -> bool:
        """Whether nothing is missing."""
        return self.offset == self.place.size

    def write(self, data: bytes) -> None:
        """The next bytes. Raises a HypervisorError, after which the writer is of no use but to be abandoned."""
        if self._stream is None:
            left = self.place.size - self.offset
            self._stream = VolumeWriter(self._connection, self.place.pool_uuid, self.place.name, self.offset, left)
        self._stream.send(data)
        if self.passed is not None:
            self.passed.update(data)
        self.offset += len(data)
        if self.offset - self.confirmed >= SECTION:
            self.settle()
        elif time.monotonic() - self._noted_at > NOTE_SECONDS:
            self.note()

    def note(self) -> None:
        """Write down how far it came. Raises Lost."""
        self._noted_at = time.monotonic()
        where = {"offset": self.offset, "confirmed": self.confirmed, "trouble": ""}
        self._rows(fillings.write, self.place.id, self._holder, where)

    def settle(self) -> None:
        """Have the host confirm what was sent, and note it."""
        stream, self._stream = self._stream, None
        if stream is not None:
            stream.finish()
        self.confirmed = self.offset
        self.note()

    def rewind(self, offset: int, passed: Passed | None) -> None:
        """What came after ``offset`` does not count; it will be written over."""
        stream, self._stream = self._stream, None
        if stream is not None:
            stream.finish()
        self.offset, self.passed = offset, passed
        self.confirmed = min(self.confirmed, offset) if stream is None else offset
        self.note()

    def abandon(self) -> None:
        """Let go without a word to the row."""
        stream, self._stream = self._stream, None
        if stream is not None:
            stream.abort()

    def complete(self) -> bool:
        """All bytes are there: check them, and say so in the row. False when they are not what they must be."""
        self.settle()
        wanted = self.place.checksum
        if self.passed is None and wanted:
            # Who saw the beginning pass is gone: all is read again from where it lies.
            self.passed = read_back(self._connection, self.place, self.place.size)
        found = self.passed.text() if self.passed is not None else ""
        good = not wanted or found == wanted
        state = Filling.State.WHOLE if good else Filling.State.BAD
        columns = {"state": state, "digest": found}
        self._rows(fillings.write, self.place.id, self._holder, columns)
        # Its operation waits for this word.
        notify.changed(f"operation-signal:{self.place.operation_id}")
        return good


def read_back(connection: Connection, place: Place, length: int) -> Passed:
    """The checksum of the first ``length`` bytes, read from the volume."""
    passed = Passed(algorithm_of(place.checksum) or "sha256")
    if length:
        for data in VolumeReader(connection, place.pool_uuid, place.name, 0, length):
            passed.update(data)
    return passed
