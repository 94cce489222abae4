"""Images that disks and drives are made of: the volumes of pools of the guest's host, and how a disk names one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.db.models import QuerySet
from django.utils.translation import gettext as _

from hosts import fillings
from hosts.models import StorageVolume
from hosts.operations.storage_base import NotNow
from hosts.storage_use import use_of
from vms.definition.devices.disk import FORMATS, Disk
from vms.models import VirtualMachine

#: images that a form offers
MOST = 500


def volumes_of(vm: VirtualMachine) -> QuerySet[StorageVolume]:
    """The volumes that its host has."""
    rows = StorageVolume.objects.filter(
        pool__host=vm.host, pool__active=True, absent_since=None, pool__absent_since=None
    )
    return rows.select_related("pool__host").defer("pool__definition", "pool__host__capabilities")


def source_of(volume: StorageVolume) -> str:
    """How a disk names it: its path on the host, or pool/volume where it has none there."""
    return volume.path if volume.path.startswith("/") else f"{volume.pool.name}/{volume.name}"


def volume_at(vm: VirtualMachine, source: str) -> StorageVolume | None:
    """The volume that a disk means by that word."""
    rows = volumes_of(vm)
    if source.startswith("/"):
        return rows.filter(path=source).first()
    pool, _slash, name = source.partition("/")
    return rows.filter(pool__name=pool, name=name).first()


def is_known(vm: VirtualMachine, source: str) -> bool:
    """Whether it is a volume of a pool of its host."""
    return volume_at(vm, source) is not None


def format_of(volume: StorageVolume | None) -> str:
    """What QEMU reads it as."""
    return volume.format if volume is not None and volume.format in FORMATS and volume.format != "iso" else "raw"


def refuse_used(vm: VirtualMachine, source: str, values: Mapping[str, Any]) -> None:
    """Refuse an image that another disk writes to, or that is not whole. Raises NotNow."""
    volume = volume_at(vm, source)
    if volume is None:
        return
    if why := fillings.why_not_whole(volume):
        raise NotNow("source", why)
    use = use_of([volume])[volume.pk]
    if use.overlays and not values.get("readonly"):
        names = ", ".join(one.name for one in use.overlays)
        raise NotNow("source", _("Other volumes lie on it and would be damaged: %(names)s.") % {"names": names})
    if use.users and not values.get("readonly") and not values.get("shareable"):
        names = ", ".join(dict.fromkeys(user.name for user in use.users))
        raise NotNow(
            "source", _("It is used by %(names)s already. Two that write to it destroy it.") % {"names": names}
        )


def point_at(disk: Disk, source: str) -> None:
    """Let the disk be that image: a path, a device of the host, or pool/volume; '' is an empty drive. Raises InvalidValue."""
    disk.eject()
    if not source:
        disk.type = "file"
    elif source.startswith("/dev/"):
        disk.type = "block"
        disk.source.dev = source
    elif source.startswith("/"):
        disk.type = "file"
        disk.source.file = source
    else:
        disk.type = "volume"
        disk.source.pool, _slash, disk.source.volume = source.partition("/")
