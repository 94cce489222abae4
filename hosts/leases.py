"""Sharing the hosts out among the processes of one role."""

from __future__ import annotations

import os
import secrets
import socket

from django.conf import settings
from django.db.models import Count
from django.db.models.functions import Now

from hosts.models import Host, Lease


def new_owner() -> str:
    """A name for this process that no other has had."""
    return f"{socket.gethostname()[:60]}:{os.getpid()}:{secrets.token_hex(4)}"


def _ensure_rows(role: str) -> None:
    missing = Host.objects.exclude(leases__role=role).values_list("pk", flat=True)
    Lease.objects.bulk_create([Lease(host_id=pk, role=role) for pk in missing], ignore_conflicts=True)


def share(role: str, owner: str) -> set[int]:
    """Renew what we hold, take what is free up to a fair share, give back what is too much. Returns the hosts held."""
    _ensure_rows(role)
    enabled = Lease.objects.filter(role=role, host__enabled=True)
    mine = set(enabled.filter(owner=owner).values_list("host_id", flat=True))
    held = {pk for pk in mine if Lease.take(pk, role, owner, settings.LEASE_SECONDS)}
    others = (
        enabled.filter(until__gt=Now()).exclude(owner__in=["", owner]).values("owner").annotate(n=Count("id")).count()
    )
    fair = -(-enabled.count() // (others + 1))
    for pk in _free(role, owner):
        if len(held) >= fair and others:
            break
        if Lease.take(pk, role, owner, settings.LEASE_SECONDS):
            held.add(pk)
    if others:
        held -= _give_back_surplus(role, owner, held, fair)
    return held


def _free(role: str, owner: str) -> list[int]:
    taken = Lease.objects.filter(role=role, until__gt=Now()).exclude(owner="").values("host_id")
    return list(
        Lease.objects.filter(role=role, host__enabled=True)
        .exclude(host_id__in=taken)
        .order_by("host_id")
        .values_list("host_id", flat=True)
    )


def _give_back_surplus(role: str, owner: str, held: set[int], fair: int) -> set[int]:
    """A process that has just joined has none: those with more than their share let some go."""
    newcomers = _hungry(role, owner)
    surplus = sorted(held)[fair:] if newcomers else []
    if surplus:
        Lease.give_back(role, owner, surplus)
    return set(surplus)


def _hungry(role: str, owner: str) -> bool:
    """Whether nothing is free, so that a newcomer could only get what we let go."""
    return not _free(role, owner)


def clear(role: str) -> None:
    """Forget all leases of a role: only for the embedded program, which knows that it is alone."""
    Lease.objects.filter(role=role).update(owner="", until=None)
