"""The inventory role: one watcher for each host keeps its rows equal to what libvirt says.

A watcher has two threads. One owns the connection: open, register events, read everything, then re-read whatever an event, a
timer or somebody's 'look again' names. The other takes figures, addresses and pictures, so that they never delay an event.
Sinks are registered by the app above (vms): this app hands it records and knows nothing of guests' rows.
"""

from __future__ import annotations

import queue
import random
import threading
import time
from collections.abc import Callable
from typing import Any

import structlog
from django.conf import settings
from django.core.cache import cache
from django.db import DatabaseError

from hosts import figures, inventory, leases, notify
from hosts.hypervisor import errors
from hosts.hypervisor import host as hypervisor_host
from hosts.hypervisor.connection import Connection
from hosts.hypervisor.events import subscribe
from hosts.hypervisor.guest import Guest, read_guests
from hosts.hypervisor.network import read_networks
from hosts.hypervisor.records import Address, Event, GuestCounters, HostCounters, NetworkRecord
from hosts.hypervisor.sentences import say
from hosts.hypervisor.stats import read_guest_counters
from hosts.hypervisor.storage import read_pools
from hosts.models import Host, Lease
from hosts.secrets import SecretUnreadable
from hosts.supervisor_sinks import sinks
from hosts.targets import configuration_of, target_of
from hosts.work import database_work

log = structlog.get_logger(__name__)

BACKOFF_CAP = 30.0
ADDRESS_SECONDS = 30.0
PICTURE_SECONDS = 5.0
FIGURES_TO_ROWS_SECONDS = 10.0
#: events of objects that are read together
OF_RESOURCES = ("pool", "network")


