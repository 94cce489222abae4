"""What a running operation is handed: connections, and the means to say how it goes and hear what is asked of it.

A database that cannot be asked for a while (locked, full, gone) does not end a change that goes on at a host: lines of the log
wait until they can be written, figures are dropped, signals are heard later.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import structlog
from django.db import IntegrityError
from django.db.models import Max, QuerySet
from django.utils import timezone

from hosts import notify
from hosts.models import Host, Operation, OperationLog, OperationSignal
from hosts.operations.kind import Interrupted, Kind
from hosts.work import DATABASE_AWAY, lend_back

if TYPE_CHECKING:
    from concurrent.futures import Future

    from hosts.hypervisor.connection import Connection

log = structlog.get_logger(__name__)

#: seconds between two writes of progress: each is a row and a push
PROGRESS_SECONDS = 0.5
#: lines that wait for the database at most; a loop that cannot write must not fill the memory
MOST_WAITING_LINES = 1000


class Hold:
    """A process's hold on an operation that it runs: how it is woken, and told to let go."""

    def __init__(self) -> None:
        self.wake = threading.Event()
        self.let_go = threading.Event()

    def release(self) -> None:
        """Have the one who runs it stop as soon as it can."""
        self.let_go.set()
        self.wake.set()


class Task:
    """One run (or recovery) of one operation."""

    def __init__(
        self, operation: Operation, kind: Kind | None, connect: Callable[[Host, bool], Connection], hold: Hold
    ) -> None:
        self.operation = operation
        self.arguments: dict[str, Any] = operation.arguments
        self.uuid = str(operation.subject_uuid) if operation.subject_uuid else ""
        self._changes = kind is None or kind.changes
        self._own_connection = kind is not None and kind.own_connection
        self._connect = connect
        self._hold = hold
        self._looking = False
        self._main: Connection | None = None
        self._own: list[Connection] = []
        self._lines: list[OperationLog] = []
        self._progress_at = 0.0

    @property
    def host(self) -> Host:
        """The host it runs on."""
        if self.operation.host is None:
            raise RuntimeError("This operation has no host.")
        return self.operation.host

    @property
    def connection(self) -> Connection:
        """The operations connection to its host; raises a HypervisorError when there is none to be had.

        From the first one on libvirt counts as asked for the change, unless it is only looked at (:meth:`looking`).
        """
        if not self._own_connection:
            lend_back()
            connection = self._connect(self.host, False)
        elif self._main is not None and self._main.is_alive:
            connection = self._main
        else:
            connection = self._main = self._open(self.host)
        self.will_change()
        return connection

    def connect(self, host: Host) -> Connection:
        """A connection for this task alone, closed when it ends. Counts as :attr:`connection` does."""
        connection = self._open(host)
        self.will_change()
        return connection

    def meet(self, host: Host) -> Connection:
        """The operations connection to another host, which its operations share: for what is answered at once.

        The task's own is opened meanwhile, where it has one: ssh and TLS take their time. Counts as :attr:`connection` does.
        """
        if not self._own_connection or self._main is not None:
            return self.other(host)
        with ThreadPoolExecutor(1, thread_name_prefix="connect") as beside:
            mine = beside.submit(self._open, self.host)
            connection = self.other(host)
            self._main = mine.result()
        return connection

    def other(self, host: Host) -> Connection:
        """As :meth:`meet`, of one who has a connection to its own host."""
        lend_back()
        connection = self._connect(host, False)
        self.will_change()
        return connection

    def _open(self, host: Host) -> Connection:
        lend_back()
        connection = self._connect(host, True)
        self._own.append(connection)
        return connection

    @contextmanager
    def looking(self) -> Iterator[None]:
        """Within this nothing is changed: an operation that is interrupted in it has not begun."""
        before, self._looking = self._looking, True
        try:
            yield
        finally:
            self._looking = before

    @property
    def was_asked(self) -> bool:
        """Whether libvirt may have been asked for the change, by us or by who ran it before."""
        return self.operation.asked_at is not None

    def will_change(self) -> None:
        """Write down, before it happens, that libvirt is asked: whoever takes over then observes and does not run.

        For those who keep a connection that they opened while they only looked.
        """
        if self._looking or self.was_asked or not self._changes:
            return
        self._heed()
        at = timezone.now()
        if not self._ours().update(asked_at=at):
            raise Interrupted
        self.operation.asked_at = at
        lend_back()

    def _ours(self) -> QuerySet[Operation]:
        """The row, while it is still this process's to write."""
        running = Operation.objects.filter(pk=self.operation.pk, state=Operation.State.RUNNING)
        return running.filter(owner=self.operation.owner)

    def _heed(self) -> None:
        if self._hold.let_go.is_set():
            raise Interrupted

    def close(self) -> None:
        """Close the task's own connections."""
        for connection in self._own:
            connection.close()
        self._own.clear()
        self._main = None

    def log(self, text: str, level: str = "info") -> None:
        """Add a line to the operation's log. Must hold no secrets."""
        line = OperationLog(operation=self.operation, level=level, text=text, at=timezone.now())
        if len(self._lines) < MOST_WAITING_LINES:
            self._lines.append(line)
        try:
            self.write_lines()
        except DATABASE_AWAY as error:
            log.warning("a line waits for the database", line=text, error=str(error))

    def write_lines(self) -> None:
        """Write the lines that wait, each under the next number. Raises what :data:`DATABASE_AWAY` names."""
        while self._lines:
            line = self._lines[0]
            lines = OperationLog.objects.filter(operation=self.operation)
            line.serial = (lines.aggregate(last=Max("serial"))["last"] or 0) + 1
            try:
                line.save(force_insert=True)
            except IntegrityError:
                if not Operation.objects.filter(pk=self.operation.pk).exists():
                    raise Interrupted from None
                continue  # Another process wrote under that number.
            self._lines.pop(0)
            notify.changed(f"operation:{self.operation.id}")

    def progress(self, *, now: bool = False, **figures: Any) -> None:
        """Record figures (``percent`` and what else means something), at most twice a second unless ``now``."""
        self._heed()
        self.operation.progress = {**self.operation.progress, **figures}
        at = time.monotonic()
        if not now and at - self._progress_at < PROGRESS_SECONDS:
            return
        self._progress_at = at
        try:
            written = self._ours().update(progress=self.operation.progress)
        except DATABASE_AWAY as error:
            log.warning("progress not written", error=str(error))
            return
        if not written:
            raise Interrupted
        notify.changed(f"operation:{self.operation.id}", "operations-progress", *self.operation.topics())

    def signals(self) -> list[OperationSignal]:
        """Signals that came since the last time, each handed out once to each process that runs the operation."""
        taken: list[OperationSignal] = []
        try:
            for row in OperationSignal.objects.filter(operation=self.operation, taken_at=None):
                mine = OperationSignal.objects.filter(pk=row.pk, taken_at=None).update(taken_at=timezone.now())
                # One by one: when the database is lost at the second, the first is taken and must be obeyed.
                taken += [row] if mine else []
        except DATABASE_AWAY as error:
            log.warning("signals are heard later", error=str(error))
        return taken

    def cancel_requested(self) -> bool:
        """Whether a cancel signal came (for kinds that take no other signals)."""
        return any(row.name == "cancel" for row in self.signals())

    def wake_when(self, future: Future[Any]) -> None:
        """A wait ends as soon as the call does."""
        future.add_done_callback(lambda _done: self._hold.wake.set())

    def wait(self, seconds: float) -> None:
        """Sleep, but not longer than until something is asked. Raises Interrupted when this process must let go."""
        self._heed()
        lend_back()
        if self._hold.wake.wait(seconds):
            self._hold.wake.clear()
        self._heed()
