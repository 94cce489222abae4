"""One move: the call, and what is shown and asked meanwhile, whether the call is ours or goes on without us."""

from __future__ import annotations

import time
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, ClassVar

from django.conf import settings
from django.utils.translation import gettext as _

from hosts.hypervisor.errors import (
    AuthenticationFailed,
    CertificateUntrusted,
    HostKeyUntrusted,
    HypervisorError,
    Unreachable,
)
from hosts.hypervisor.sentences import say
from hosts.models import Host
from hosts.operations.kind import Uncertain
from hosts.operations.task import Task
from vms.moving.ending import Ending, Unsettled
from vms.moving.options import is_edited
from vms.moving.places import Place
from vms.moving.post_copy import bring_together
from vms.moving.target import for_target
from vms.moving.wanted import BOOLEANS
from vms.moving.watching import Figures, Standstill

if TYPE_CHECKING:
    from hosts.hypervisor.migration import Plan
    from hosts.hypervisor.records import JobFigures

POLL_SECONDS = 0.4
#: how long two hosts may say what does not go together before it is believed: they are asked one after the other
SETTLE_SECONDS = 15.0
#: what libvirt's refusal of one host by another looks like from outside
NOT_LET_IN = (Unreachable, AuthenticationFailed, HostKeyUntrusted, CertificateUntrusted)


def peer_uri(host: Host) -> str:
    """How the other hosts reach this one."""
    from hosts.targets import peer_uri_of

    return peer_uri_of(host)


class Unnoticed(HypervisorError):
    """libvirt missed that a post-copy move broke: its call goes on for ever, while the source's state tells the truth."""


