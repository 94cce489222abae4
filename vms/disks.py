"""The disks of a guest as its rows tell them, the volumes they lie on, and where they could go. Rows only."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from hosts.models import Operation, StoragePool, StorageVolume
from hosts.operations.volume_base import lock_of_volume
from hosts.storage_types import type_of
from vms.models import VirtualMachine

Disk = dict[str, Any]
#: types of pools whose volumes have a path that a guest can be given
DEVICES = ("logical", "disk", "zfs", "iscsi", "scsi", "mpath")


def find(vm: VirtualMachine, target: str) -> Disk | None:
    """The disk of that target."""
    return next((disk for disk in vm.disks if disk["target"] == target), None)


def volume_of(vm: VirtualMachine, source: str) -> StorageVolume | None:
    """The volume of the guest's host that a disk's ``source`` names: by its path, or as ``pool/volume``."""
    rows = StorageVolume.objects.filter(pool__host=vm.host, absent_since=None, pool__absent_since=None)
    rows = rows.select_related("pool__host").defer("pool__definition", "pool__host__capabilities")
    pool, slash, name = source.partition("/")
    found = rows.filter(path=source).first()
    return found or (rows.filter(pool__name=pool, name=name).first() if pool and slash else None)


def takes_copies(pool: StoragePool) -> bool:
    """Whether a disk can be copied into a new volume of that pool."""
    return bool(type_of(pool.type).creates) and pool.type not in ("rbd", "gluster")


def pools_for(vm: VirtualMachine) -> list[StoragePool]:
    """The pools of its host that a disk can go to, by name."""
    rows = StoragePool.objects.filter(host=vm.host, absent_since=None, active=True).defer("definition")
    return [pool for pool in rows.order_by("name") if takes_copies(pool)]


def is_device(pool: StoragePool) -> bool:
    """Whether its volumes are block devices, not files."""
    return pool.type in DEVICES


def formats_of(pool: StoragePool) -> tuple[str, ...]:
    """Formats in which a volume can be made there."""
    return type_of(pool.type).creates


def free_name(vm: VirtualMachine, pool: StoragePool, target: str, form: str) -> str:
    """A name for a copy of a disk that no volume of the pool has."""
    end = "" if is_device(pool) else f".{'img' if form == 'raw' else form}"
    taken = set(StorageVolume.objects.filter(pool=pool, absent_since=None).values_list("name", flat=True))
    stem = "".join(letter if letter.isalnum() or letter in "._-" else "-" for letter in vm.name)[:100]
    return next(name for name in _names(f"{stem}-{target}", end) if name not in taken)


def _names(stem: str, end: str) -> Iterable[str]:
    yield stem + end
    number = 2
    while True:
        yield f"{stem}-{number}{end}"
        number += 1


def is_busy(pool: StoragePool, name: str) -> bool:
    """Whether a volume of that name is being made or changed."""
    return Operation.objects.filter(subject_uuid=lock_of_volume(pool, name), state__in=Operation.ACTIVE).exists()
