"""Sharing the hosts out among the processes of one role."""

from __future__ import annotations

import os
import secrets
import socket

from django.conf import settings
from django.db.models import QuerySet
from django.db.models.functions import Now

from hosts.models import Host, Lease, Worker


def new_owner() -> str:
    """A name for this process that no other has had."""
    return f"{socket.gethostname()[:60]}:{os.getpid()}:{secrets.token_hex(4)}"


def share(role: str, owner: str) -> set[int]:
    """Renew what we hold, take what is free up to a fair share, give back what is too much. Returns the hosts held."""
    _ensure_rows(role)
    workers = Worker.report(role, owner, settings.LEASE_SECONDS)
    leases = _leases(role)
    fair = -(-leases.count() // workers)
    mine = leases.filter(owner=owner).order_by("host_id").values_list("host_id", flat=True)
    held = {pk for pk in mine if Lease.take(pk, role, owner, settings.LEASE_SECONDS)}
    for pk in _free(leases):
        if len(held) < fair and Lease.take(pk, role, owner, settings.LEASE_SECONDS):
            held.add(pk)
    surplus = sorted(held)[fair:]
    if surplus:
        Lease.give_back(role, owner, surplus)
    return held - set(surplus)


def _leases(role: str) -> QuerySet[Lease]:
    """Disabled hosts are not mirrored, but may be acted on: testing one is how it becomes enabled."""
    leases = Lease.objects.filter(role=role)
    return leases.filter(host__enabled=True) if role == Lease.Role.INVENTORY else leases


def _ensure_rows(role: str) -> None:
    known = Lease.objects.filter(role=role).values("host_id")
    missing = Host.objects.exclude(pk__in=known).values_list("pk", flat=True)
    Lease.objects.bulk_create([Lease(host_id=pk, role=role) for pk in missing], ignore_conflicts=True)


def _free(leases: QuerySet[Lease]) -> list[int]:
    taken = leases.filter(until__gt=Now()).exclude(owner="").values("pk")
    return list(leases.exclude(pk__in=taken).order_by("host_id").values_list("host_id", flat=True))


def leave(role: str, owner: str) -> None:
    """Give everything back and be counted no more."""
    Lease.give_back(role, owner)
    Worker.objects.filter(owner=owner).delete()


def clear(role: str) -> None:
    """Forget all leases of a role: only for the embedded program, which knows that it is alone."""
    Lease.objects.filter(role=role).update(owner="", until=None)
    Worker.objects.filter(role=role).delete()
