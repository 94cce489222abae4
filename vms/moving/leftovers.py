"""What a move leaves behind, by the rows: definitions on hosts where the guest is not any more, and disks copied from there.

A move that failed leaves behind what it had copied until then.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from hosts.models import Operation, StorageClaim, StorageVolume
from vms.models import Sighting, VirtualMachine

#: moves of one guest that are looked at
MOST_MOVES = 50
#: how moves end after which the guest is where it was
NOT_GONE = (Operation.State.FAILED, Operation.State.CANCELLED)
#: by how much the hosts' clocks may differ
CLOCKS = dt.timedelta(minutes=2)


@dataclass(frozen=True, slots=True)
class Left:
    """A volume that a move copied from, or that one which failed copied into, and when that move ended."""

    volume: StorageVolume
    at: dt.datetime


@dataclass(frozen=True, slots=True)
class Leftovers:
    """Of one guest."""

    definitions: tuple[Sighting, ...] = ()
    disks: tuple[Left, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.definitions or self.disks)


def leftovers_of(vm: VirtualMachine) -> Leftovers:
    """Nothing while it is not certain where the guest is: then no copy is known to be the one too many."""
    State = VirtualMachine.PowerState
    if vm.host is None or vm.absent_since is not None or vm.power_state not in (State.RUNNING, State.PAUSED):
        return Leftovers()
    sightings = Sighting.objects.filter(vm=vm, absent_since=None).exclude(host=vm.host).select_related("host")
    if any(sighting.power_state != State.SHUTOFF for sighting in sightings):
        return Leftovers()
    stale = tuple(one for one in sightings.order_by("host__name") if one.persistent and one.host.is_connected)
    return Leftovers(stale, tuple(_disks(vm)))


def _disks(vm: VirtualMachine) -> list[Left]:
    found = []
    for (host, pool, name), at in _noted(vm).items():
        rows = StorageVolume.objects.filter(pool__host_id=host, pool__uuid=pool, name=name, absent_since=None)
        row = rows.filter(pool__active=True, pool__absent_since=None).select_related("pool__host").first()
        if row is not None and not is_used(vm, row) and not is_younger(row.modified, at):
            found.append(Left(row, at))
    return sorted(found, key=lambda left: (left.volume.pool.host.name, left.volume.name))


def _noted(vm: VirtualMachine) -> dict[tuple[int, str, str], dt.datetime]:
    """What moves that copied noted, unless the guest has been on that host since; each with the end of its move."""
    moves = Operation.objects.filter(subject_uuid=vm.pk, kind="migrate").exclude(state__in=Operation.ACTIVE)
    found: dict[tuple[int, str, str], dt.datetime] = {}
    later: set[str] = set()
    tried: dict[str, dt.datetime] = {}
    for move in moves.order_by("-created_at")[:MOST_MOVES]:
        target, at = str(move.arguments.get("host", "")), move.finished_at
        if move.state in NOT_GONE and move.finished_at:
            # A later try writes into what an earlier one made.
            at = tried.setdefault(target, move.finished_at)
            noted, host_name, later_hosts = move.progress.get("made", []), target, {move.host_name}
        else:
            host_name, later_hosts = move.host_name, {move.host_name, target}
            noted = move.progress.get("left", []) if move.state == Operation.State.SUCCEEDED else []
        if at and host_name not in later:
            for host, pool, name in noted:
                found[host, pool, name] = at
        later |= later_hosts
    return found


def is_younger(modified: dt.datetime | None, at: dt.datetime) -> bool:
    """Whether a volume was written after the move that left it behind: then somebody uses it."""
    return modified is not None and modified > at + CLOCKS


def is_used(vm: VirtualMachine, volume: StorageVolume) -> bool:
    """Whether anybody names it, or it may be the very storage that the guest uses where it is now."""
    host = volume.pool.host
    if not host.is_connected:
        return True
    others = StorageClaim.objects.filter(host=host, path=volume.path).exclude(owner=vm.pk)
    here = host == vm.host and StorageClaim.objects.filter(host=host, path=volume.path).exists()
    below = StorageVolume.objects.filter(pool__host=host, backing_path=volume.path, absent_since=None).exclude(path="")
    return others.exists() or here or below.exists() or bool(volume.pool.shared_key)
