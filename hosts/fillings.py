"""How far volumes that are being filled have come: the rows, changed only by whoever holds them. libvirt is never called here."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from uuid import UUID

from django.db.models import Exists, F, OuterRef, Q, QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _

from hosts.models import Filling, Host, Operation, StorageClaim, StoragePool, StorageVolume

State = Filling.State


class Lost(Exception):
    """The filling is not this process's any more: it was given up, ended, or another goes on with it."""


def take(pk: UUID, holder: str) -> Filling:
    """The filling, held by ``holder`` from now on: what another had under way counts as far as it was confirmed. Raises Lost."""
    mine = Filling.objects.filter(pk=pk, state=State.OPEN)
    before = mine.values_list("holder", flat=True).first()
    mine.exclude(holder=holder).update(holder=holder, offset=F("confirmed"))
    row = mine.filter(holder=holder).select_related("pool__host", "operation").first()
    if row is None:
        raise Lost
    row.was_another = before not in ("", holder)
    return row


def is_at(pk: UUID, holder: str, offset: int) -> bool:
    """Whether ``holder`` still has it, and knows best where it stands."""
    return Filling.objects.filter(pk=pk, state=State.OPEN, holder=holder, offset=offset).exists()


def write(pk: UUID, holder: str, columns: dict[str, Any]) -> None:
    """Note where it stands. Raises Lost."""
    if not Filling.objects.filter(pk=pk, holder=holder, state=State.OPEN).update(moved_at=timezone.now(), **columns):
        raise Lost


def set_by_operation(operation: Operation, **columns: Any) -> None:
    """Its operation says how it stands, whoever holds it."""
    Filling.objects.filter(operation=operation).exclude(state=State.ENDED).update(**columns)


def mark(operation: Operation, pool: StoragePool, name: str) -> None:
    """The volume is filled by the operation itself, by nobody's bytes from outside: until it is, nobody is given it."""
    gone([pool], [name])
    columns = {"pool": pool, "name": name, "state": State.ENDED, "partial": True}
    Filling.objects.update_or_create(operation=operation, defaults=columns)


def gone(pools: Iterable[StoragePool | int], names: Iterable[str]) -> None:
    """These volumes are not there any more: another of the same name is none of ours."""
    left = Filling.objects.filter(pool__in=list(pools), name__in=list(names), state=State.ENDED, partial=True)
    left.update(partial=False)


def partial(*, under_way: bool = False) -> Exists:
    """Whether the outer volume is not whole; ``under_way``: and that it still is being filled."""
    rows = Filling.objects.filter(partial=True, name=OuterRef("name"))
    if under_way:
        rows = rows.filter(operation__state__in=Operation.ACTIVE)
    shared = Q(pool__shared_key=OuterRef("pool__shared_key")) & ~Q(pool__shared_key="")
    return Exists(rows.filter(Q(pool=OuterRef("pool")) | shared))


def whole_only(volumes: QuerySet[StorageVolume]) -> QuerySet[StorageVolume]:
    """Those that are not being filled and were not left half filled."""
    return volumes.exclude(partial())


def partial_among(volumes: Iterable[StorageVolume]) -> set[int]:
    """Keys of those that are not whole."""
    rows = StorageVolume.objects.filter(partial(), pk__in=[volume.pk for volume in volumes])
    return set(rows.values_list("pk", flat=True))


def of_volume(volume: StorageVolume) -> Filling | None:
    """Why the volume is not whole; None when it is."""
    place = Q(pool=volume.pool)
    if volume.pool.shared_key:
        place |= Q(pool__shared_key=volume.pool.shared_key)
    return Filling.objects.filter(place, name=volume.name, partial=True).select_related("operation").first()


def why_not_whole(volume: StorageVolume) -> str:
    """A sentence for whoever wants to use it; '' when it is whole."""
    filling = of_volume(volume)
    if filling is None:
        return ""
    if filling.operation.is_active:
        return _("%(name)s is not whole yet: it is still being filled.") % {"name": volume.name}
    return _("%(name)s is not whole: what filled it was given up. Delete it.") % {"name": volume.name}


def not_whole_of(owner: UUID | None, host: Host | None) -> str:
    """The same for what a guest's definition on the host names: '' when none of it is half filled."""
    if owner is None:
        return ""
    claims = StorageClaim.objects.filter(owner=owner, host=host)
    by_path = claims.filter(path=OuterRef("path")).exclude(path="")
    by_name = claims.filter(pool_name=OuterRef("pool__name"), volume_name=OuterRef("name"))
    rows = StorageVolume.objects.filter(
        Exists(by_path) | Exists(by_name), partial(), pool__host=host, absent_since=None
    )
    first = rows.select_related("pool").first()
    return why_not_whole(first) if first is not None else ""
