"""What a running operation is handed: connections, and the means to say how it goes and hear what is asked of it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from django.db.models import F
from django.utils import timezone

from hosts import notify
from hosts.models import Host, Operation, OperationLog, OperationSignal

if TYPE_CHECKING:
    from hosts.hypervisor.connection import Connection

#: seconds between two writes of progress: each is a row and a push
PROGRESS_SECONDS = 0.5


class Task:
    """One run (or recovery) of one operation."""

    def __init__(
        self, operation: Operation, connect: Callable[[Host, bool], Connection], wake: threading.Event
    ) -> None:
        self.operation = operation
        self.arguments: dict[str, Any] = operation.arguments
        self.uuid = str(operation.subject_uuid) if operation.subject_uuid else ""
        self._connect = connect
        self._wake = wake
        self._own: list[Connection] = []
        self._progress_at = 0.0

    @property
    def host(self) -> Host:
        """The host it runs on."""
        if self.operation.host is None:
            raise RuntimeError("This operation has no host.")
        return self.operation.host

    @property
    def connection(self) -> Connection:
        """The operations connection to its host; raises a HypervisorError when there is none to be had."""
        return self._connect(self.host, False)

    def connect(self, host: Host) -> Connection:
        """A connection for this task alone, closed when it ends."""
        connection = self._connect(host, True)
        self._own.append(connection)
        return connection

    def close(self) -> None:
        """Close the task's own connections."""
        for connection in self._own:
            connection.close()
        self._own.clear()

    def log(self, text: str, level: str = "info") -> None:
        """Add a line to the operation's log. Must hold no secrets."""
        serial = OperationLog.objects.filter(operation=self.operation).count() + 1
        OperationLog.objects.create(operation=self.operation, serial=serial, level=level, text=text)
        notify.changed(f"operation:{self.operation.id}")

    def progress(self, *, now: bool = False, **figures: Any) -> None:
        """Record figures (``percent`` and what else means something), at most twice a second unless ``now``."""
        self.operation.progress = {**self.operation.progress, **figures}
        at = time.monotonic()
        if not now and at - self._progress_at < PROGRESS_SECONDS:
            return
        self._progress_at = at
        Operation.objects.filter(pk=self.operation.pk).update(progress=self.operation.progress)
        notify.changed(f"operation:{self.operation.id}", "operations-progress", *self.operation.topics())

    def signals(self) -> list[OperationSignal]:
        """Signals that came since the last time, each handed out once."""
        waiting = list(OperationSignal.objects.filter(operation=self.operation, taken_at=None))
        taken = timezone.now()
        return [
            row for row in waiting if OperationSignal.objects.filter(pk=row.pk, taken_at=None).update(taken_at=taken)
        ]

    def cancel_requested(self) -> bool:
        """Whether a cancel signal came (for kinds that take no other signals)."""
        return any(row.name == "cancel" for row in self.signals())

    def wait(self, seconds: float) -> None:
        """Sleep, but not longer than until something is asked."""
        if self._wake.wait(seconds):
            self._wake.clear()

    def attempts(self) -> int:
        """How often a process has taken it up."""
        return int(Operation.objects.filter(pk=self.operation.pk).values_list(F("attempt"), flat=True)[0])
