"""What is asked of a move while it is under way, by people or by its own timeout, and the record of both."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import structlog
from django.utils import timezone

from hosts.hypervisor.errors import HypervisorError
from hosts.hypervisor.records import JobFigures
from hosts.hypervisor.sentences import say
from hosts.models import OperationSignal
from hosts.operations.kind import Refused
from hosts.operations.task import Task
from hosts.work import DATABASE_AWAY
from vms.models import MoveRecord
from vms.moving.curve import USUAL_PAUSE_MS, Point, added
from vms.moving.wanted import MOST_PAUSE

if TYPE_CHECKING:
    from hosts.hypervisor.connection import Connection

log = structlog.get_logger(__name__)
#: seconds between two points of the curve
POINT_SECONDS = 1.0


class Steering:
    """Obeys what is asked of one move, and keeps its record. ``source`` gives a live connection to the source."""

    def __init__(self, task: Task, source: Callable[[], Connection]) -> None:
        self.task = task
        self._source = source
        self.cancelled_by = ""
        self.timed_out = False
        #: somebody wants a broken post-copy move to be tried again now
        self.recover_now = False
        self._noted_at = 0.0
        self._pass = 0
        #: what was asked before QEMU began to send
        self._sending = False
        self._early: list[OperationSignal] = []
        self._allowed = not task.arguments.get("max_downtime")
        self._record: MoveRecord | None = None

    @property
    def paused(self) -> bool:
        """Whether the guest was paused so that the move ends, and is to run on afterwards."""
        return bool(self.task.operation.progress.get("paused"))

    @property
    def is_sending(self) -> bool:
        """Whether QEMU has begun to send."""
        return self._sending

    @property
    def went_over(self) -> bool:
        """Whether the guest was told to go over before all its memory had: then it depends on both hosts."""
        return bool(self.task.operation.progress.get("post_copy"))

    @property
    def broken(self) -> bool:
        """Whether it broke after that."""
        return bool(self.task.operation.progress.get("broken"))

    def obey(self) -> None:
        """Do what was asked since the last time."""
        for signal in self._due():
            try:
                self._obey(signal)
            except (HypervisorError, Refused) as error:
                self.task.log(say("“%(what)s” was not possible: %(why)s", what=signal.name, why=error), "warning")
                self._note_steering(signal.actor_name, signal.name, signal.arguments, done=False)
        self._heed_timeout()

    def _due(self) -> list[OperationSignal]:
        """What was asked; the switch to post-copy only once QEMU sends, because before that it does not know of it."""
        asked = [*self._early, *self.task.signals()]
        self._early = [signal for signal in asked if signal.name == "post-copy" and not self._sending]
        return [signal for signal in asked if signal not in self._early]

    def hear_of_cancelling(self) -> None:
        """What the process that died was asked is told to us too."""
        for signal in self.task.signals():
            if signal.name == "cancel":
                self.cancelled_by = signal.actor_name

    def _obey(self, signal: OperationSignal) -> None:
        from hosts.hypervisor import migration

        who, arguments = signal.actor_name, signal.arguments
        if self.cancelled_by and not self.broken and signal.name != "cancel":
            raise Refused(say("%(who)s has stopped the move.", who=self.cancelled_by))
        if signal.name == "cancel":
            if self.went_over and not self.broken:
                raise Refused(say("After the switch to post-copy a move cannot be stopped."))
            self.cancelled_by = who
            if self.broken:
                return
            self._abort()
            self.task.log(say("%(who)s asked to stop; libvirt was told to abort.", who=who))
        elif signal.name == "bandwidth":
            migration.set_bandwidth(self._source(), self.task.uuid, arguments["bandwidth"], post_copy=self.went_over)
            self.task.log(self._say_bandwidth(who, arguments["bandwidth"]))
        elif signal.name == "downtime":
            migration.set_max_downtime(self._source(), self.task.uuid, arguments["max_downtime"])
            self._allow(arguments["max_downtime"])
            self.task.log(say("%(who)s allowed a pause of %(n)s ms.", who=who, n=arguments["max_downtime"]))
        elif signal.name == "suspend":
            self._pause()
            self.task.log(say("%(who)s had the guest paused so that the move ends.", who=who))
        elif signal.name == "post-copy":
            self._post_copy()
            self.task.log(say("%(who)s switched to post-copy: the guest goes over now.", who=who))
        elif signal.name == "recover":
            self._recover()
        self._note_steering(who, signal.name, arguments, done=True)

    def _say_bandwidth(self, who: str, n: int) -> str:
        """libvirt gives the copy of a disk its speed when that begins, and no other one afterwards."""
        if self.task.arguments["copy_storage"] and not self._pass:
            return say(
                "%(who)s set the bandwidth to %(n)s MiB/s for the memory; disks that are being copied keep their speed.",
                who=who,
                n=n,
            )
        return say("%(who)s set the bandwidth to %(n)s MiB/s.", who=who, n=n)

    def _abort(self) -> None:
        from hosts.hypervisor.guest import Guest

        Guest(self._source(), self.task.uuid).abort_job()

    def _pause(self) -> None:
        from hosts.hypervisor.guest import Guest

        guest = Guest(self._source(), self.task.uuid)
        if guest.state()[0] == "running":
            # Written before: whoever takes over must let it run on.
            self.task.progress(now=True, paused=True)
            guest.suspend()

    def _post_copy(self) -> None:
        from hosts.hypervisor import migration

        if not self.task.arguments["post_copy"]:
            raise Refused(say("Post-copy was not allowed when this move began."))
        # Written before: whoever takes over must know that its memory may be on both hosts.
        self.task.progress(now=True, post_copy=True)
        try:
            migration.start_post_copy(self._source(), self.task.uuid)
        except HypervisorError:
            self.task.progress(now=True, post_copy=False)
            raise

    def _recover(self) -> None:
        from hosts.hypervisor import migration

        if self.went_over and not self.broken:
            if not self.task.operation.progress.get("still"):
                raise Refused(say("It moves; nothing has to be taken up again."))
            migration.break_off_post_copy(self._source(), self.task.uuid)
        self.recover_now = True

    def _allow_longest(self) -> None:
        from hosts.hypervisor import migration

        migration.set_max_downtime(self._source(), self.task.uuid, MOST_PAUSE)
        self._allow(MOST_PAUSE)

    def _heed_timeout(self) -> None:
        seconds = self.task.arguments.get("timeout", 0)
        started = self.task.operation.started_at
        if not seconds or self.timed_out or self.cancelled_by or self.went_over or started is None:
            return
        if (timezone.now() - started).total_seconds() < seconds:
            return
        self.timed_out = True
        what = self.task.arguments["on_timeout"]
        ways = {
            "abort": self._abort, "suspend": self._pause, "post-copy": self._post_copy, "converge": self._allow_longest,
        }  # fmt: skip
        try:
            ways[what]()
        except (HypervisorError, Refused) as error:
            self.task.log(say("“%(what)s” was not possible: %(why)s", what=what, why=error), "warning")
            self._note_steering("", what, {"timeout": seconds}, done=False)
            return
        self.task.log(
            say("It has lasted for %(n)s seconds: “%(what)s”, as was asked for that case.", n=seconds, what=what)
        )
        self._note_steering("", what, {"timeout": seconds}, done=True)

    def run_on(self, connect: Callable[[], Connection]) -> None:
        """Let the guest run where it is now, when it was paused only so that the move ends."""
        from hosts.hypervisor.guest import Guest

        if not self.paused:
            return
        try:
            guest = Guest(connect(), self.task.uuid)
            if guest.state()[0] == "paused":
                guest.resume()
                self.task.log(say("It runs on; it was paused only for the move."))
        except HypervisorError as error:
            self.task.log(say("It could not be let run on after its pause: %(why)s", why=error), "warning")

    def seen(self, job: JobFigures) -> None:
        """The move is under way: a point of its curve about once a second, and where a new pass begins."""
        self._sending = self._sending or job.iteration > 0 or job.processed > 0
        if not self._allowed:
            self._allowed = True
            self._allow_at_first()
        at = time.monotonic()
        if at - self._noted_at < POINT_SECONDS and job.iteration == self._pass:
            return
        self._noted_at, self._pass = at, job.iteration
        point = Point(
            round(job.elapsed_ms / 1000, 2),
            job.remaining,
            job.processed,
            job.total,
            job.rate,
            job.dirty_rate,
            job.iteration,
        )
        record = self._of_record()
        if record is not None:
            record.points = added(record.points, point)
            self._write(record, "points")

    def _allow_at_first(self) -> None:
        from hosts.hypervisor import migration

        milliseconds = self.task.arguments["max_downtime"]
        try:
            migration.set_max_downtime(self._source(), self.task.uuid, milliseconds)
        except HypervisorError as error:
            self.task.log(say("“%(what)s” was not possible: %(why)s", what="downtime", why=error), "warning")

    def _allow(self, milliseconds: int) -> None:
        record = self._of_record()
        if record is not None:
            record.allowed_ms = milliseconds
            self._write(record, "allowed_ms")

    def _note_steering(self, who: str, what: str, arguments: dict[str, Any], *, done: bool) -> None:
        record = self._of_record()
        if record is None:
            return
        value = next(iter(arguments.values()), None)
        t = record.points[-1][0] if record.points else 0
        record.steered = [*record.steered, {"t": t, "who": who, "what": what, "value": value, "done": done}]
        self._write(record, "steered")

    def _of_record(self) -> MoveRecord | None:
        """The record; it is made at the first point. None while the database is away: a move does not end for that."""
        if self._record is None:
            allowed = self.task.arguments.get("max_downtime") or USUAL_PAUSE_MS
            try:
                self._record, _made = MoveRecord.objects.get_or_create(
                    operation=self.task.operation, defaults={"allowed_ms": allowed}
                )
            except DATABASE_AWAY as error:
                log.warning("the record of a move is not kept now", error=str(error))
        return self._record

    @staticmethod
    def _write(record: MoveRecord, field: str) -> None:
        try:
            record.save(update_fields=[field])
        except DATABASE_AWAY as error:
            log.warning("the record of a move is not kept now", error=str(error))
