"""Rows of pools and volumes made equal to what was seen. Records are handed in; libvirt is never called here."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

import structlog
from django.db import transaction
from django.db.models import Count, Q
from django.utils import timezone

from hosts import fillings, notify, storage_identity
from hosts.hypervisor.records import PoolReading, PoolRecord, StorageLook, VolumeRecord
from hosts.models import Host, StoragePool, StorageTypes, StorageVolume
from hosts.storage_identity import Contents

log = structlog.get_logger(__name__)

CHUNK = 500
OF_VOLUME = (
    "key", "path", "type", "format", "capacity", "allocation", "backing_path", "backing_format", "encrypted", "modified",
    "trouble",
)  # fmt: skip
#: types whose folder may be the same on several hosts without their source saying so
FOLDERS = ("dir", "fs")


def known_uuids(host_id: int) -> list[str]:
    """The pools that were there at the last look."""
    rows = StoragePool.objects.filter(host_id=host_id, absent_since=None)
    return [str(uuid) for uuid in rows.values_list("uuid", flat=True)]


def storage_seen(host_id: int, look: StorageLook) -> None:
    """Take in one look at the storage of a host."""
    if not Host.objects.filter(pk=host_id).exists():
        return  # It was removed while it was looked at.
    now, changed = timezone.now(), set()
    for reading in look.readings:
        with transaction.atomic():
            if (pk := _take_in(host_id, reading, now)) is not None:
                changed.add(pk)
    if look.complete:
        gone = StoragePool.objects.filter(host_id=host_id, absent_since=None)
        gone = gone.exclude(uuid__in=[reading.uuid for reading in look.readings])
        changed.update(gone.values_list("pk", flat=True))
        gone.update(absent_since=now, active=False)
    if changed:
        recognise(host_id)
        notify.changed(f"host:{host_id}", "resources", *[f"pool:{pk}" for pk in sorted(changed)])


def types_seen(host_id: int, types: dict[str, bool] | None) -> None:
    """Take in for which types of pools the host has a driver."""
    if types is not None and Host.objects.filter(pk=host_id).exists():
        StorageTypes.objects.update_or_create(host_id=host_id, defaults={"types": types})


def pool_gone(host_id: int, uuid: str) -> None:
    """The host does not hold the pool any more."""
    rows = StoragePool.objects.filter(host_id=host_id, uuid=uuid, absent_since=None)
    if rows.update(absent_since=timezone.now(), active=False):
        notify.changed(f"host:{host_id}", "resources")


def _take_in(host_id: int, reading: PoolReading, now: datetime) -> int | None:
    """Write what one pool said; its key when anything changed."""
    row = StoragePool.objects.filter(host_id=host_id, uuid=reading.uuid).first()
    if reading.record is None:
        if row is None or row.trouble == reading.trouble:
            return None
        StoragePool.objects.filter(pk=row.pk).update(trouble=reading.trouble)
        return row.pk
    columns = _columns(reading.record)
    touched = row is None or any(getattr(row, name) != value for name, value in columns.items())
    if row is None:
        row = StoragePool.objects.create(host_id=host_id, uuid=reading.uuid, seen_at=now, **columns)
    elif touched:
        StoragePool.objects.filter(pk=row.pk).update(seen_at=now, **columns)
    else:
        StoragePool.objects.filter(pk=row.pk).update(seen_at=now)
    if reading.volumes is not None:
        StoragePool.objects.filter(pk=row.pk).update(volumes_seen_at=now)
        touched |= _volumes_seen(row.pk, reading.volumes, now)
    return row.pk if touched else None


def _columns(record: PoolRecord) -> dict[str, Any]:
    source = storage_identity.source_of(record.definition)
    return {
        "name": record.name, "active": record.active, "autostart": record.autostart, "persistent": record.persistent,
        "definition": record.definition, "type": record.type, "path": record.path[:500], "capacity": record.capacity,
        "allocation": record.allocation, "available": record.available, "source": source.words, "trouble": "",
        "absent_since": None,
    }  # fmt: skip


def _volumes_seen(pool_id: int, records: list[VolumeRecord], now: datetime) -> bool:
    """Insert, update and mark absent; nothing is deleted. Whether anything changed."""
    known = {row.name: row for row in StorageVolume.objects.filter(pool_id=pool_id)}
    seen = {record.name: record for record in records if _fits(record)}
    new = [_row(pool_id, record, now) for name, record in seen.items() if name not in known]
    changed = [row for name, row in known.items() if name in seen and _update(row, seen[name])]
    for row in changed:
        row.seen_at, row.absent_since = now, None
    StorageVolume.objects.bulk_create(new, batch_size=CHUNK)
    StorageVolume.objects.bulk_update(changed, [*OF_VOLUME, "seen_at", "absent_since"], batch_size=CHUNK)
    present = StorageVolume.objects.filter(pool_id=pool_id, absent_since=None)
    gone = [row.pk for name, row in known.items() if name not in seen and row.absent_since is None]
    for start in range(0, len(gone), CHUNK):
        StorageVolume.objects.filter(pk__in=gone[start : start + CHUNK]).update(absent_since=now)
    if gone:
        away = set(gone)
        fillings.gone([pool_id], [name for name, row in known.items() if row.pk in away])
    present.update(seen_at=now)
    return bool(new or changed or gone)


def _fits(record: VolumeRecord) -> bool:
    if record.name and len(record.name) <= 1000 and len(record.path) <= 2000 and len(record.backing_path) <= 2000:
        return True
    log.warning("a volume's name is too long to be kept", volume=record.name[:200])
    return False


def _row(pool_id: int, record: VolumeRecord, now: datetime) -> StorageVolume:
    facts = {name: getattr(record, name) for name in OF_VOLUME}
    return StorageVolume(pool_id=pool_id, name=record.name, seen_at=now, **facts)


def _update(row: StorageVolume, record: VolumeRecord) -> bool:
    """Put what was seen into the row; whether that changed it."""
    names = OF_VOLUME if not record.trouble else ("trouble",)  # What it was is better than nothing.
    before = [getattr(row, name) for name in names]
    after = [getattr(record, name) for name in names]
    for name, value in zip(names, after, strict=True):
        setattr(row, name, value)
    return before != after or row.absent_since is not None


def recognise(host_id: int) -> None:
    """Say which of the host's pools are storage of other hosts too; what a person said stands."""
    own = StoragePool.objects.filter(host_id=host_id, absent_since=None).exclude(shared_by="person")
    for pool in own:
        key, how = storage_identity.source_of(pool.definition).key, "source"
        if not key and pool.type in FOLDERS and pool.path:
            key, how = _by_volumes(pool), "volumes"
        if (pool.shared_key, pool.shared_by) != (key, how if key else ""):
            StoragePool.objects.filter(pk=pool.pk).update(shared_key=key, shared_by=how if key else "")


