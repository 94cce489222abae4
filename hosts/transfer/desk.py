"""Uploads that are under way in this process: for each a connection to its host, and what has passed so far.

Only the gateway imports this.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from uuid import UUID

import structlog
from django.conf import settings

from hosts import fillings
from hosts.hypervisor import errors
from hosts.hypervisor.connection import Connection
from hosts.models import Filling, Host
from hosts.secrets import SecretUnreadable
from hosts.targets import target_of
from hosts.transfer.checksums import Passed
from hosts.transfer.writer import FillingWriter, Place

log = structlog.get_logger(__name__)

#: seconds without a byte after which the host's stream is closed, and after which the upload is forgotten here
IDLE_SECONDS, FORGET_SECONDS = 10.0, 3600.0
SWEEP_SECONDS = 2.0


class Busy(Exception):
    """Somebody else sends to this upload just now."""


def open_connection(host: Host) -> Connection:
    """A connection for bytes alone. Raises a HypervisorError."""
    try:
        target = target_of(host)
    except (errors.InvalidUri, SecretUnreadable, OSError) as error:
        raise errors.Unreachable(str(error)) from error
    return Connection.open(
        target,
        seconds=settings.CONNECT_SECONDS,
        call_seconds=settings.CALL_SECONDS,
        keepalive=(settings.KEEPALIVE_SECONDS, settings.KEEPALIVE_COUNT),
        workers=2,
    )


class _Seat:
    """One upload's place at the desk. What it has is used under its lock."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.connection: Connection | None = None
        self.writer: FillingWriter | None = None
        #: what is known of the bytes before an offset, for when the host is connected again
        self.known: tuple[int, Passed] | None = None
        self.takes_turns = False
        self.used_at = time.monotonic()

    def leave(self) -> None:
        """Let go of the host."""
        if self.writer is not None:
            self.writer.abandon()
            self.writer = None
        if self.connection is not None:
            self.connection.close()
            self.connection = None


class Desk:
    """All uploads of one process. ``rows`` runs work with the database and returns its result."""

    def __init__(self, name: str, rows: Callable[..., Any]) -> None:
        self._name = name
        self._rows = rows
        self._seats: dict[UUID, _Seat] = {}
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._sweep, name="upload-sweep", daemon=True)

    def start(self) -> None:
        """Begin to look after what lies idle."""
        self._thread.start()

    def stop(self) -> None:
        """Have the hosts confirm what came, and let go of them."""
        self._stopping.set()
        self._thread.join(SWEEP_SECONDS + 1.0)
        for seat in list(self._seats.values()):
            if seat.lock.acquire(timeout=2.0):
                self._settle(seat)
                seat.lock.release()

    @contextmanager
    def writing(self, pk: UUID) -> Iterator[FillingWriter]:
        """The upload's writer, for this caller alone. Raises Busy, fillings.Lost or a HypervisorError."""
        with self._lock:
            seat = self._seats.setdefault(pk, _Seat())
        if not seat.lock.acquire(blocking=False):
            raise Busy
        try:
            writer = self._writer(seat, pk)
            yield writer
            if seat.takes_turns and not writer.is_whole:
                writer.settle()
        except (errors.HypervisorError, fillings.Lost) as error:
            self._broke(seat, pk, error)
            raise
        finally:
            if seat.writer is not None and seat.writer.is_whole:
                seat.leave()
            seat.used_at = time.monotonic()
            seat.lock.release()

    def _writer(self, seat: _Seat, pk: UUID) -> FillingWriter:
        if seat.writer is not None and self._rows(fillings.is_at, pk, self._name, seat.writer.offset):
            return seat.writer
        row: Filling = self._rows(fillings.take, pk, self._name)
        # Pieces of one upload come by several gateways in turn: each has to be confirmed before the next one goes elsewhere.
        seat.takes_turns |= row.was_another
        seat.leave()
        seat.connection = open_connection(row.pool.host)
        place = Place(row)
        offset, passed = seat.known or (0, place.new_passed())
        known = passed.copy() if passed is not None and offset == row.confirmed else None
        self._rows(fillings.write, pk, self._name, {"offset": row.confirmed})
        seat.writer = FillingWriter(place, self._name, seat.connection, row.confirmed, known, self._rows)
        return seat.writer

    def _broke(self, seat: _Seat, pk: UUID, error: Exception) -> None:
        """What the host did not confirm is sent again."""
        confirmed = seat.writer.confirmed if seat.writer is not None else None
        seat.leave()
        if isinstance(error, fillings.Lost):
            return
        log.warning("an upload was interrupted", upload=str(pk), reason=str(error))
        where = {} if confirmed is None else {"offset": confirmed}
        try:
            self._rows(fillings.write, pk, self._name, {"trouble": str(error), **where})
        except fillings.Lost:
            return

    def _settle(self, seat: _Seat) -> None:
        """Confirm what came and let go of the host; it may go on later."""
        writer = seat.writer
        try:
            if writer is not None and not writer.is_whole:
                writer.settle()
                if writer.passed is not None:
                    seat.known = (writer.confirmed, writer.passed)
        except (errors.HypervisorError, fillings.Lost) as error:
            log.info("an idle upload could not be confirmed", reason=str(error))
        seat.leave()

    def _sweep(self) -> None:
        while not self._stopping.wait(SWEEP_SECONDS):
            try:
                self._look()
            except Exception:
                log.exception("idle uploads could not be looked at")

    def _look(self) -> None:
        for pk, seat in list(self._seats.items()):
            idle = time.monotonic() - seat.used_at
            if idle < IDLE_SECONDS or not seat.lock.acquire(blocking=False):
                continue
            try:
                if seat.connection is not None:
                    self._settle(seat)
                if idle > FORGET_SECONDS:
                    with self._lock:
                        self._seats.pop(pk, None)
            finally:
                seat.lock.release()
