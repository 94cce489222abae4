"""What a connected host stores, on a thread and a connection of its own: a pool that hangs delays neither guests nor figures."""

from __future__ import annotations

import queue
import threading
import time

import structlog
from django.conf import settings
from django.db import DatabaseError

from hosts import storage_inventory
from hosts.hypervisor import errors
from hosts.hypervisor.connection import Connection
from hosts.hypervisor.storage import StorageReader
from hosts.models import Host
from hosts.secrets import SecretUnreadable
from hosts.targets import target_of
from hosts.work import database_work, lend_back

log = structlog.get_logger(__name__)

#: seconds between two tries while the host's storage cannot be asked
AGAIN_SECONDS = 5.0


class StorageTaker:
    """Reads the pools of one host when told to, and all of them on a timer."""

    def __init__(self, host_id: int, stop: threading.Event) -> None:
        self.host_id = host_id
        self._stop = stop
        self._wanted: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._reader = StorageReader(self._connect)

    def look(self, uuid: str = "") -> None:
        """Read a pool ('' for all of them) soon."""
        self._wanted.put(uuid)

    def run(self) -> None:
        """Until told to stop."""
        due = 0.0
        while not self._stop.is_set():
            wanted = self._take(due - time.monotonic())
            if not wanted and time.monotonic() < due:
                continue
            everything = not wanted or "" in wanted
            try:
                with database_work():
                    self._read([] if everything else sorted(wanted))
            except (errors.HypervisorError, errors.InvalidUri, SecretUnreadable, DatabaseError, OSError) as error:
                # The watcher says why the host cannot be reached; here nothing is lost, it is read when it can be.
                log.info("storage was not read", reason=str(error))
                due = time.monotonic() + AGAIN_SECONDS
                continue
            except Host.DoesNotExist:
                break
            except Exception:
                log.exception("reading storage failed")
            if everything:
                due = time.monotonic() + settings.RECONCILE_SECONDS
        self._reader.close()

    def _take(self, seconds: float) -> set[str]:
        """Everything that waits, or after ``seconds`` (and at most half a second, to hear a stop) nothing."""
        wanted: set[str] = set()
        try:
            wanted.add(self._wanted.get(timeout=max(0.01, min(seconds, 0.5))))
            while True:
                wanted.add(self._wanted.get_nowait())
        except queue.Empty:
            return wanted

    def _read(self, only: list[str]) -> None:
        known = storage_inventory.known_uuids(self.host_id)
        lend_back()
        look = self._reader.read(known, only)
        storage_inventory.storage_seen(self.host_id, look)
        seen = {reading.uuid for reading in look.readings}
        for uuid in only:
            if uuid not in seen:
                storage_inventory.pool_gone(self.host_id, uuid)
        if not only:
            lend_back()
            storage_inventory.types_seen(self.host_id, self._reader.types())

    def _connect(self) -> Connection:
        host = Host.objects.get(pk=self.host_id)
        target = target_of(host)
        lend_back()
        return Connection.open(
            target,
            seconds=settings.CONNECT_SECONDS,
            call_seconds=settings.CALL_SECONDS,
            keepalive=(settings.KEEPALIVE_SECONDS, settings.KEEPALIVE_COUNT),
            workers=2,
        )
