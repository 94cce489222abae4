"""One watcher for each host keeps its rows equal to what libvirt says.

Its thread owns the connection: open, register events, read everything, then re-read whatever an event, a timer or somebody's 'look
again' names. A second one takes figures (hosts.figure_taker), a third reads storage (hosts.storage_taker). Sinks are registered by
the app above (vms): this app hands it records and knows nothing of guests' rows. No database connection is held while a host is
asked: those that hang would use them up.
"""

from __future__ import annotations

import queue
import random
import threading
import time

import structlog
from django.conf import settings
from django.db import DatabaseError

from hosts import filter_inventory, interface_inventory, inventory
from hosts.ability_taker import AbilityTaker
from hosts.figure_taker import FigureTaker
from hosts.hypervisor import errors
from hosts.hypervisor import host as hypervisor_host
from hosts.hypervisor.connection import Connection
from hosts.hypervisor.events import subscribe
from hosts.hypervisor.filters import read_filters
from hosts.hypervisor.guest import Guest, read_guests_in_parts
from hosts.hypervisor.interfaces import read_interfaces
from hosts.hypervisor.network import read_networks
from hosts.hypervisor.records import Event
from hosts.hypervisor.sentences import say
from hosts.hypervisor.supply import read_supply
from hosts.models import Host
from hosts.secrets import SecretUnreadable
from hosts.storage_taker import StorageTaker
from hosts.supervisor_sinks import sinks
from hosts.targets import target_of
from hosts.work import DATABASE_AWAY, database_work, lend_back

log = structlog.get_logger(__name__)

BACKOFF_CAP = 30.0
#: events of objects that are read together
OF_RESOURCES = ("pool", "network", "secret")
#: before the UUID of a pool that somebody wants to be looked at again
POOL = "pool:"
#: when the networks are to be looked at again
NETWORK = "network:"


