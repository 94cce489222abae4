"""Sharing the hosts out among the processes of one role."""

from __future__ import annotations

import os
import secrets
import socket
import time
from datetime import datetime, timedelta
from typing import Any

import structlog
from django.conf import settings
from django.db.models import QuerySet
from django.db.models.functions import Now

from hosts.models import Host, Lease, Operation, Worker

log = structlog.get_logger(__name__)

#: a lease that claims to run for longer than so many times ours was made before the clock was put back
LONGEST = 4


def new_owner() -> str:
    """A name for this process that no other has had."""
    return f"{socket.gethostname()[:60]}:{os.getpid()}:{secrets.token_hex(4)}"


class Share:
    """One process's share of the hosts in one role, and whether the database's clock may be believed just now.

    That a lease ran out tells that its holder is dead only if the holder could renew it and the clock went as clocks do. After the
    clock jumped, or the database could not be asked for a while, the leases of the living have run out, too: then nothing is taken
    from anybody until everybody had the time to renew.
    """

    def __init__(self, role: str, owner: str) -> None:
        self.role = role
        self.owner = owner
        self._last: tuple[float, datetime] | None = None
        self._doubts_until = 0.0

    def renew(self) -> set[int]:
        """Renew what we hold and take our share of what is free; the hosts held."""
        workers = Worker.report(self.role, self.owner, settings.LEASE_SECONDS)
        self._look_at_the_clock()
        _shorten(self.role)
        return _share(self.role, self.owner, workers, take=self.trusts_the_clock)

    @property
    def trusts_the_clock(self) -> bool:
        """Whether what ran out may be taken from others."""
        return time.monotonic() >= self._doubts_until

    def _look_at_the_clock(self) -> None:
        """Compare the database's clock, as our report has just read it, with our own that never jumps."""
        until = Worker.objects.filter(owner=self.owner).values_list("until", flat=True).first()
        if until is None:  # By another's clock we were dead; we report again in the next round.
            return
        now = (time.monotonic(), until - timedelta(seconds=settings.LEASE_SECONDS))
        if self._last is not None:
            passed, said = now[0] - self._last[0], (now[1] - self._last[1]).total_seconds()
            most = settings.LEASE_SECONDS / 2
            if passed > most or abs(said - passed) > most:
                log.warning(
                    "no leases are taken over for a while", passed=round(passed, 1), by_the_clock=round(said, 1)
                )
                self._doubts_until = now[0] + settings.LEASE_SECONDS
        self._last = now


def share(role: str, owner: str) -> set[int]:
    """Renew what we hold, take what is free up to a fair share, give back what is too much. Returns the hosts held."""
    return _share(role, owner, Worker.report(role, owner, settings.LEASE_SECONDS), take=True)


def _share(role: str, owner: str, workers: int, *, take: bool) -> set[int]:
    _ensure_rows(role)
    leases = _leases(role)
    fair = -(-leases.count() // workers)
    mine = leases.filter(owner=owner).order_by("host_id").values_list("host_id", flat=True)
    held = {pk for pk in mine if Lease.take(pk, role, owner, settings.LEASE_SECONDS)}
    for pk in _free(leases, ran_out=take):
        if len(held) < fair and Lease.take(pk, role, owner, settings.LEASE_SECONDS):
            held.add(pk)
    surplus = sorted(held)[fair:]
    if surplus and take:
        Lease.give_back(role, owner, surplus)
        held -= set(surplus)
    return held


def _leases(role: str) -> QuerySet[Lease]:
    """Disabled hosts are not mirrored, but may be acted on: testing one is how it becomes enabled."""
    leases = Lease.objects.filter(role=role)
    return leases.filter(host__enabled=True) if role == Lease.Role.INVENTORY else leases


def _ensure_rows(role: str) -> None:
    known = Lease.objects.filter(role=role).values("host_id")
    missing = Host.objects.exclude(pk__in=known).values_list("pk", flat=True)
    Lease.objects.bulk_create([Lease(host_id=pk, role=role) for pk in missing], ignore_conflicts=True)


def _free(leases: QuerySet[Lease], *, ran_out: bool) -> list[int]:
    """Nobody's hosts, and with ``ran_out`` also those whose holder has not renewed."""
    if ran_out:
        taken = leases.filter(until__gt=Now()).exclude(owner="").values("pk")
        leases = leases.exclude(pk__in=taken)
    else:
        leases = leases.filter(owner="")
    return list(leases.order_by("host_id").values_list("host_id", flat=True))


def _shorten(role: str) -> None:
    """After the clock was put back, what the dead left would not run out for hours; the living renew theirs anyway."""
    latest = Now() + timedelta(seconds=LONGEST * settings.LEASE_SECONDS)
    rows: list[QuerySet[Any]] = [Lease.objects.filter(role=role), Worker.objects.filter(role=role)]
    if role == Lease.Role.OPERATIONS:
        rows.append(Operation.objects.filter(state=Operation.State.RUNNING))
    for some in rows:
        too_long = some.filter(until__gt=latest)
        if too_long.exists():
            too_long.update(until=Now() + timedelta(seconds=settings.LEASE_SECONDS))


def leave(role: str, owner: str) -> None:
    """Give everything back and be counted no more."""
    Lease.give_back(role, owner)
    Worker.objects.filter(owner=owner).delete()


def clear(role: str) -> None:
    """Forget all leases of a role: only for the embedded program, which knows that it is alone."""
    Lease.objects.filter(role=role).update(owner="", until=None)
    Worker.objects.filter(role=role).delete()