class Move(Ending):
    """One move: the call, what is shown and asked meanwhile, and the look afterwards."""

    #: states of a guest that has not been moved yet
    begins_as: ClassVar[tuple[str, ...]] = ("running", "paused")

    def __init__(self, task: Task, target_host: Host) -> None:
        super().__init__(task, target_host)
        self._standstill = Standstill(task)

    def go(self) -> dict[str, Any]:
        """Move it. Returns the record; raises Cancelled, Failed or Uncertain with where the guest is."""
        try:
            self._by_transport()
        except Unreachable as error:
            self.task.log(f"Lost a host in the middle: {error}. Looking where the guest is.", "warning")
            return self.observe()
        except Unnoticed as error:
            self.task.log(str(error), "warning")
            return self._mended()
        except HypervisorError as error:
            return self._failed(error)
        return self._succeeded()

    def _by_transport(self) -> None:
        transport = self.task.arguments["transport"]
        plan = self.plan()
        if transport != "managed":
            try:
                self._peer_to_peer(plan)
                return
            except HypervisorError as error:
                if transport != "auto" or not self._is_peer_out_of_reach(error):
                    raise
                self.task.log(
                    f"{self.source_host} cannot reach {self.target_host}'s libvirtd: {error.detail}", "warning"
                )
        self._managed(plan)

    def _peer_to_peer(self, plan: Plan) -> None:
        from hosts.hypervisor import migration

        peer = peer_uri(self.target_host)
        self.task.log(f"{self.source_host} is asked to move the guest to {peer} (peer to peer).")
        self.follow(migration.start_peer_to_peer(self.source, self.task.uuid, peer, plan))

    def _managed(self, plan: Plan) -> None:
        from hosts.hypervisor import migration

        self.task.log("kvmdash talks to both hosts instead (client-managed).")
        self.follow(migration.start_managed(self.source, self.target, self.task.uuid, plan))

    def _is_peer_out_of_reach(self, error: HypervisorError) -> bool:
        """Whether the source could not talk to the target's libvirtd: then nothing has moved, and both say so when asked."""
        from hosts.hypervisor import migration

        if self.steering.cancelled_by or self.steering.is_sending:
            return False
        if not (migration.is_peer_connection_failure(error) or isinstance(error, NOT_LET_IN)):
            return False
        source, target = self.places()
        at_source = source.state in self.begins_as and target.state in ("absent", "shutoff")
        return at_source and not self._is_still_moving()

    def plan(self) -> Plan:
        """How libvirt is asked. The definitions for the target are made of what the source says now."""
        from hosts.hypervisor.migration import Plan

        arguments = self.task.arguments
        live, stored = self._definitions()
        return Plan(
            **{name: arguments[name] for name in BOOLEANS},
            bandwidth=arguments["bandwidth"],
            connections=arguments["connections"],
            compression=arguments["compression"],
            tunnelled=arguments["transport"] == "tunnelled",
            disks=tuple(sorted(arguments["disks"])),
            live_definition=live,
            stored_definition=stored,
        )

    def _definitions(self) -> tuple[str, str]:
        """The guest's definitions as they are to be on the target, '' where nothing in them changes."""
        from hosts.hypervisor import migration

        if not is_edited(self.task.arguments):
            return "", ""
        with self.task.looking():
            found = migration.definitions(self.source, self.task.uuid)
        return for_target(self.task.arguments, self.target_host, *found)

    def follow(self, future: Future[Any]) -> None:
        """Until the call has ended: show how it goes, and obey. Raises what it raised, and Unreachable when the source is lost."""
        connection = self.source
        self.task.wake_when(future)
        figures = Figures(connection, self.task.uuid)
        while not future.done():
            # First this: to ask beside the call takes a connection more, and a short move ends before anybody would look.
            self.task.wait(POLL_SECONDS)
            if not connection.is_alive:
                raise Unreachable(say("The connection to the source was lost."))
            if future.done():
                break
            if not figures.are_silent:  # Otherwise what is asked of QEMU would not be answered either.
                self.steering.obey()
            self._show_if_told(figures)
            if self._standstill.lasts and self.steering.went_over and self._place("source").is_broken:
                raise Unnoticed(
                    say("The connection broke after the switch to post-copy, and libvirt's own call did not end.")
                )
        self._standstill.over()
        connection.outcome(future)

    def _show_if_told(self, figures: Figures) -> None:
        try:
            job = figures.now()
        except HypervisorError:
            return  # Before the job or after it; of a lost connection the call itself tells.
        if job is None:
            self._standstill.unanswered()
        else:
            self._show(job)

    def _show(self, job: JobFigures) -> bool:
        """Show the job; False when it is none that moves the guest away."""
        if job.type in ("none", "completed", "failed", "cancelled") or job.operation == "migration in":
            return False
        self.task.progress(
            percent=round(job.percent, 1) if job.percent is not None else None,
            remaining=job.remaining,
            total=job.total,
            processed=job.processed,
            rate=job.rate,
            dirty_rate=job.dirty_rate,
            iteration=job.iteration,
            elapsed=round(job.elapsed_ms / 1000, 1),
            estimate=round(job.estimate_s, 1) if job.estimate_s is not None else None,
        )
        self._standstill.seen(job)
        self.steering.seen(job)
        return True

    def observe(self) -> dict[str, Any]:
        """Follow what goes on without us, then say how it ended; Uncertain when that cannot be told."""
        patience = time.monotonic() + settings.LOST_SECONDS
        unsettled: float | None = None
        while True:
            # The job first: when it was over before the hosts were asked, neither answer is from the time before its end.
            moving = self._is_still_moving()
            source, target = self.places()
            if "unknown" not in (source.state, target.state):
                patience = time.monotonic() + settings.LOST_SECONDS
                self._wait_for("")
                if source.is_broken or target.is_broken:
                    return self._mended()
                if moving:
                    unsettled = None
                    self.steering.obey()
                    self.task.wait(POLL_SECONDS)
                    continue
                unsettled = unsettled or time.monotonic() + SETTLE_SECONDS
                try:
                    return self._judge(source, target)
                except Unsettled:
                    if time.monotonic() > unsettled:
                        raise
                self.task.wait(POLL_SECONDS)
                continue
            unsettled = None
            if moving and source.state != "unknown" and not source.is_split:
                # It is the source's to say, however long that takes: in the last pause its QEMU waits for a lost target until TCP
                # gives up, and has the guest run on then.
                patience = time.monotonic() + settings.LOST_SECONDS
                self.steering.obey()
            if target.runs and source.state == "unknown" and not target.is_split:
                # libvirt lets the target run only after the source has handed over.
                self.task.log(f"The guest runs on {target.host}; {source.host} cannot be asked.", "warning")
                return self._succeeded()
            if time.monotonic() > patience and (source.is_split or target.is_split):
                return self._mended()
            if time.monotonic() > patience and source.runs:
                # No job any more and it runs here: it was not handed over. Not said before: see twice.py.
                self.task.log(
                    say("%(host)s has not answered yet. A copy that runs there must be forced off.", host=target.host),
                    "warning",
                )
                return self._judge(source, Place(self.target_host, "absent"))
            if time.monotonic() > patience:
                raise Uncertain(
                    _(
                        "It cannot be told how this ended (%(source)s; %(target)s). Look at both hosts before starting it anywhere."
                    )
                    % {"source": source, "target": target}
                )
            self._wait_for(str(source.host if source.state == "unknown" else target.host))
            self.task.wait(1.0)

    def _wait_for(self, host: str) -> None:
        """Say which host is waited for, '' for none any more."""
        if self.task.operation.progress.get("waiting_for", "") != host:
            self.task.progress(now=True, waiting_for=host)

    def _mended(self) -> dict[str, Any]:
        """Both halves of a guest brought together again after a post-copy move broke."""
        bring_together(self)
        return self._succeeded()

    def _is_still_moving(self) -> bool:
        """Whether the source has a job under way. A source that is lost in this very moment is not one that has no job."""
        from hosts.hypervisor import migration
        from hosts.hypervisor.guest import Guest

        try:
            return self._show(Guest(self.source, self.task.uuid).job())
        except Unreachable:
            self._standstill.unanswered()
            return True
        except HypervisorError as error:
            # Before the job or after it, unless the job itself kept the question from being answered.
            if busy := migration.is_busy(error):
                self._standstill.unanswered()
            return busy