class Watcher:
    """Mirrors one host until stopped."""

    def __init__(self, host_id: int) -> None:
        self.host_id = host_id
        self._stop = threading.Event()
        self._events: queue.SimpleQueue[Event | None] = queue.SimpleQueue()
        self._connection: Connection | None = None
        self._storage: StorageTaker | None = None
        self._abilities: AbilityTaker | None = None
        #: what the host said that it can do, when it was last asked
        self._capabilities = ""
        self._thread = threading.Thread(target=self._run, name=f"watch-{host_id}", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    @property
    def is_alive(self) -> bool:
        """Whether its thread runs."""
        return self._thread.is_alive()

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
            except Host.DoesNotExist:
                return  # It was removed; the supervisor is about to notice.
            except Exception:
                # A full disk, for one: the thread must be there when it is over.
                log.exception("the host could not be connected")
                failures += 1
                self._record_failure(
                    errors.Failed(say("kvmdash failed while connecting to this host; its log says more."))
                )
                self._pause(failures)
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
        if self._stop.is_set():
            return  # Another looks after it now, or nobody.
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
            connection.when_broken(lambda: self._events.put(Event("lost")))
            self._read_first(connection)
            live = True
            log.info("host connected")
            self._storage = StorageTaker(self.host_id, figures_stop)
            threading.Thread(target=self._storage.run, name=f"storage-{self.host_id}", daemon=True).start()
            self._abilities = AbilityTaker(self.host_id, figures_stop)
            threading.Thread(target=self._abilities.run, name=f"abilities-{self.host_id}", daemon=True).start()
            threading.Thread(
                target=FigureTaker(self.host_id, connection, figures_stop).run,
                name=f"figures-{self.host_id}",
                daemon=True,
            ).start()
            self._follow(connection)
        except errors.HypervisorError as error:
            self._record_failure(error)
        except DatabaseError as error:
            log.warning("the database did not take it; reading the host again", error=str(error))
        except Exception:
            log.exception("watching the host failed")
            self._record_failure(errors.Failed(say("kvmdash failed while reading this host; its log says more.")))
        finally:
            figures_stop.set()
            self._storage = self._abilities = None
            connection.close()
        return live

    def _read_first(self, connection: Connection) -> None:
        with database_work():
            self._read_all(connection)
            if not self._stop.is_set():
                inventory.state_changed(self.host_id, Host.State.CONNECTED)

    def _read_all(self, connection: Connection) -> None:
        lend_back()
        facts = hypervisor_host.read_facts(connection)
        twin = inventory.twin_of(self.host_id, facts.machine_uuid)
        if twin is not None:
            raise errors.Failed(
                say("This is the same machine as %(host)s; one of the two must be removed.", host=twin.name)
            )
        inventory.facts_seen(self.host_id, facts)
        self._read_guests(connection)
        self._read_resources(connection)
        lend_back()
        interface_inventory.interfaces_seen(self.host_id, read_interfaces(connection))
        self._read_supply(connection)
        if self._abilities is not None and facts.capabilities != self._capabilities:
            self._abilities.look()
        self._capabilities = facts.capabilities

    def _read_guests(self, connection: Connection) -> None:
        lend_back()
        listed: set[str] = set()
        for records in read_guests_in_parts(connection):
            listed.update(record.uuid for record in records)
            for sink in sinks:
                sink.guests_seen(self.host_id, records, complete=False)
            lend_back()
        for sink in sinks:
            sink.guests_listed(self.host_id, listed)
        inventory.looked_at(self.host_id, complete=True)

    def _read_resources(self, connection: Connection) -> None:
        lend_back()
        inventory.networks_seen(self.host_id, read_networks(connection))
        filter_inventory.filters_seen(self.host_id, read_filters(connection))

    def _read_supply(self, connection: Connection) -> None:
        lend_back()
        inventory.supply_seen(self.host_id, read_supply(connection))

    def _look_at_storage(self, *uuids: str) -> None:
        """Have pools read soon; '' for all of them."""
        for uuid in uuids:
            if self._storage is not None:
                self._storage.look(uuid)

    def _follow(self, connection: Connection) -> None:
        due = time.monotonic() + settings.RECONCILE_SECONDS
        while not self._stop.is_set():
            events = self._take_events(due - time.monotonic())
            if not connection.is_alive:
                raise errors.Unreachable(say("The connection to the host was lost."))
            try:
                with database_work():
                    if time.monotonic() >= due:
                        self._read_all(connection)
                        due = time.monotonic() + settings.RECONCILE_SECONDS
                    elif events:
                        self._handle(connection, events)
            except DATABASE_AWAY as error:
                # What these events told is not written: everything is read once it can be.
                log.warning("the database did not take it; reading the host again soon", error=str(error))
                due = time.monotonic()
                self._stop.wait(1.0)

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
            self._look_at_storage("")
            if self._abilities is not None:
                self._abilities.look()
            self._read_all(connection)
            return
        self._look_at_storage(*dict.fromkeys(event.uuid for event in events if event.kind == "pool"))
        self._look_at_storage(*(event.uuid.removeprefix(POOL) for event in events if event.uuid.startswith(POOL)))
        if any(event.kind == "network" or event.uuid.startswith(NETWORK) for event in events):
            self._read_resources(connection)
        if any(event.kind == "secret" for event in events):
            self._read_supply(connection)
        named = [
            event for event in events if event.kind not in OF_RESOURCES and not event.uuid.startswith((POOL, NETWORK))
        ]
        guests = dict.fromkeys(event.uuid for event in named if event.uuid)
        if len(guests) > 200:
            self._read_guests(connection)
            return
        for uuid in guests:
            self._read_one(connection, uuid)

    def _read_one(self, connection: Connection, uuid: str) -> None:
        lend_back()
        try:
            record = Guest(connection, uuid).read()
        except errors.NotFound:
            for sink in sinks:
                sink.guest_gone(self.host_id, uuid)
            return
        for sink in sinks:
            sink.guests_seen(self.host_id, [record], complete=False)
