"""The operations role: takes queued operations of its hosts, runs them, and recovers what a dead process left behind."""

from __future__ import annotations

import threading
import traceback
from collections import defaultdict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import structlog
from django.conf import settings
from django.db import DatabaseError
from django.db.models import Count, F, Q
from django.db.models.functions import Now
from django.utils import timezone

from hosts import leases, notify
from hosts.hypervisor.connection import Connection
from hosts.hypervisor.errors import HypervisorError, InvalidUri, Unreachable
from hosts.hypervisor.sentences import say
from hosts.models import Host, Lease, Operation
from hosts.operations import queue
from hosts.operations.kind import Cancelled, Kind, Refused, Uncertain, registry
from hosts.operations.task import Task
from hosts.targets import configuration_of, target_of
from hosts.work import database_work

log = structlog.get_logger(__name__)

State = Operation.State


class Connections:
    """The operations connections of this process: a shared one for each host, and own ones for long calls."""

    def __init__(self) -> None:
        self._shared: dict[int, tuple[str, Connection]] = {}
        self._locks: defaultdict[int, threading.Lock] = defaultdict(threading.Lock)

    def get(self, host: Host, own: bool) -> Connection:
        """A live connection to the host as it is configured now."""
        if own:
            return self._open(host)
        key = configuration_of(host)
        # One lock a host: the first opens, those who come meanwhile share what it opened.
        with self._locks[host.pk]:
            known, connection = self._shared.get(host.pk, ("", None))
            if connection is not None and connection.is_alive and known == key:
                return connection
            if connection is not None:
                connection.close()
            fresh = self._open(host)
            self._shared[host.pk] = (key, fresh)
            return fresh

    def _open(self, host: Host) -> Connection:
        try:
            target = target_of(host)
        except InvalidUri as error:
            raise Unreachable(str(error)) from error
        return Connection.open(
            target,
            seconds=settings.CONNECT_SECONDS,
            call_seconds=settings.CALL_SECONDS,
            keepalive=(settings.KEEPALIVE_SECONDS, settings.KEEPALIVE_COUNT),
            workers=8,
        )

    def close(self) -> None:
        """Close all."""
        for _key, connection in list(self._shared.values()):
            connection.close()


