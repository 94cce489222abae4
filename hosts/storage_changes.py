"""What people say of storage that no host knows: which pools are the same, and which rows of what is gone may go. Rows only."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.models import AnonymousUser
from django.db import transaction
from django.utils.translation import gettext as _

from hosts import access, audit, notify, storage_inventory
from hosts.audit import Actor
from hosts.models import StoragePool, StorageVolume
from hosts.operations.kind import Refused
from hosts.storage_identity import said_key

VERB = "pool.manage"


def say_same(pool: StoragePool, other: StoragePool, actor: Actor) -> None:
    """The two are the same storage. Raises access.Denied, or Refused when that cannot be."""
    _require(actor)
    if pool.host_id == other.host_id:
        raise Refused(_("Both are pools of one host; only pools of different hosts can be the same storage."))
    with transaction.atomic():
        key = other.shared_key or said_key(f"{other.host.name}/{other.name}")
        if not other.shared_key:
            StoragePool.objects.filter(pk=other.pk).update(shared_key=key, shared_by="person")
        StoragePool.objects.filter(pk=pool.pk).update(shared_key=key, shared_by="person")
        _record(actor, "pool.same", pool, same_as=f"{other.host.name}/{other.name}")
        notify.changed(f"pool:{other.pk}")


def say_alone(pool: StoragePool, actor: Actor) -> None:
    """It is this host's alone, whatever it looks like. Raises access.Denied."""
    _require(actor)
    with transaction.atomic():
        StoragePool.objects.filter(pk=pool.pk).update(shared_key="", shared_by="person")
        _record(actor, "pool.alone", pool)


def say_nothing(pool: StoragePool, actor: Actor) -> None:
    """Let kvmdash tell by itself again. Raises access.Denied."""
    _require(actor)
    with transaction.atomic():
        StoragePool.objects.filter(pk=pool.pk).update(shared_key="", shared_by="")
        storage_inventory.recognise(pool.host_id)
        _record(actor, "pool.recognise", pool)


def forget_gone(pool: StoragePool, actor: Actor) -> int:
    """Remove the rows of its volumes that are gone, or its own when it is gone itself; how many. Raises access.Denied."""
    _require(actor)
    with transaction.atomic():
        gone = StorageVolume.objects.filter(pool=pool).exclude(absent_since=None)
        number = gone.count()
        gone.delete()
        if pool.absent_since is not None:
            StoragePool.objects.filter(pk=pool.pk).exclude(absent_since=None).delete()
            number += 1
        _record(actor, "pool.forget", pool, number=number)
    return number


def _record(actor: Actor, action: str, pool: StoragePool, **details: Any) -> None:
    audit.record(actor, action, f"{pool.host.name}/{pool.name}", **details)
    notify.changed(f"host:{pool.host_id}", "resources", f"pool:{pool.pk}")


def _require(actor: Actor) -> None:
    access.require(actor.user or AnonymousUser(), VERB)
