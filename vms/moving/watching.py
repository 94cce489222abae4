"""A move under way seen from outside: its figures, asked for without waiting for them, and whether anything of it still moves."""

from __future__ import annotations

import time
from concurrent.futures import Future, wait
from typing import TYPE_CHECKING

from django.utils import timezone

if TYPE_CHECKING:
    from hosts.hypervisor.connection import Connection
    from hosts.hypervisor.records import JobFigures
    from hosts.operations.task import Task

#: an answer usually comes within so many seconds
ANSWER_SECONDS = 0.3
#: a host that did not answer for so long does not for now
SILENT_SECONDS = 3.0
#: a move of which nothing moved for so long stands still; disks are copied in steps of 16 MiB, which a low limit makes long
STILL_SECONDS, STILL_DISKS_SECONDS = 10.0, 60.0


class Figures:
    """The figures of a guest's job, asked for one at a time.

    While QEMU makes the last pause of a move it answers nobody, and libvirt waits with us. A call that is given up would take the
    connection along, and with it the move's own call.
    """

    def __init__(self, connection: Connection, uuid: str) -> None:
        self._connection = connection
        self._uuid = uuid
        self._asked: Future[JobFigures] | None = None
        self._asked_at = 0.0

    @property
    def are_silent(self) -> bool:
        """Whether an answer has been waited for so long that nothing else should be asked now."""
        return self._asked is not None and time.monotonic() - self._asked_at > SILENT_SECONDS

    def now(self) -> JobFigures | None:
        """What was answered; None while nothing was. Raises the HypervisorError that came instead."""
        from hosts.hypervisor.migration import ask_job

        if self._asked is None:
            self._asked, self._asked_at = ask_job(self._connection, self._uuid), time.monotonic()
        wait([self._asked], ANSWER_SECONDS)
        if not self._asked.done():
            return None
        asked, self._asked = self._asked, None
        return self._connection.outcome(asked)


class Standstill:
    """Since when nothing of a move has moved, kept in its progress (``still``) for the page and for whoever takes over."""

    def __init__(self, task: Task) -> None:
        self._task = task
        self._last: tuple[int, ...] = ()
        self._moved_at = time.monotonic()

    @property
    def lasts(self) -> bool:
        """Whether it stands still now."""
        return bool(self._task.operation.progress.get("still"))

    def seen(self, job: JobFigures) -> None:
        """The host told how it goes."""
        figures = (job.processed, job.remaining, job.iteration)
        if figures != self._last:
            self._last = figures
            self._moved()
        elif time.monotonic() - self._moved_at > (STILL_SECONDS if job.iteration else STILL_DISKS_SECONDS):
            self._note("still")

    def unanswered(self) -> None:
        """The host was asked how it goes, and does not tell."""
        if time.monotonic() - self._moved_at > STILL_SECONDS:
            self._note("silent")

    def over(self) -> None:
        """There is nothing any more that could stand still."""
        self._moved()

    def _moved(self) -> None:
        self._moved_at = time.monotonic()
        if self._task.operation.progress.get("still"):
            self._task.progress(now=True, still=None)

    def _note(self, why: str) -> None:
        before = self._task.operation.progress.get("still") or {}
        if before.get("why") == why:
            return
        since = before.get("since") or timezone.now().isoformat(timespec="seconds")
        self._task.progress(now=True, still={"why": why, "since": since})