def _by_volumes(pool: StoragePool) -> str:
    """The key it shares with a folder of another host that is the same one; '' when there is none."""
    others = StoragePool.objects.filter(path=pool.path, type__in=FOLDERS, absent_since=None)
    others = others.exclude(host_id=pool.host_id).exclude(shared_by__in=["source", "person"])
    mine = contents_of(pool)
    # Most hosts have a folder of that path: only those that may be the same are looked into.
    likely = Q(number=len(mine.sizes)) | (Q(shared_key=pool.shared_key) & ~Q(shared_key=""))
    number = Count("volumes", filter=Q(volumes__absent_since=None))
    for other in others.annotate(number=number).filter(likely).order_by("pk"):
        theirs = contents_of(other)
        as_before = bool(pool.shared_key) and pool.shared_key == other.shared_key
        if storage_identity.same_contents(mine, theirs) or (
            as_before and not storage_identity.contradict(mine, theirs)
        ):
            key = other.shared_key or storage_identity.contents_key(pool.path, mine.sizes)
            StoragePool.objects.filter(pk=other.pk).update(shared_key=key, shared_by="volumes")
            return key
    return ""


def contents_of(pool: StoragePool) -> Contents:
    """What lies in a pool, by its rows."""
    rows: Iterable[tuple[str, int, datetime | None]] = StorageVolume.objects.filter(
        pool=pool, absent_since=None
    ).values_list("name", "capacity", "modified")
    found = list(rows)
    return Contents(pool.path, {n: size for n, size, _at in found}, {n: at for n, _size, at in found})
