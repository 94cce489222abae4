"""A guest moves by its saved memory: written into a pool that both hosts see, and read again on the target.

For guests that no live move can take, and where the link is slow and the storage is not. It stands still for as long as that takes.
Whatever fails, it is let run on where it was.
"""

from __future__ import annotations

import posixpath
import time
from collections.abc import Collection
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.utils.translation import gettext as _

from hosts.hypervisor.errors import Failed, HypervisorError, NotFound, Unreachable
from hosts.models import Host, StoragePool
from hosts.operations.kind import Cancelled, Uncertain
from hosts.operations.storage_base import NotNow
from vms.moving.move import Move
from vms.moving.places import Place, PowerState
from vms.moving.target import OF_FILES, for_target

if TYPE_CHECKING:
    from hosts.hypervisor.connection import Connection


def pools_between(source: Host, target: Host) -> list[tuple[StoragePool, StoragePool]]:
    """Folders that both hosts see, as (the source's pool, the target's)."""
    mine = StoragePool.objects.filter(host=source, active=True, absent_since=None, type__in=OF_FILES).exclude(
        shared_key=""
    )
    others = StoragePool.objects.filter(host=target, active=True, absent_since=None, type__in=OF_FILES)
    by_key = {pool.shared_key: pool for pool in others if pool.path}
    return [(pool, by_key[pool.shared_key]) for pool in mine if pool.path and pool.shared_key in by_key]


def names_between(sources: Collection[int], targets: Collection[int]) -> set[str]:
    """Names, at a source, of pools that one of the other hosts sees too; by the hosts' keys, in one query."""
    rows = StoragePool.objects.filter(host__in={*sources, *targets}, active=True, absent_since=None, type__in=OF_FILES)
    known = list(rows.exclude(shared_key="").exclude(path="").values_list("host_id", "name", "shared_key"))
    seen: dict[str, set[int]] = {}
    for host, _name, key in known:
        if host in targets:
            seen.setdefault(key, set()).add(host)
    return {name for host, name, key in known if host in sources and seen.get(key, set()) - {host}}


def pool_for(source: Host, target: Host, name: str) -> tuple[StoragePool, StoragePool]:
    """The pool called ``name`` ('' for the one with the most room) on both hosts. Raises NotNow."""
    found = [pair for pair in pools_between(source, target) if name in ("", pair[0].name)]
    if not found:
        raise NotNow(
            "state_pool",
            _("No pool that both %(source)s and %(target)s see is known.") % {"source": source, "target": target},
        )
    return max(found, key=lambda pair: pair[0].available)


def check(source: Host, target: Host, name: str, memory: int) -> None:
    """Look, by the rows, whether there is a place for so many bytes. Raises NotNow."""
    pool, _other = pool_for(source, target, name)
    if pool.available < memory:
        raise NotNow("state_pool", _("Pool %(name)s has no room for its memory.") % {"name": pool.name})


def _is_reading(place: Place) -> bool:
    """Whether what is there is still being filled with its memory."""
    return place.state == PowerState.PAUSED and place.reason in ("starting up", "migration")


def _has_arrived(place: Place) -> bool:
    return place.state in ("running", "paused") and not _is_reading(place)


