"""What guests can have on a connected host, on a thread and a connection of its own.

The first such question has the host start its QEMU and look. That may last, and must delay neither guests nor figures.
"""

from __future__ import annotations

import threading
import time

import structlog
from django.conf import settings
from django.db import DatabaseError

from hosts import inventory
from hosts.hypervisor import errors
from hosts.hypervisor.abilities import read_abilities
from hosts.hypervisor.connection import Connection
from hosts.hypervisor.processors import read_processors
from hosts.models import Host
from hosts.secrets import SecretUnreadable
from hosts.targets import target_of
from hosts.work import database_work, lend_back

log = structlog.get_logger(__name__)

#: seconds until a host that did not answer is asked again
AGAIN_SECONDS = 30.0
#: seconds between two questions when nothing seems to have changed: firmware may be installed without libvirt telling of it
EVERY_SECONDS = 900.0


class AbilityTaker:
    """Asks one host until it answers, again when told to, and on a slow timer: QEMU or its firmware may be others by then."""

    def __init__(self, host_id: int, stop: threading.Event) -> None:
        self.host_id = host_id
        self._stop = stop
        self._wanted = threading.Event()

    def look(self) -> None:
        """Ask again soon."""
        self._wanted.set()

    def run(self) -> None:
        """Until told to stop."""
        while not self._stop.is_set():
            self._wanted.clear()
            try:
                with database_work():
                    self._ask()
            except (errors.HypervisorError, errors.InvalidUri, SecretUnreadable, DatabaseError, OSError) as error:
                log.warning("what guests can have on a host is not known", host=self.host_id, reason=str(error))
                self._stop.wait(AGAIN_SECONDS)
                continue
            except Host.DoesNotExist:
                return
            except Exception:
                log.exception("asking what guests can have failed")
            self._rest()

    def _rest(self) -> None:
        """Until it is time again, somebody asks, or it is to stop."""
        until = time.monotonic() + EVERY_SECONDS
        while time.monotonic() < until and not self._stop.is_set() and not self._wanted.is_set():
            self._wanted.wait(0.5)

    def _ask(self) -> None:
        target = target_of(Host.objects.get(pk=self.host_id))
        lend_back()
        connection = Connection.open(
            target,
            seconds=settings.CONNECT_SECONDS,
            call_seconds=settings.CALL_SECONDS,
            keepalive=(settings.KEEPALIVE_SECONDS, settings.KEEPALIVE_COUNT),
            workers=1,
        )
        try:
            found = read_abilities(connection)
            processors = read_processors(connection)
        finally:
            connection.close()
        if not self._stop.is_set():
            inventory.abilities_seen(self.host_id, found)
            inventory.processors_seen(self.host_id, processors)
