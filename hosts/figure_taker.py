"""What is taken of a connected host on a timer: figures, addresses and pictures, on a thread that never delays an event."""

from __future__ import annotations

import threading
import time
from typing import Any

import structlog
from django.conf import settings
from django.core.cache import cache
from django.db import DatabaseError

from hosts import figures, inventory, notify
from hosts.hypervisor import errors
from hosts.hypervisor import host as hypervisor_host
from hosts.hypervisor.connection import Connection
from hosts.hypervisor.guest import Guest
from hosts.hypervisor.network import read_networks
from hosts.hypervisor.records import Address, GuestCounters, HostCounters, NetworkRecord
from hosts.hypervisor.stats import read_guest_counters
from hosts.models import Host
from hosts.supervisor_sinks import sinks
from hosts.work import database_work, lend_back

log = structlog.get_logger(__name__)

ADDRESS_SECONDS = 30.0
PICTURE_SECONDS = 5.0
FIGURES_TO_ROWS_SECONDS = 10.0


class FigureTaker:
    """Figures, addresses and pictures of one connected host."""

    def __init__(self, host_id: int, connection: Connection, stop: threading.Event) -> None:
        self.host_id = host_id
        self.connection = connection
        self.stop = stop
        self.history = figures.History()
        self._guests: dict[str, GuestCounters] = {}
        self._host: HostCounters | None = None
        self._next: dict[str, float] = {}

    def run(self) -> None:
        """Until told to stop, or the connection is gone."""
        while not self.stop.wait(self._until_next_tick()) and self.connection.is_alive:
            try:
                with database_work():
                    self._round()
            except errors.Unreachable:
                return  # The watcher's own thread says so and connects again.
            except (errors.HypervisorError, DatabaseError) as error:
                log.warning("figures were not taken", error=str(error))
            except Exception:
                log.exception("figures failed")
        try:
            with database_work():
                self.history.flush()
        except DatabaseError as error:
            log.warning("the last figures could not be kept", error=str(error))

    def _until_next_tick(self) -> float:
        due = self._next.setdefault("tick", time.monotonic() + 0.1)
        return max(0.0, due - time.monotonic())

    def _is_due(self, what: str, seconds: float) -> bool:
        now = time.monotonic()
        if now < self._next.get(what, 0.0):
            return False
        self._next[what] = now + seconds
        return True

    def _round(self) -> None:
        self._next["tick"] = time.monotonic() + settings.TICK_SECONDS
        self._tick()
        if self._is_due("addresses", ADDRESS_SECONDS):
            self._addresses()
        if self._is_due("pictures", PICTURE_SECONDS):
            self._pictures()

    def _tick(self) -> None:
        frame = figures.Frame()
        counters = {row.uuid: row for row in read_guest_counters(self.connection)}
        for uuid, row in counters.items():
            frame[f"vm:{uuid}"] = figures.guest_figures(self._guests.get(uuid), row)
        self._guests = counters
        of_host = hypervisor_host.read_counters(self.connection)
        if of_host is not None:
            frame[f"host:{self.host_id}"] = figures.host_figures(self._host, of_host)
            self._host = of_host
        cache.set(f"frame:{self.host_id}", frame, timeout=60)
        notify.figures(frame)
        self.history.add(frame)
        if self._is_due("rows", FIGURES_TO_ROWS_SECONDS):
            self._to_rows(frame)

    def _to_rows(self, frame: dict[str, dict[str, Any]]) -> None:
        own = frame.get(f"host:{self.host_id}", {})
        Host.objects.filter(pk=self.host_id).update(cpu_percent=own.get("cpu"), memory_used=own.get("mem_used"))
        inventory.looked_at(self.host_id)
        for sink in sinks:
            sink.figures_seen(self.host_id, frame)

    def _addresses(self) -> None:
        lend_back()
        networks: list[NetworkRecord] = read_networks(self.connection)
        inventory.leases_seen(self.host_id, networks)
        leases = [lease for network in networks for lease in network.leases]
        lease_list = [(lease.mac, lease.address, lease.hostname) for lease in leases]
        for sink in sinks:
            found: dict[str, list[Address]] = {}
            wanting = sink.wanting_addresses(self.host_id)
            lend_back()
            for uuid in wanting:
                if self.stop.is_set():
                    return
                try:
                    found[uuid] = Guest(self.connection, uuid).addresses()
                except errors.NotFound:
                    continue
            sink.addresses_seen(self.host_id, found, lease_list)

    def _pictures(self) -> None:
        for sink in sinks:
            for uuid in sink.wanted_pictures(self.host_id):
                lend_back()
                try:
                    mime, data = Guest(self.connection, uuid).screenshot()
                except errors.Unreachable:
                    raise
                except errors.HypervisorError as error:
                    log.debug("no picture", uuid=uuid, reason=str(error))
                    continue
                sink.picture_seen(uuid, mime, data)
