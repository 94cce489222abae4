"""Move a running guest to another host without stopping it.

Peer-to-peer first: the source's libvirtd does the work and goes on when we die. When the hosts cannot reach each other's libvirtd
we talk to both. However it ends, where the guest is now is found by looking at both hosts, not believed from the call's result.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from hosts import notify
from hosts.hypervisor.errors import (
    AuthenticationFailed,
    CertificateUntrusted,
    Failed,
    HostKeyUntrusted,
    HypervisorError,
    NotFound,
    Unreachable,
)
from hosts.hypervisor.sentences import say
from hosts.models import Host
from hosts.operations.kind import Cancelled, InvalidArguments, Refused, Subject, Uncertain, no_argument
from hosts.operations.task import Task
from vms.operations.base import GuestKind, PowerState, virsh

if TYPE_CHECKING:
    from hosts.hypervisor.connection import Connection
    from hosts.hypervisor.migration import Plan

BOOLEANS = {"copy_storage": False, "persist": True, "undefine_source": True, "unsafe": False, "auto_converge": False}
MOST_BANDWIDTH = 1024 * 1024
POLL_SECONDS = 0.4
#: what libvirt's refusal of one host by another looks like from outside
NOT_LET_IN = (Unreachable, AuthenticationFailed, HostKeyUntrusted, CertificateUntrusted)


@dataclass(frozen=True, slots=True)
class Place:
    """What one host says of the guest: a power state, 'absent', or 'unknown' when it cannot be asked."""

    host: Host
    state: str
    reason: str = ""

    @property
    def is_unfinished(self) -> bool:
        """Whether a target holds what was to become the guest: libvirt says so until all memory has come and it was let run."""
        return self.state == PowerState.PAUSED and self.reason == "migration"

    @property
    def runs(self) -> bool:
        """Whether the guest runs there."""
        return self.state == PowerState.RUNNING

    def __str__(self) -> str:
        return f"{self.host.name}: {PowerState(self.state).label if self.state in PowerState.values else _('absent')}"


class Migrate(GuestKind):
    """Live migration of a running guest to the host named ``host``."""

    name = "migrate"
    label = gettext_lazy("Migrate")
    verb = "vm.migrate"
    needs = (PowerState.RUNNING, PowerState.PAUSED)
    cancellable = True
    own_connection = True
    signals = ("bandwidth",)

    def clean(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        unknown = set(arguments) - {"host", "bandwidth", *BOOLEANS}
        if unknown:
            raise InvalidArguments(min(unknown), no_argument("migrate", min(unknown)))
        host = Host.objects.filter(name=str(arguments.get("host", ""))[:63]).first()
        if host is None:
            raise InvalidArguments("host", _("Name a host to move to."))
        cleaned: dict[str, Any] = {"host": host.name, "bandwidth": _bandwidth(arguments.get("bandwidth"))}
        for name, default in BOOLEANS.items():
            value = arguments.get(name, default)
            if not isinstance(value, bool):
                raise InvalidArguments(name, _("%(name)s is true or false.") % {"name": name})
            cleaned[name] = value
        return cleaned

    def clean_signal(self, name: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
        if name != "bandwidth":
            return super().clean_signal(name, arguments)
        unknown = set(arguments) - {"bandwidth"}
        if unknown:
            raise InvalidArguments(min(unknown), no_argument("bandwidth", min(unknown)))
        return {"bandwidth": _bandwidth(arguments.get("bandwidth"))}

    def check(self, subject: Subject, arguments: dict[str, Any]) -> None:
        super().check(subject, arguments)
        target = Host.objects.get(name=arguments["host"])
        if target == subject.host:
            raise Refused(_("%(name)s is on %(host)s already.") % {"name": subject.name, "host": target.name})
        if not target.enabled or not target.is_connected:
            raise Refused(_("Host %(host)s is not connected.") % {"host": target.name})
        twice = subject.row.sightings.filter(host=target, absent_since=None, power_state=PowerState.RUNNING).exists()
        if twice:
            raise Refused(
                _("%(name)s runs on %(host)s too; that must be settled first.")
                % {"name": subject.name, "host": target.name}
            )

    def virsh(self, subject: Subject, arguments: dict[str, Any]) -> str:
        target = Host.objects.get(name=arguments["host"])
        options = ["--live", "--p2p", "--abort-on-error"]
        options += ["--persistent"] if arguments["persist"] else []
        options += ["--undefinesource"] if arguments["undefine_source"] else []
        options += ["--copy-storage-all"] if arguments["copy_storage"] else []
        options += ["--unsafe"] if arguments["unsafe"] else []
        options += ["--auto-converge"] if arguments["auto_converge"] else []
        options += ["--bandwidth", str(arguments["bandwidth"])] if arguments["bandwidth"] else []
        return virsh("migrate", subject, _peer_uri(target), *options)

    def run(self, task: Task) -> dict[str, Any]:
        self.require_state(task, self.needs)
        target_host = _target_host(task)
        with task.looking():
            target = task.connect(target_host)
            place = _look(target, target_host, task.uuid)
            autostart = self.guest(task).read().autostart
        if place.runs:
            raise Refused(
                _("%(name)s runs on %(host)s too.") % {"name": task.operation.subject_name, "host": target_host}
            )
        # Kept in the row, for the one who recovers.
        task.progress(now=True, autostart=autostart)
        return _Move(task, target_host, target).go()

    def recover(self, task: Task) -> dict[str, Any]:
        task.log("kvmdash was interrupted during this move; looking where the guest is.", "warning")
        try:
            target_host = _target_host(task)
        except Refused as error:
            raise Uncertain(f"{error} " + _("Look at the guest on %(host)s.") % {"host": task.host.name}) from error
        return _Move(task, target_host, None).observe()


def _bandwidth(value: Any) -> int:
    try:
        bandwidth = int(value or 0)
    except (TypeError, ValueError):
        raise InvalidArguments("bandwidth", _("The bandwidth is a number of MiB a second.")) from None
    if isinstance(value, bool) or not 0 <= bandwidth <= MOST_BANDWIDTH:
        raise InvalidArguments("bandwidth", _("The bandwidth is between 0 (no limit) and 1048576 MiB a second."))
    return bandwidth


def _peer_uri(host: Host) -> str:
    from hosts.targets import peer_uri_of

    return peer_uri_of(host)


def _target_host(task: Task) -> Host:
    host = Host.objects.filter(name=task.arguments["host"]).first()
    if host is None:
        raise Refused(_("Host %(host)s was removed meanwhile.") % {"host": task.arguments["host"]})
    return host


def _look(connection: Connection, host: Host, uuid: str) -> Place:
    from hosts.hypervisor.guest import Guest

    try:
        return Place(host, *Guest(connection, uuid).state())
    except NotFound:
        return Place(host, "absent")
    except Unreachable:
        return Place(host, "unknown")


class _Move:
    """One move: the call, what is shown and asked meanwhile, and the look afterwards."""

    def __init__(self, task: Task, target_host: Host, target: Connection | None) -> None:
        self.task = task
        self.source_host = task.host
        self.target_host = target_host
        self._target = target
        self._source: Connection | None = None
        self.cancelled_by = ""
        self.began = time.monotonic()

    def go(self) -> dict[str, Any]:
        """Move it. Returns the record; raises Cancelled, Failed or Uncertain with where the guest is."""
        try:
            self._peer_to_peer_or_managed()
        except Unreachable as error:
            self.task.log(f"Lost a host in the middle: {error}. Looking where the guest is.", "warning")
            return self.observe()
        except HypervisorError as error:
            return self._failed(error)
        return self._succeeded()

    def _peer_to_peer_or_managed(self) -> None:
        from hosts.hypervisor import migration

        plan, uuid = self._plan(), self.task.uuid
        peer = _peer_uri(self.target_host)
        self.task.log(f"{self.source_host} is asked to move the guest to {peer} (peer to peer).")
        try:
            self._follow(migration.start_peer_to_peer(self.source, uuid, peer, plan))
            return
        except HypervisorError as error:
            if not self._is_peer_out_of_reach(error):
                raise
            self.task.log(f"{self.source_host} cannot reach {self.target_host}'s libvirtd: {error.detail}", "warning")
        self.task.log("kvmdash talks to both hosts instead (client-managed).")
        self._follow(migration.start_managed(self.source, self.target, uuid, plan))

    def _is_peer_out_of_reach(self, error: HypervisorError) -> bool:
        """Whether the source could not talk to the target's libvirtd: then nothing has moved, and both say so when asked."""
        from hosts.hypervisor import migration

        if self.cancelled_by:
            return False
        if not (migration.is_peer_connection_failure(error) or isinstance(error, NOT_LET_IN)):
            return False
        source, target = self._places()
        at_source = source.state in ("running", "paused") and target.state in ("absent", "shutoff")
        return at_source and not self._is_still_moving(source)

    def _plan(self) -> Plan:
        from hosts.hypervisor.migration import Plan

        arguments = self.task.arguments
        return Plan(**{name: arguments[name] for name in BOOLEANS}, bandwidth=arguments["bandwidth"])

    @property
    def source(self) -> Connection:
        """A live connection to the source."""
        if self._source is None or not self._source.is_alive:
            self._source = self.task.connect(self.source_host)
        return self._source

    @property
    def target(self) -> Connection:
        """A live connection to the target."""
        if self._target is None or not self._target.is_alive:
            self._target = self.task.connect(self.target_host)
        return self._target

    def _follow(self, future: Future[Any]) -> None:
        connection = self.source
        self.task.wake_when(future)
        while not future.done():
            self._obey()
            with suppress(Unreachable):  # The call itself tells.
                self._show()
            self.task.wait(POLL_SECONDS)
            if not connection.is_alive:
                raise Unreachable(say("The connection to the source was lost."))
        connection.outcome(future)

    def _obey(self) -> None:
        from hosts.hypervisor import migration
        from hosts.hypervisor.guest import Guest

        for signal in self.task.signals():
            try:
                if signal.name == "cancel":
                    self.cancelled_by = signal.actor_name
                    Guest(self.source, self.task.uuid).abort_job()
                    self.task.log(f"{signal.actor_name} asked to stop; libvirt was told to abort.")
                elif signal.name == "bandwidth":
                    limit = _bandwidth(signal.arguments.get("bandwidth"))
                    migration.set_bandwidth(self.source, self.task.uuid, limit)
                    self.task.log(f"{signal.actor_name} set the bandwidth to {limit} MiB/s.")
            except (HypervisorError, Refused) as error:
                self.task.log(f"“{signal.name}” was not possible: {error}", "warning")

    def _show(self) -> bool:
        """Show the running job; False when there is none. Raises Unreachable."""
        from hosts.hypervisor.guest import Guest

        try:
            job = Guest(self.source, self.task.uuid).job()
        except Unreachable:
            raise
        except HypervisorError:
            return False  # Before the job or after it.
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
        return True

    def observe(self) -> dict[str, Any]:
        """Follow what goes on without us, then say how it ended; Uncertain when that cannot be told."""
        patience = time.monotonic() + settings.LOST_SECONDS
        while True:
            source, target = self._places()
            if "unknown" not in (source.state, target.state):
                patience = time.monotonic() + settings.LOST_SECONDS
                if self._is_still_moving(source):
                    self._obey()
                    self.task.wait(POLL_SECONDS)
                    continue
                return self._judge(source, target)
            if source.runs and not self._is_still_moving(source):
                # No job any more and it runs here: it was not handed over, whatever became of the target.
                return self._judge(source, Place(self.target_host, "absent"))
            if target.runs and source.state == "unknown":
                # libvirt lets the target run only after the source has handed over.
                self.task.log(f"The guest runs on {target.host}; {source.host} cannot be asked.", "warning")
                return self._succeeded()
            if time.monotonic() > patience:
                raise Uncertain(
                    _(
                        "It cannot be told how this ended (%(source)s; %(target)s). Look at both hosts before starting it anywhere."
                    )
                    % {"source": source, "target": target}
                )
            self.task.progress(waiting_for=str(source.host if source.state == "unknown" else target.host))
            self.task.wait(1.0)

    def _is_still_moving(self, source: Place) -> bool:
        """Whether a job is under way. A source that is lost in this very moment is not one that has no job."""
        try:
            return source.state in ("running", "paused") and self._show()
        except Unreachable:
            return True

    def _judge(self, source: Place, target: Place) -> dict[str, Any]:
        self._hear_of_cancelling()
        if target.is_unfinished and source.state == PowerState.SHUTOFF and source.reason != "migrated":
            target = self._discard(target)
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
            if self.cancelled_by:
                raise Cancelled(self._runs_on(source))
            raise Failed(_("The move did not finish.") + " " + self._runs_on(source))
        if source.state == PowerState.SHUTOFF and target.state in ("absent", "shutoff"):
            raise Failed(_("The move did not finish.") + " " + self._runs_on(source))
        raise Uncertain(
            _("After the interruption the guest is found so: %(source)s; %(target)s. Look at both hosts.")
            % {"source": source, "target": target}
        )

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

    def _hear_of_cancelling(self) -> None:
        """What the process that died was asked is told to us too."""
        for signal in self.task.signals():
            if signal.name == "cancel":
                self.cancelled_by = signal.actor_name

    def _places(self) -> tuple[Place, Place]:
        return self._place("source"), self._place("target")

    def _place(self, end: str) -> Place:
        host = self.source_host if end == "source" else self.target_host
        try:
            return _look(getattr(self, end), host, self.task.uuid)
        except Unreachable:
            return Place(host, "unknown")
        except HypervisorError as error:
            self.task.log(f"{host} cannot be asked: {error}", "warning")
            return Place(host, "unknown")

    def _failed(self, error: HypervisorError) -> dict[str, Any]:
        """The call failed: say where the guest is, found by looking."""
        from hosts.hypervisor import migration

        source, target = self._places()
        self._look_again()
        if target.runs and not source.runs and source.state != "unknown":
            self.task.log(f"libvirt reported an error after the guest had arrived: {error.detail}", "warning")
            return self._succeeded()
        where = self._where(source, target)
        if self.cancelled_by and source.state in ("running", "paused"):
            raise Cancelled(_("Stopped by %(actor)s.") % {"actor": self.cancelled_by} + " " + where) from error
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

        self._look_again()
        result: dict[str, Any] = {"host": self.target_host.name, "state": self._place("target").state}
        try:
            job = Guest(self.target, self.task.uuid).job(completed=True)
            result |= {"total_ms": job.elapsed_ms, "downtime_ms": job.downtime_ms, "transferred": job.processed}
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

    def _look_again(self) -> None:
        for host in (self.source_host, self.target_host):
            notify.look_again(host.pk, self.task.uuid)
