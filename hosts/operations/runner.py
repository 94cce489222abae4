"""The operations role: takes queued operations of its hosts, runs them, and recovers what a dead process left behind."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import structlog
from django.conf import settings
from django.db.models import F
from django.db.models.functions import Now
from django.utils import timezone

from hosts import leases, notify, timers
from hosts.models import Lease, Operation, OperationSignal
from hosts.operations import claims, queue
from hosts.operations.connections import Connections
from hosts.operations.kind import Interrupted, registry
from hosts.operations.outcome import attempt
from hosts.operations.task import Hold, Task
from hosts.work import DATABASE_AWAY, database_work

log = structlog.get_logger(__name__)

State = Operation.State

#: operations that one process runs at a time, each on a thread of its own; hosts that hang must not leave none for the others
MOST_AT_ONCE = 400
#: seconds that a process which stops waits for what is about to end by itself
STOP_SECONDS = 5.0


@dataclass(slots=True)
class _Running:
    """An operation that a thread of this process runs."""

    host_id: int | None
    hold: Hold = field(default_factory=Hold)


class Runner:
    """One process's share of the queue."""

    def __init__(self, owner: str | None = None) -> None:
        self.owner = owner or leases.new_owner()
        self.connections = Connections()
        self._share = leases.Share(Lease.Role.OPERATIONS, self.owner)
        self._stop = threading.Event()
        self._wake = threading.Event()
        self._running: dict[Any, _Running] = {}
        self._timers = timers.Timers()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._unlisten: Callable[[], None] = lambda: None
        #: hosts of the last round, and when their leases were renewed
        self._hosts: set[int] = set()
        self._renewed_at = float("-inf")

    def start(self) -> None:
        """Run in a thread of its own."""
        self._unlisten = notify.bus.listen(self._hear)
        self._thread = threading.Thread(target=self._loop, name="operations", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Take nothing new and let go of the hosts; what does not end by itself at once is left to whoever comes next."""
        self._unlisten()
        self._stop.set()
        self._wake.set()
        if self._thread is not None:
            self._thread.join(STOP_SECONDS)
        self._release_all()
        try:
            with database_work():
                Operation.objects.filter(owner=self.owner, state=State.RUNNING).update(until=Now())
                leases.leave(Lease.Role.OPERATIONS, self.owner)
        except DATABASE_AWAY as error:
            log.warning(
                "hosts and operations were not given back; they are free when their leases run out", error=str(error)
            )
        self.connections.close()

    def _release_all(self) -> None:
        until = time.monotonic() + STOP_SECONDS
        for running in self._holds():
            running.hold.release()
        while self._holds() and time.monotonic() < until:
            time.sleep(0.05)

    def _holds(self) -> list[_Running]:
        with self._lock:
            return list(self._running.values())

    def _hear(self, message: dict[str, Any]) -> None:
        topics = message.get("topics", ())
        if message["type"] == "resync" or "operations-wake" in topics:
            self._wake.set()
        if message["type"] == "changes":
            self._wake_signalled(topics)

    def _wake_signalled(self, topics: list[str]) -> None:
        """Only those that something was asked of: waking all would have each poll its host."""
        asked = {topic.partition(":")[2] for topic in topics if topic.startswith("operation-signal:")}
        if not asked:
            return
        with self._lock:
            signalled = [running for pk, running in self._running.items() if str(pk) in asked]
        for running in signalled:
            running.hold.wake.set()

    def _loop(self) -> None:
        while not self._stop.is_set():
            try:
                with database_work():
                    if self._until_next_round() > 0:
                        self._hurry()
                    else:
                        self.step()
            except DATABASE_AWAY as error:
                log.warning("the database did not take it; trying again", error=str(error))
                self._stop.wait(0.5)
            except Exception:
                log.exception("the operations loop stumbled")
                self._stop.wait(0.5)
            self._wake.wait(max(0.0, self._until_next_round()))
            self._wake.clear()

    def _until_next_round(self) -> float:
        return float(self._renewed_at + min(1.0, settings.LEASE_SECONDS / 5) - time.monotonic())

    def _hurry(self) -> None:
        """Between two rounds: what was just asked for, or follows what has just ended. Leases were renewed a moment ago."""
        if self._share.trusts_the_clock:
            self._timers.run_due()
        self._claim(self._hosts)

    def step(self) -> None:
        """One round: leases, heartbeat, recovery, then the queue."""
        hosts = self._hosts = self._share.renew()
        self._renewed_at = time.monotonic()
        self._heartbeat()
        if self._share.trusts_the_clock:
            self._recover(hosts)
            claims.end_orphans()
            self._timers.run_due()
        self._claim(hosts)
        self.connections.keep_only(hosts | {running.host_id for running in self._holds() if running.host_id})

    def _heartbeat(self) -> None:
        with self._lock:
            held = dict(self._running)
        if not held:
            return
        mine = Operation.objects.filter(pk__in=list(held), owner=self.owner, state=State.RUNNING)
        if mine.update(until=self._until()) == len(held):
            return
        still = set(mine.values_list("pk", flat=True))
        for pk in held.keys() - still:
            held[pk].hold.release()  # It was taken over, or has just ended: then its thread does not look any more.

    @staticmethod
    def _until() -> Any:
        return Now() + timedelta(seconds=settings.LEASE_SECONDS)

    def _claim(self, hosts: set[int]) -> None:
        with self._lock:
            free = MOST_AT_ONCE - len(self._running)
        for operation in claims.next_in_turn(hosts, free):
            if self._take(operation, State.QUEUED, ""):
                self._spawn(operation, recovering=False)

    def _recover(self, hosts: set[int]) -> None:
        with self._lock:
            mine = list(self._running)
        left = Operation.objects.filter(state=State.RUNNING, until__lt=Now(), host_id__in=hosts).exclude(pk__in=mine)
        for operation in left.select_related("host"):
            if self._take(operation, State.RUNNING, operation.owner):
                log.info("recovering", operation=str(operation.pk), kind=operation.kind)
                # What was asked of the one who died it may not have done.
                OperationSignal.objects.filter(operation=operation).update(taken_at=None)
                self._spawn(operation, recovering=True)
        claims.settle_parents()

    def _take(self, operation: Operation, state: str, owner: str) -> bool:
        """Claim by one conditional UPDATE: of all who try, one succeeds."""
        free = Operation.objects.filter(pk=operation.pk, state=state, owner=owner)
        if state == State.RUNNING:
            free = free.filter(until__lt=Now())
        taken = free.update(
            state=State.RUNNING,
            owner=self.owner,
            until=self._until(),
            attempt=F("attempt") + 1,
            started_at=operation.started_at or timezone.now(),
        )
        return taken == 1

    def _spawn(self, operation: Operation, *, recovering: bool) -> None:
        running = _Running(operation.host_id)
        with self._lock:
            self._running[operation.pk] = running
        name = f"operation-{operation.pk}"
        # Daemons: a process that stops does not wait for a guest that takes an hour to shut down.
        threading.Thread(target=self._run, args=(operation.pk, running, recovering), name=name, daemon=True).start()

    def _run(self, pk: Any, running: _Running, recovering: bool) -> None:
        structlog.contextvars.bind_contextvars(operation=str(pk))
        try:
            with database_work():
                operation = self._read(pk, running.hold)
                structlog.contextvars.bind_contextvars(host=operation.host_name)
                notify.changed("operations", f"operation:{pk}", *operation.topics())
                self._run_one(operation, running.hold, recovering)
        except Interrupted:
            log.info("let go of an operation; whoever takes it over looks how it stands")
        except Exception:
            log.exception("an operation's thread failed")
        finally:
            with self._lock:
                self._running.pop(pk, None)
            self._wake.set()

    def _read(self, pk: Any, hold: Hold) -> Operation:
        """The claimed row; raises Interrupted when it is not ours any more."""
        rows = Operation.objects.select_related("host", "actor").filter(pk=pk, owner=self.owner, state=State.RUNNING)
        operation: Operation | None = self._persist(rows.first, hold)
        if operation is None:
            raise Interrupted
        return operation

    def _run_one(self, operation: Operation, hold: Hold, recovering: bool) -> None:
        kind = registry.get(operation.kind)
        task = Task(operation, kind, self.connections.get, hold)
        try:
            columns = attempt(kind, task, recovering)
        finally:
            task.close()
        self._persist(task.write_lines, hold)
        if self._persist(lambda: self._finish(operation, columns), hold):
            self._persist(lambda: self._tell(operation), hold)

    def _persist(self, work: Callable[[], Any], hold: Hold) -> Any:
        """Do what must not be lost, again and again while the database cannot be asked; Interrupted when we must let go."""
        pause = 0.2
        while True:
            try:
                return work()
            except DATABASE_AWAY as error:
                log.warning("an operation waits for the database", error=str(error))
                if hold.let_go.wait(pause):
                    raise Interrupted from error
                pause = min(pause * 2, 5.0)

    def _finish(self, operation: Operation, columns: dict[str, Any]) -> bool:
        """Write the end; only while it is still ours, so that a process that lost its lease overwrites nothing."""
        mine = Operation.objects.filter(pk=operation.pk, owner=self.owner, state=State.RUNNING)
        if not mine.update(finished_at=timezone.now(), until=None, **columns):
            log.warning("the operation was taken over by another process", operation=str(operation.pk))
            return False
        log.info("operation ended", kind=operation.kind, state=str(columns["state"]))
        return True

    def _tell(self, operation: Operation) -> None:
        if operation.host_id and operation.subject_uuid:
            notify.look_again(operation.host_id, str(operation.subject_uuid))
        queue.ended(operation)
