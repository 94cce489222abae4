"""Storage for tests: rows as the mirror writes them, and somebody else acting on a host with libvirt alone."""

from __future__ import annotations

import itertools
import uuid
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import libvirt
from django.utils import timezone

from hosts.hypervisor.records import PoolReading, PoolRecord, StorageLook, VolumeRecord
from hosts.models import Host, StorageClaim, StoragePool, StorageVolume
from hosts.operations.kind import InvalidArguments, Refused
from hosts.operations.storage_base import NotNow

NUMBERS = itertools.count(1000)
LONG_AGO = datetime(2026, 1, 31, 12, 0, 0, 123456, UTC)
POOL = "<pool type='dir'><name>{name}</name><target><path>{path}</path></target></pool>"
VOLUME = (
    "<volume><name>{name}</name><capacity unit='bytes'>{size}</capacity><allocation unit='bytes'>0</allocation>"
    "<target><format type='{format}'/></target></volume>"
)
GUEST = (
    "<domain type='test'><name>{name}</name><uuid>{uuid}</uuid><memory unit='MiB'>64</memory><os><type>hvm</type></os>"
    "<devices>{devices}</devices></domain>"
)
DISK = "<disk type='file' device='{device}'><source file='{path}'/><target dev='{target}' bus='scsi'/></disk>"


def unheard(eventually: Callable[..., Any], forget: Callable[[], Any], ask: Callable[[], Any]) -> Any:
    """What ``ask`` returns, asked right after the rows were made to ``forget`` what the mirror has seen.

    Where the mirror looks in this very moment, the rows know again and refuse at once: then once more.
    """

    def asked() -> Any:
        forget()
        with suppress(InvalidArguments, NotNow, Refused):
            return ask()
        return None

    return eventually(asked, what="a moment in which the mirror has not heard")


def make_host(name: str = "kvm1", **columns: Any) -> Host:
    return Host.objects.create(name=name, **{"uri": f"qemu+tcp://{name}/system", "state": "connected"} | columns)


def make_pool(host: Host, name: str = "images", **columns: Any) -> StoragePool:
    facts: dict[str, Any] = {
        "uuid": uuid.UUID(int=next(NUMBERS)), "type": "dir", "path": f"/pools/{name}", "active": True, "capacity": 100 << 30,
        "allocation": 40 << 30, "available": 60 << 30, "seen_at": timezone.now(), "volumes_seen_at": timezone.now(),
        "definition": POOL.format(name=name, path=f"/pools/{name}"),
    }  # fmt: skip
    return StoragePool.objects.create(host=host, name=name, **facts | columns)


def make_volume(pool: StoragePool, name: str, **columns: Any) -> StorageVolume:
    facts: dict[str, Any] = {
        "path": f"{pool.path}/{name}", "key": f"{pool.path}/{name}", "type": "file", "format": "qcow2", "capacity": 10 << 30,
        "allocation": 1 << 30, "seen_at": timezone.now(), "modified": LONG_AGO,
    }  # fmt: skip
    return StorageVolume.objects.create(pool=pool, name=name, **facts | columns)


def make_claim(host: Host, owner_name: str, path: str = "", **columns: Any) -> StorageClaim:
    facts = {"owner": uuid.UUID(int=next(NUMBERS)), "device": "disk", "target": "vda"} | columns
    return StorageClaim.objects.create(host=host, owner_name=owner_name, path=path, **facts)


def volume_seen(name: str, folder: str = "/pools/shared", **facts: Any) -> VolumeRecord:
    whole = {"path": f"{folder}/{name}", "type": "file", "format": "qcow2", "capacity": 1 << 30, "modified": LONG_AGO}
    return VolumeRecord(name=name, **whole | facts)


def pool_seen(*volumes: VolumeRecord, name: str = "shared", definition: str = "", **facts: Any) -> PoolReading:
    path = facts.pop("path", f"/pools/{name}")
    whole: dict[str, Any] = {
        "uuid": str(uuid.uuid5(uuid.NAMESPACE_URL, name)), "type": "dir", "active": True, "autostart": True,
        "persistent": True, "capacity": 100 << 30, "allocation": 1 << 30, "available": 99 << 30, "path": path,
        "definition": definition or POOL.format(name=name, path=path),
    }  # fmt: skip
    record = PoolRecord(name=name, **whole | facts)
    return PoolReading(record.uuid, record, list(volumes) if record.active else None)


def look(*readings: PoolReading, complete: bool = True) -> StorageLook:
    return StorageLook(list(readings), complete)


class Elsewhere:
    """Somebody else acting on the host."""

    def __init__(self, uri: str) -> None:
        self.raw = libvirt.open(uri)

    def pool(self, name: str = "default-pool") -> Any:
        return self.raw.storagePoolLookupByName(name)

    def define_pool(self, name: str) -> Any:
        pool = self.raw.storagePoolDefineXML(POOL.format(name=name, path=f"/{name}"))
        pool.create()
        return pool

    def make_volume(self, name: str, pool: str = "default-pool", size: int = 1 << 20, form: str = "qcow2") -> Any:
        return self.pool(pool).createXML(VOLUME.format(name=name, size=size, format=form))

    def volumes(self, pool: str = "default-pool") -> list[str]:
        return sorted(volume.name() for volume in self.pool(pool).listAllVolumes())

    def define_guest(self, name: str, *paths: str) -> str:
        identity = str(uuid.uuid4())
        disks = [DISK.format(device="disk", path=path, target=f"sd{'abcdef'[n]}") for n, path in enumerate(paths)]
        self.raw.defineXML(GUEST.format(name=name, uuid=identity, devices="".join(disks)))
        return identity