class Watcher:
    """Mirrors one host until stopped."""

    def __init__(self, host_id: int) -> None:
        self.host_id = host_id
        self._stop = threading.Event()
        self._events: queue.SimpleQueue[Event | None] = queue.SimpleQueue()
        self._connection: Connection | None = None
        self._thread = threading.Thread(target=self._run, name=f"watch-{host_id}", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """Stop, without waiting for a host that hangs."""
        self._stop.set()
        self._events.put(None)
        if self._connection is not None:
            self._connection.close()

    def look_again(self, uuid: str) -> None:
        """Read a guest ('' for everything) soon."""
        self._events.put(Event("look", uuid))

    def _run(self) -> None:
        structlog.contextvars.bind_contextvars(host_id=self.host_id)
        failures = 0
        while not self._stop.is_set():
            try:
                with database_work():
                    connection = self._open()
            except (errors.HypervisorError, errors.InvalidUri, SecretUnreadable) as error:
                failures += 1
                self._record_failure(error)
                self._pause(failures)
                continue
            except DatabaseError as error:
                log.warning("the database did not take it; trying again", error=str(error))
                self._stop.wait(1.0)
                continue
            failures = 0 if self._watch(connection) else failures + 1
            if not self._stop.is_set():
                self._pause(max(1, failures))

    def _pause(self, failures: int) -> None:
        """Capped exponential back-off with jitter; 'look again' ends it early."""
        seconds = min(BACKOFF_CAP, 0.5 * 2 ** min(failures - 1, 10)) * random.uniform(0.7, 1.3)
        until = time.monotonic() + seconds
        while not self._stop.is_set() and (left := until - time.monotonic()) > 0:
            try:
                event = self._events.get(timeout=left)
            except queue.Empty:
                return
            if event is None or (event.kind == "look" and not event.uuid):
                return

    def _record_failure(self, error: Exception) -> None:
        state = getattr(error, "host_state", Host.State.FAILED)
        detail = getattr(error, "detail", "")
        log.info("host not connected", state=state, reason=str(error), detail=detail)
        try:
            with database_work():
                inventory.state_changed(self.host_id, Host.State(state), str(error), detail)
        except DatabaseError as trouble:
            log.warning("the host's state could not be written", error=str(trouble))

    def _open(self) -> Connection:
        host = Host.objects.get(pk=self.host_id)
        structlog.contextvars.bind_contextvars(host=host.name)
        connection = Connection.open(
            target_of(host),
            seconds=settings.CONNECT_SECONDS,
            call_seconds=settings.CALL_SECONDS,
            keepalive=(settings.KEEPALIVE_SECONDS, settings.KEEPALIVE_COUNT),
        )
        self._connection = connection
        return connection

    def _watch(self, connection: Connection) -> bool:
        """Live on one connection until it ends; whether it ever became live."""
        live = False
        figures_stop = threading.Event()
        try:
            subscribe(connection, self._events.put)
            with database_work():
                self._read_all(connection)
                inventory.state_changed(self.host_id, Host.State.CONNECTED)
            live = True
            log.info("host connected")
            threading.Thread(
                target=_FigureTaker(self.host_id, connection, figures_stop).run,
                name=f"figures-{self.host_id}",
                daemon=True,
            ).start()
            self._follow(connection)
        except errors.HypervisorError as error:
            if not self._stop.is_set():
                self._record_failure(error)
        except DatabaseError as error:
            log.warning("the database did not take it; reading the host again", error=str(error))
        except Exception:
            log.exception("watching the host failed")
            self._record_failure(errors.Failed(say("kvmdash failed while reading this host; its log says more.")))
        finally:
            figures_stop.set()
            connection.close()
        return live

    def _read_all(self, connection: Connection) -> None:
        facts = hypervisor_host.read_facts(connection)
        twin = inventory.twin_of(self.host_id, facts.machine_uuid)
        if twin is not None:
            raise errors.Failed(
                say("This is the same machine as %(host)s; one of the two must be removed.", host=twin.name)
            )
        inventory.facts_seen(self.host_id, facts)
        self._read_guests(connection)
        self._read_resources(connection)

    def _read_guests(self, connection: Connection) -> None:
        records = read_guests(connection)
        for sink in sinks:
            sink.guests_seen(self.host_id, records, complete=True)
        inventory.looked_at(self.host_id, complete=True)

    def _read_resources(self, connection: Connection) -> None:
        inventory.pools_seen(self.host_id, read_pools(connection))
        inventory.networks_seen(self.host_id, read_networks(connection))

    def _follow(self, connection: Connection) -> None:
        due = time.monotonic() + settings.RECONCILE_SECONDS
        while not self._stop.is_set():
            events = self._take_events(due - time.monotonic())
            if not connection.is_alive:
                raise errors.Unreachable(say("The connection to the host was lost."))
            with database_work():
                if time.monotonic() >= due:
                    self._read_all(connection)
                    due = time.monotonic() + settings.RECONCILE_SECONDS
                elif events:
                    self._handle(connection, events)

    def _take_events(self, seconds: float) -> list[Event]:
        """Everything that waits, or after ``seconds`` nothing."""
        events: list[Event] = []
        try:
            first = self._events.get(timeout=max(0.01, min(seconds, 0.5)))
            while True:
                if first is not None:
                    events.append(first)
                first = self._events.get_nowait()
        except queue.Empty:
            return events

    def _handle(self, connection: Connection, events: list[Event]) -> None:
        """Each object named is read once, however many events named it."""
        if any(event.kind == "look" and not event.uuid for event in events):
            self._read_all(connection)
            return
        if any(event.kind in OF_RESOURCES for event in events):
            self._read_resources(connection)
        guests = dict.fromkeys(event.uuid for event in events if event.uuid and event.kind not in OF_RESOURCES)
        if len(guests) > 200:
            self._read_guests(connection)
            return
        for uuid in guests:
            self._read_one(connection, uuid)

    def _read_one(self, connection: Connection, uuid: str) -> None:
        try:
            record = Guest(connection, uuid).read()
        except errors.NotFound:
            for sink in sinks:
                sink.guest_gone(self.host_id, uuid)
            return
        for sink in sinks:
            sink.guests_seen(self.host_id, [record], complete=False)


class _FigureTaker:
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
        with database_work():
            self.history.flush()

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
        frame: dict[str, dict[str, Any]] = {}
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
        networks: list[NetworkRecord] = read_networks(self.connection)
        lease_list = [lease for network in networks for lease in network.leases]
        for sink in sinks:
            found: dict[str, list[Address]] = {}
            for uuid in sink.wanting_addresses(self.host_id):
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
                try:
                    mime, data = Guest(self.connection, uuid).screenshot()
                except errors.Unreachable:
                    raise
                except errors.HypervisorError as error:
                    log.debug("no picture", uuid=uuid, reason=str(error))
                    continue
                sink.picture_seen(uuid, mime, data)


class Supervisor:
    """One process's share of the hosts."""

    def __init__(self, owner: str | None = None) -> None:
        self.owner = owner or leases.new_owner()
        self._watchers: dict[int, tuple[str, Watcher]] = {}
        self._stop = threading.Event()
        self._wake = threading.Event()
        self._thread: threading.Thread | None = None
        self._unlisten: Callable[[], None] = lambda: None
        self._pruned_at = 0.0

    def start(self) -> None:
        """Run in a thread of its own."""
        self._unlisten = notify.bus.listen(self._hear)
        self._thread = threading.Thread(target=self._loop, name="supervisor", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop all watchers and let go of the hosts."""
        self._unlisten()
        self._stop.set()
        self._wake.set()
        if self._thread is not None:
            self._thread.join(5)
        for _key, watcher in self._watchers.values():
            watcher.stop()
        with database_work():
            leases.leave(Lease.Role.INVENTORY, self.owner)

    def _hear(self, message: dict[str, Any]) -> None:
        if message["type"] == "look":
            held = self._watchers.get(message["host"])
            if held is not None:
                held[1].look_again(message["uuid"])
        elif message["type"] == "resync" or "hosts-configured" in message.get("topics", ()):
            self._wake.set()

    def _loop(self) -> None:
        while not self._stop.is_set():
            try:
                with database_work():
                    self.step()
            except DatabaseError as error:
                log.warning("the database did not take it; trying again", error=str(error))
            except Exception:
                log.exception("the supervisor stumbled")
            self._wake.wait(min(2.0, settings.LEASE_SECONDS / 5))
            self._wake.clear()

    def step(self) -> None:
        """One round: leases, then watchers for exactly the hosts held, as they are configured now."""
        held = leases.share(Lease.Role.INVENTORY, self.owner)
        wanted = {host.pk: configuration_of(host) for host in Host.objects.filter(pk__in=held, enabled=True)}
        for host_id in [pk for pk, (key, _w) in self._watchers.items() if wanted.get(pk) != key]:
            self._watchers.pop(host_id)[1].stop()
        for host_id, key in wanted.items():
            if host_id not in self._watchers:
                watcher = Watcher(host_id)
                self._watchers[host_id] = (key, watcher)
                watcher.start()
        _mark_disabled()
        self._prune()

    def _prune(self) -> None:
        if time.monotonic() - self._pruned_at > 3600:
            self._pruned_at = time.monotonic()
            figures.prune()


def _mark_disabled() -> None:
    """Nobody watches a disabled host, so nobody else would say so."""
    State = Host.State
    for pk in Host.objects.filter(enabled=False).exclude(state=State.DISABLED).values_list("pk", flat=True):
        inventory.state_changed(pk, State.DISABLED)
    for pk in Host.objects.filter(enabled=True, state=State.DISABLED).values_list("pk", flat=True):
        inventory.state_changed(pk, State.CONNECTING)
