"""Rows that a new guest is made from or in: pools, volumes, images of CDs; each with the reason against it, by field."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.db.models import QuerySet
from django.utils.translation import gettext as _

from hosts import fillings
from hosts.models import Host, StoragePool, StorageVolume
from hosts.operations.storage_base import NotNow, told
from hosts.storage_use import use_of
from vms.creation.domain import Drive
from vms.creation.plan import DEVICES, FILES, SEED_BYTES, NewVolume
from vms.deleting import SEED

#: images that a guest can run on as they are
RUNS = ("qcow2", "raw", "vmdk", "vdi", "vpc", "qed")


def present(host: Host) -> QuerySet[StorageVolume]:
    """What lies in the host's pools that are on."""
    rows = StorageVolume.objects.filter(pool__host=host, absent_since=None, pool__absent_since=None, pool__active=True)
    return rows.select_related("pool__host").defer("pool__definition", "pool__host__capabilities")


def pool_for(host: Host, arguments: Mapping[str, Any]) -> StoragePool:
    """The pool that was chosen. Raises NotNow."""
    name = arguments.get("pool") or ""
    if not name:
        raise NotNow("pool", _("In which pool?"))
    pool = StoragePool.objects.filter(host=host, name=name, absent_since=None).select_related("host").first()
    if pool is None:
        raise NotNow("pool", _("%(host)s has no pool %(name)s.") % {"host": host.name, "name": name[:100]})
    require_pool(pool)
    return pool


def require_pool(pool: StoragePool) -> None:
    """Raises NotNow for one in which libvirt makes no disks now."""
    if not pool.active:
        raise NotNow("pool", _("The pool %(name)s is off.") % {"name": pool.name})
    if pool.type not in (*FILES, *DEVICES):
        raise NotNow("pool", _("Disks of new guests are not made in pools of type %(type)s.") % {"type": pool.type})


def seed_volume(pool: StoragePool, name: str) -> NewVolume:
    """What holds the seed of the guest of that name."""
    return NewVolume("seed", pool, f"{name}{SEED}", SEED_BYTES, "raw", "upload")


def seed_drive(bus: str, cd_bus: str, volume: NewVolume) -> Drive:
    """How the guest sees its seed. On virtio as a disk that is only read: kernels of cloud images often lack drivers for CDs."""
    block = volume.pool.type in DEVICES
    if bus == "virtio":
        return Drive("", "raw", "disk", "virtio", block, readonly=True)
    return Drive("", "raw", "cdrom", "scsi" if bus == "scsi" else cd_bus, block)


def find_volume(host: Host, named: str, field_name: str) -> StorageVolume:
    """The volume pool/name of the host. Raises NotNow."""
    pool, _slash, name = named.partition("/")
    row: StorageVolume | None = present(host).filter(pool__name=pool, name=name).first()
    if row is None:
        raise NotNow(field_name, _("%(host)s has no volume %(name)s.") % {"host": host.name, "name": named[:200]})
    if row.trouble:
        raise NotNow(field_name, _("%(name)s cannot be read: %(why)s") % {"name": named, "why": row.trouble})
    if why := fillings.why_not_whole(row):
        raise NotNow(field_name, why)
    return row


def require_image(row: StorageVolume) -> None:
    """Raises NotNow for what is no disk."""
    if row.encrypted:
        raise NotNow("image", _("%(name)s is encrypted.") % {"name": row.name})
    if row.format not in RUNS and row.pool.type not in DEVICES:
        raise NotNow(
            "image",
            _("%(name)s is no disk image: libvirt found “%(format)s”.") % {"name": row.name, "format": row.format},
        )


def refuse_used(row: StorageVolume) -> None:
    """What is taken as it is must be nobody else's."""
    use = use_of([row])[row.pk]
    if use.users or use.overlays:
        raise NotNow(
            "image", _("It is used by %(names)s; have it copied into a pool instead.") % {"names": told(use.names)}
        )


def refuse_written(row: StorageVolume, how: str) -> None:
    """What is copied must hold still meanwhile; what others lie on, for ever."""
    users = [user for user in use_of([row])[row.pk].users if not user.readonly]
    names = list(dict.fromkeys(user.name for user in users if how == "link" or user.active))
    if names:
        raise NotNow("image", _("It is written to by %(names)s.") % {"names": told(names)})


def cd(row: StorageVolume, field_name: str, bus: str) -> Drive:
    """The image in a CD drive. Raises NotNow for what is none."""
    if row.format != "iso":
        raise NotNow(
            field_name,
            _("%(name)s is no image of a CD: libvirt found “%(format)s” in it.")
            % {"name": row.name, "format": row.format},
        )
    return Drive(row.path, "raw", "cdrom", bus, row.pool.type in DEVICES)


def file_name(name: str, more: str, form: str) -> str:
    """What a guest's disk is called in its pool."""
    return f"{name}{more}.{form}"