class SavedMove(Move):
    """One move by saved memory."""

    def go(self) -> dict[str, Any]:
        here, there = pool_for(self.source_host, self.target_host, self.task.arguments["state_pool"])
        name = self._state_name()
        paths = posixpath.join(here.path, name), posixpath.join(there.path, name)
        live, stored = self._texts()
        pools = str(here.uuid), str(there.uuid)
        self.task.progress(now=True, state_file=paths[0], state_file_there=paths[1], state_pools=pools)
        began = time.monotonic()
        self._save(paths[0])
        try:
            self._restore(paths[1], live, stored)
        except HypervisorError as error:
            return self._taken_back(paths[0], error)
        return self._arrived(began)

    def _state_name(self) -> str:
        return f"{self.task.uuid}.kvmdash-state"

    def _texts(self) -> tuple[str, str]:
        """The definitions for the target: the live one only where something is different, the stored one as it is to be kept."""
        from hosts.hypervisor import migration

        with self.task.looking():
            live, stored = migration.definitions(self.source, self.task.uuid)
        edited = for_target(self.task.arguments, self.target_host, live, stored)
        return edited[0] if self.task.arguments["networks"] else "", edited[1] if self.task.arguments["persist"] else ""

    def _save(self, path: str) -> None:
        from hosts.hypervisor.guest import Guest

        self.task.log(f"The guest's memory is written to {path}; it stands still from now on.")
        try:
            self.follow(Guest(self.source, self.task.uuid).begin_save(path))
        except HypervisorError as error:
            place = self.places()[0]
            if self.steering.cancelled_by and place.runs:
                raise Cancelled(f"{self._stopped()} {self._runs_on(place)}") from error
            raise

    def _restore(self, path: str, live: str, stored: str) -> None:
        from hosts.hypervisor.guest import Guest, begin_restore

        target = self.target
        if stored:
            Guest(target, self.task.uuid).define(stored, validate=False)
        self.task.progress(now=True, reading=True)
        self.task.log(f"{self.target_host} reads it from {path}.")
        self.finish(target, begin_restore(target, path, live))

    def finish(self, connection: Connection, future: Any) -> None:
        """Wait for a call of the target's. Raises what it raised."""
        self.task.wake_when(future)
        while not future.done():
            self.task.wait(1.0)
            if not connection.is_alive:
                raise Unreachable("The connection was lost.")
        connection.outcome(future)

    def _taken_back(self, path: str, error: HypervisorError) -> dict[str, Any]:
        """The target did not take it: it runs on at the source, from the same file."""
        from hosts.hypervisor.guest import Guest, begin_restore

        target = self._settled_target()
        if _has_arrived(target):
            return self._arrived(time.monotonic())
        if target.state != "absent" and target.state != PowerState.SHUTOFF:
            raise Uncertain(self._left(path)) from error
        self.task.log(f"{self.target_host} did not take it: {error}", "warning")
        if self.task.arguments["persist"]:
            self._quietly(lambda: Guest(self.target, self.task.uuid).undefine(), "the definition on the target")
        try:
            self.finish(self.source, begin_restore(self.source, path))
        except HypervisorError as again:
            raise Uncertain(f"{error} {again} {self._left(path)}") from again
        self._forget_state(self.source, 0)
        self.look_again()
        place = self.places()[0]
        if self.steering.cancelled_by:
            raise Cancelled(f"{self._stopped()} {self._runs_on(place)}") from error
        raise Failed(
            f"{error} {self._runs_on(place)}", code=error.code, domain=error.domain, detail=error.detail
        ) from error

    def _settled_target(self) -> Place:
        """The target once it does not read the memory any more, or as it is when that lasts too long."""
        until = time.monotonic() + settings.LOST_SECONDS
        while True:
            target = self.places()[1]
            if not _is_reading(target) or time.monotonic() > until:
                return target
            self.task.wait(1.0)

    def _left(self, path: str) -> str:
        return _(
            "The guest is off, and its memory lies in %(path)s: look at %(target)s first, then `virsh restore` lets it run on."
        ) % {"path": path, "target": self.target_host}

    def _arrived(self, began: float) -> dict[str, Any]:
        from hosts.hypervisor.guest import Guest

        state = self.places()[1].state
        if self.task.arguments["undefine_source"]:
            self._quietly(lambda: Guest(self.source, self.task.uuid).undefine(), "the definition at the source")
        self._forget_state(self.target, 1)
        self._keep_autostart()
        self.look_again()
        self.task.progress(percent=100, now=True)
        self.task.log(f"The guest is {state} on {self.target_host}.")
        return {
            "host": self.target_host.name,
            "state": state,
            "seconds": round(time.monotonic() - self.began, 2),
            "total_ms": round(1000 * (time.monotonic() - self.began)),
            "downtime_ms": round(1000 * (time.monotonic() - began)),
        }

    def _succeeded(self) -> dict[str, Any]:
        """Found arrived by whoever observes: what a move by saved memory leaves must go all the same."""
        return self._arrived(time.monotonic())

    def _quietly(self, work: Any, what: str) -> None:
        try:
            work()
        except NotFound:
            return
        except HypervisorError as error:
            self.task.log(f"{what} is still there: {error}", "warning")

    def _forget_state(self, connection: Connection, end: int) -> None:
        """Delete the saved memory: from the moment that the guest runs it is of no use, and would be wrong."""
        from hosts.hypervisor.volume import Volumes

        volumes = Volumes(connection, self.task.operation.progress["state_pools"][end])

        def work() -> None:
            self.finish(connection, volumes.begin_refresh_pool())
            self.finish(connection, volumes.begin_delete(self._state_name()))

        self._quietly(work, "its saved memory")

    def _judge(self, source: Place, target: Place) -> dict[str, Any]:
        """Found by whoever observes. What was interrupted between its two halves is finished: nobody else would do it."""
        path = self._state_path(0)
        self.steering.hear_of_cancelling()
        if target.state in ("running", "paused") and source.state in ("absent", "shutoff"):
            if _has_arrived(self._settled_target()):
                return self._arrived(time.monotonic())
            raise Uncertain(self._left(path))
        if source.state in ("running", "paused"):
            if source.runs and path:
                self._forget_state(self.source, 0)
            raise Failed(_("The move did not finish.") + " " + self._runs_on(source))
        if self._waits_in_its_file(source, target):
            return self._finished()
        raise Uncertain(self._left(path))

    def _waits_in_its_file(self, source: Place, target: Place) -> bool:
        """Whether its memory was written and is still the guest.

        Not once somebody was asked to read it: the guest may have run on since, and been shut down. Memory that is older than the
        disks destroys them.
        """
        from hosts.hypervisor.guest import Guest

        progress = self.task.operation.progress
        if not progress.get("state_file_there") or progress.get("reading"):
            return False
        if target.state not in ("absent", PowerState.SHUTOFF) or source.state != PowerState.SHUTOFF:
            return False
        return source.reason == "saved" and not Guest(self.source, self.task.uuid).read().managed_save

    def _state_path(self, end: int) -> str:
        """Where its memory lies, as the source (0) or the target (1) sees it; '' when nothing was begun."""
        progress = self.task.operation.progress
        return str(progress.get("state_file" if end == 0 else "state_file_there", ""))

    def _finished(self) -> dict[str, Any]:
        """Its memory is written, and nobody has read it: read on the target, or at the source when somebody asked to stop.

        A file that is not whole is refused by libvirt, and the guest is then where it was before: off, told as uncertain.
        """
        self.task.log("Its memory had been written and not been read yet.")
        if self.steering.cancelled_by:
            return self._taken_back(self._state_path(0), Failed(self._stopped()))
        try:
            live, stored = self._texts_of_file()
            self._restore(self._state_path(1), live, stored)
        except HypervisorError as error:
            return self._taken_back(self._state_path(0), error)
        return self._arrived(time.monotonic())

    def _texts_of_file(self) -> tuple[str, str]:
        """As :meth:`_texts`, of a guest that is off: what ran stands in the file of its memory."""
        from hosts.hypervisor import migration
        from hosts.hypervisor.guest import definition_in

        _none, stored = migration.definitions(self.source, self.task.uuid)
        live = definition_in(self.target, self._state_path(1)) if self.task.arguments["networks"] else ""
        edited = for_target(self.task.arguments, self.target_host, live, stored)
        return edited[0] if live else "", edited[1] if self.task.arguments["persist"] else ""

    def _stopped(self) -> str:
        return _("Stopped by %(actor)s.") % {"actor": self.steering.cancelled_by}