class Runner:
    """One process's share of the queue."""

    def __init__(self, owner: str | None = None) -> None:
        self.owner = owner or leases.new_owner()
        self.connections = Connections()
        self._stop = threading.Event()
        self._wake = threading.Event()
        self._running: dict[Any, threading.Event] = {}
        self._lock = threading.Lock()
        self._pool = ThreadPoolExecutor(64, thread_name_prefix="operation")
        self._thread: threading.Thread | None = None
        self._unlisten: Callable[[], None] = lambda: None

    def start(self) -> None:
        """Run in a thread of its own."""
        self._unlisten = notify.bus.listen(self._hear)
        self._thread = threading.Thread(target=self._loop, name="operations", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Take nothing new and let go of the hosts; what still runs is recovered by whoever comes next."""
        self._unlisten()
        self._stop.set()
        self._wake.set()
        if self._thread is not None:
            self._thread.join(5)
        self._pool.shutdown(wait=False, cancel_futures=True)
        with database_work():
            Operation.objects.filter(owner=self.owner, state=State.RUNNING).update(until=Now())
            leases.leave(Lease.Role.OPERATIONS, self.owner)
        self.connections.close()

    def _hear(self, message: dict[str, Any]) -> None:
        if message["type"] == "resync" or "operations-wake" in message.get("topics", ()):
            self._wake.set()
            with self._lock:
                for wake in self._running.values():
                    wake.set()

    def _loop(self) -> None:
        while not self._stop.is_set():
            try:
                with database_work():
                    self.step()
            except DatabaseError as error:
                log.warning("the database did not take it; trying again", error=str(error))
            except Exception:
                log.exception("the operations loop stumbled")
            self._wake.wait(min(1.0, settings.LEASE_SECONDS / 5))
            self._wake.clear()

    def step(self) -> None:
        """One round: leases, heartbeat, recovery, then the queue."""
        hosts = leases.share(Lease.Role.OPERATIONS, self.owner)
        self._heartbeat()
        self._recover(hosts)
        self._claim(hosts)

    def _heartbeat(self) -> None:
        with self._lock:
            mine = list(self._running)
        if mine:
            Operation.objects.filter(pk__in=mine, owner=self.owner, state=State.RUNNING).update(until=self._until())

    @staticmethod
    def _until() -> Any:
        return Now() + timedelta(seconds=settings.LEASE_SECONDS)

    def _claim(self, hosts: set[int]) -> None:
        waiting = Operation.objects.filter(state=State.QUEUED, host_id__in=hosts).order_by("created_at")
        if not waiting.exists():
            return
        running = Operation.objects.filter(state=State.RUNNING)
        per_host = dict(running.values_list("host_id").annotate(n=Count("id")).order_by())
        per_parent = dict(running.exclude(parent=None).values_list("parent_id").annotate(n=Count("id")).order_by())
        for operation in waiting.select_related("host")[:500]:
            if per_host.get(operation.host_id, 0) >= settings.OPERATIONS_PER_HOST:
                continue
            if operation.parent_id and per_parent.get(operation.parent_id, 0) >= settings.BULK_CONCURRENCY:
                continue
            if self._take(operation, Q(state=State.QUEUED)):
                per_host[operation.host_id] = per_host.get(operation.host_id, 0) + 1
                per_parent[operation.parent_id] = per_parent.get(operation.parent_id, 0) + 1
                self._spawn(operation, recovering=False)

    def _recover(self, hosts: set[int]) -> None:
        with self._lock:
            mine = list(self._running)
        left = Operation.objects.filter(state=State.RUNNING, until__lt=Now(), host_id__in=hosts).exclude(pk__in=mine)
        for operation in left.select_related("host"):
            if self._take(operation, Q(state=State.RUNNING, owner=operation.owner, until__lt=Now())):
                log.info("recovering", operation=str(operation.pk), kind=operation.kind)
                self._spawn(operation, recovering=True)
        for parent in Operation.objects.filter(kind=queue.BULK, state=State.RUNNING):
            queue.settle_parent(parent.pk) if not parent.children.filter(state__in=Operation.ACTIVE).exists() else None

    def _take(self, operation: Operation, still: Q) -> bool:
        """Claim by one conditional UPDATE: of all who try, one succeeds."""
        taken = Operation.objects.filter(still, pk=operation.pk).update(
            state=State.RUNNING,
            owner=self.owner,
            until=self._until(),
            attempt=F("attempt") + 1,
            started_at=operation.started_at or timezone.now(),
        )
        return taken == 1

    def _spawn(self, operation: Operation, *, recovering: bool) -> None:
        wake = threading.Event()
        with self._lock:
            self._running[operation.pk] = wake
        self._pool.submit(self._run, operation.pk, wake, recovering)

    def _run(self, pk: Any, wake: threading.Event, recovering: bool) -> None:
        structlog.contextvars.bind_contextvars(operation=str(pk))
        try:
            with database_work():
                operation = Operation.objects.select_related("host", "actor").get(pk=pk)
                structlog.contextvars.bind_contextvars(host=operation.host_name)
                notify.changed("operations", f"operation:{pk}", *operation.topics())
                self._run_one(operation, wake, recovering)
        except Exception:
            log.exception("an operation's thread failed")
        finally:
            with self._lock:
                self._running.pop(pk, None)
            self._wake.set()
            structlog.contextvars.clear_contextvars()

    def _run_one(self, operation: Operation, wake: threading.Event, recovering: bool) -> None:
        kind = registry.get(operation.kind)
        task = Task(operation, self._connector(kind), wake)
        try:
            columns = _attempt(kind, task, recovering)
        finally:
            task.close()
        self._finish(operation, columns)

    def _connector(self, kind: Kind | None) -> Callable[[Host, bool], Connection]:
        always_own = kind is not None and kind.own_connection
        own: dict[int, Connection] = {}

        def connect(host: Host, wants_own: bool) -> Connection:
            if wants_own:
                return self.connections.get(host, True)
            if not always_own:
                return self.connections.get(host, False)
            if host.pk not in own or not own[host.pk].is_alive:
                own[host.pk] = self.connections.get(host, True)
            return own[host.pk]

        return connect

    def _finish(self, operation: Operation, columns: dict[str, Any]) -> None:
        """Write the end; only while it is still ours, so that a process that lost its lease overwrites nothing."""
        mine = Operation.objects.filter(pk=operation.pk, owner=self.owner, state=State.RUNNING)
        for delay in (0.2, 1.0, 5.0, 15.0, None):
            try:
                written = mine.update(finished_at=timezone.now(), until=None, **columns)
                break
            except DatabaseError:
                if delay is None:
                    raise
                self._stop.wait(delay)
        if not written:
            log.warning("the operation was taken over by another process", operation=str(operation.pk))
            return
        operation.refresh_from_db()
        log.info("operation ended", kind=operation.kind, state=operation.state)
        if operation.host_id and operation.subject_uuid:
            notify.look_again(operation.host_id, str(operation.subject_uuid))
        queue.ended(operation)


def _attempt(kind: Kind | None, task: Task, recovering: bool) -> dict[str, Any]:
    """Run or recover; the columns that tell how it ended."""
    if kind is None:
        return _ended(State.UNKNOWN, "Unknown", say("This version of kvmdash does not know this kind of operation."))
    try:
        result = kind.recover(task) if recovering else kind.run(task)
    except Cancelled as error:
        return _ended(State.CANCELLED, "Cancelled", str(error))
    except Refused as error:
        return _ended(State.REFUSED, "Refused", str(error))
    except Uncertain as error:
        return _ended(State.UNKNOWN, "Uncertain", str(error))
    except HypervisorError as error:
        return {"state": State.FAILED, "error": error.as_dict() | _where(task)}
    except Exception as error:
        log.exception("an operation broke")
        task.log(traceback.format_exception_only(error)[-1].strip(), "error")
        return _ended(
            State.UNKNOWN,
            "Broken",
            say("kvmdash itself failed (%(error)s); look at the guest.", error=type(error).__name__),
        )
    return {"state": State.SUCCEEDED, "result": result, "error": {}}


def _where(task: Task) -> dict[str, Any]:
    return {"host": task.operation.host_name}


def _ended(state: State, kind: str, message: str) -> dict[str, Any]:
    return {"state": state, "error": {"type": kind, "message": message}}
