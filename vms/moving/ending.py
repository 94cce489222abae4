"""How a move ended: judged by what both hosts say of the guest, and put into the words of its record."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from typing import Any

from django.utils.translation import gettext as _

from hosts.hypervisor.errors import Failed, HypervisorError, NotFound
from hosts.models import Host
from hosts.operations.kind import Cancelled, Uncertain
from hosts.operations.task import Task
from vms.moving.ends import Ends
from vms.moving.places import Place, PowerState
from vms.moving.steering import Steering
from vms.moving.twice import hold_back


class Unsettled(Uncertain):
    """What both hosts say does not go together; asked again, they may have settled."""


class Ending(Ends, ABC):
    """The end of a move."""

    def __init__(self, task: Task, target_host: Host) -> None:
        super().__init__(task, target_host)
        self.steering = Steering(task, lambda: self.source)
        self.began = time.monotonic()

    @abstractmethod
    def observe(self) -> dict[str, Any]:
        """Follow what goes on without us, then say how it ended; Uncertain when that cannot be told."""

    @abstractmethod
    def _mended(self) -> dict[str, Any]:
        """Both halves of a guest brought together again after a post-copy move broke."""

    def _judge(self, source: Place, target: Place) -> dict[str, Any]:
        self.steering.hear_of_cancelling()
        if source.is_split or target.is_split:
            return self._mended()
        if target.is_unfinished and source.state == PowerState.SHUTOFF and source.reason != "migrated":
            target = self._discard(target)
        if target.runs and source.runs and self._place("source").runs:
            hold_back(self, source, target)
        if target.is_unfinished and source.state == "absent":
            raise Uncertain(
                _(
                    "%(source)s does not know the guest any more, and %(target)s holds a copy that never got all its memory."
                )
                % {"source": source.host, "target": target.host}
            )
        if target.state in ("running", "paused") and source.state in ("absent", "shutoff"):
            return self._succeeded()
        if source.state in ("running", "paused") and target.state in ("absent", "shutoff"):
            source = self._let_run_on(source)
            if self.steering.cancelled_by:
                raise Cancelled(self._runs_on(source))
            raise Failed(_("The move did not finish.") + " " + self._runs_on(source))
        if source.state == PowerState.SHUTOFF and target.state in ("absent", "shutoff"):
            raise Failed(_("The move did not finish.") + " " + self._runs_on(source))
        raise Unsettled(
            _("After the interruption the guest is found so: %(source)s; %(target)s. Look at both hosts.")
            % {"source": source, "target": target}
        )

    def _let_run_on(self, source: Place) -> Place:
        """A guest that was paused only so that its move ends runs on where it stayed."""
        if source.state != PowerState.PAUSED or not self.steering.paused:
            return source
        self.steering.run_on(lambda: self.source)
        return self._place("source")

    def _discard(self, target: Place) -> Place:
        """Remove the copy that never ran, as libvirt does when it hears of the end of its source; what is there then.

        Only where the source says that the guest is off: the source lost it in the middle, and no memory will come any more.
        """
        from hosts.hypervisor.guest import Guest

        try:
            Guest(self.target, self.task.uuid).destroy()
        except NotFound:
            pass
        except HypervisorError as error:
            self.task.log(f"The unfinished copy on {target.host} could not be removed: {error}", "warning")
            return target
        self.task.log(f"The unfinished copy on {target.host}, which never ran, was removed.")
        return self._place("target")

    def _failed(self, error: HypervisorError) -> dict[str, Any]:
        """The call failed: say where the guest is, found by looking."""
        from hosts.hypervisor import migration

        source, target = self.places()
        if target.state == "unknown":
            self.task.log(f"The move failed, and {target.host} cannot be asked: {error}", "warning")
            return self.observe()
        if source.runs and target.runs:
            return self.observe()
        if source.is_split or target.is_split:
            self.task.log(f"The move broke after the switch to post-copy: {error}", "warning")
            return self._mended()
        source = self._let_run_on(source)
        self.look_again()
        if target.runs and not source.runs and source.state != "unknown":
            self.task.log(f"libvirt reported an error after the guest had arrived: {error.detail}", "warning")
            return self._succeeded()
        where = self._where(source, target)
        if self.steering.cancelled_by and source.state in ("running", "paused"):
            raise Cancelled(_("Stopped by %(actor)s.") % {"actor": self.steering.cancelled_by} + " " + where) from error
        if self.steering.timed_out and migration.is_aborted(error) and source.state in ("running", "paused"):
            seconds = self.task.arguments["timeout"]
            raise Failed(
                _("It did not end within %(n)d seconds and was stopped.") % {"n": seconds} + " " + where
            ) from error
        if "unknown" in (source.state, target.state) and not (source.runs or target.runs):
            raise Uncertain(f"{error} {where}") from error
        message = f"{error} {where}"
        if migration.is_unsafe(error):
            message = (
                _(
                    "libvirt does not see that the disks are shared by both hosts. Copy the storage, or tick "
                    "“storage is shared” if you know that it is."
                )
                + f" {where}"
            )
        raise Failed(message, code=error.code, domain=error.domain, detail=error.detail) from error

    def _where(self, source: Place, target: Place) -> str:
        for place in (source, target):
            if place.state in ("running", "paused"):
                return self._runs_on(place)
        return _("The guest was found so: %(source)s; %(target)s.") % {"source": source, "target": target}

    def _runs_on(self, place: Place) -> str:
        return _("The guest is %(state)s on %(host)s.") % {
            "state": str(PowerState(place.state).label),
            "host": place.host.name,
        }

    def _succeeded(self) -> dict[str, Any]:
        """The record of the move: total time and real downtime, in milliseconds, as libvirt measured them."""
        from hosts.hypervisor.guest import Guest

        target = self.there  # Raises when it was lost since: then it is observed, and not said to be there.
        self.steering.run_on(lambda: self.target)
        self.look_again()
        result: dict[str, Any] = {"host": self.target_host.name, "state": self._place("target").state}
        try:
            job = Guest(target, self.task.uuid).job(completed=True)
            # After post-copy libvirt's target has no figures but zeros.
            if job.elapsed_ms:
                result |= {"total_ms": job.elapsed_ms, "downtime_ms": job.downtime_ms, "transferred": job.processed}
                result["carried"] = job.total
        except HypervisorError as error:
            self.task.log(f"libvirt has no figures of the finished move: {error}")
        self._keep_autostart()
        result["seconds"] = round(time.monotonic() - self.began, 2)
        self.task.progress(percent=100, remaining=0, now=True)
        self.task.log(f"The guest is {result['state']} on {self.target_host}.")
        return result

    def _keep_autostart(self) -> None:
        """libvirt leaves 'start with the host' behind at the source; people expect it to move along."""
        from hosts.hypervisor.guest import Guest

        if not (self.task.arguments["persist"] and self.task.operation.progress.get("autostart")):
            return
        try:
            Guest(self.target, self.task.uuid).set_autostart(True)
            self.task.log("It starts with its new host, as it did with the old one.")
        except HypervisorError as error:
            self.task.log(f"Autostart could not be set on {self.target_host}: {error}", "warning")
