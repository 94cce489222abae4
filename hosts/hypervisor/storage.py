"""Storage pools and volumes as facts, read so that a pool that hangs (a dead NFS server) stops nothing but itself."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeout
from datetime import UTC, datetime
from functools import partial
from typing import Any, TypeVar

import libvirt

from hosts.hypervisor import errors
from hosts.hypervisor.connection import Connection
from hosts.hypervisor.records import PoolReading, PoolRecord, StorageLook, VolumeRecord
from hosts.hypervisor.sentences import say
from hosts.hypervisor.translate import translate

T = TypeVar("T")
#: volumes described in one call on the worker thread; each chunk has a deadline of its own
CHUNK = 100
#: seconds for one look at a pool, or at one chunk of its volumes
POOL_SECONDS = 10.0


class _Hangs(Exception):
    """A call has not come back within its deadline."""


class StorageReader:
    """Reads the storage of one host over a connection of its own.

    libvirtd keeps a pool locked while it works on it: whoever asks for that pool, or for the list of all, then waits. Such a
    call is left to itself, its connection is given up for another, and the pool is not asked for again before it has ended.
    """

    def __init__(self, connect: Callable[[], Connection], seconds: float = POOL_SECONDS) -> None:
        self._connect = connect
        self._seconds = seconds
        self._connection: Connection | None = None
        self._hanging: dict[str, Future[Any]] = {}

    def read(self, known: Iterable[str], only: Iterable[str] = ()) -> StorageLook:
        """All pools, or those of the UUIDs ``only``. ``known`` are asked for one by one while the list cannot be had.

        Raises Unreachable and its kin when the host cannot be asked at all.
        """
        complete, wanted = False, list(only)
        if not wanted:
            try:
                wanted, complete = self._within("", _uuids), True
            except _Hangs:
                wanted = list(known)
        # Those that hung last time come last, so that the others do not wait for them.
        readings = [self._read_one(uuid) for uuid in sorted(wanted, key=self._hanging.__contains__)]
        return StorageLook([reading for reading in readings if reading is not None], complete)

    def types(self) -> dict[str, bool] | None:
        """Pool type → whether the host has the driver for it; None where the host cannot tell."""
        try:
            return self._within("types", _types)
        except _Hangs:
            return None

    def close(self) -> None:
        """Give the connection up; the reader may be used again."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _read_one(self, uuid: str) -> PoolReading | None:
        try:
            record = self._within(uuid, lambda raw: _record(raw.storagePoolLookupByUUIDString(uuid)))
            if not record.active:
                return PoolReading(uuid, record)
            names = self._within(uuid, partial(_names, uuid=uuid))
            volumes: list[VolumeRecord] = []
            for start in range(0, len(names), CHUNK):
                volumes += self._within(uuid, partial(_volumes, uuid=uuid, names=names[start : start + CHUNK]))
            return PoolReading(uuid, record, volumes)
        except _Hangs:
            trouble = say(
                "The pool does not answer: libvirtd has been busy with it for more than %(s)g s.", s=self._seconds
            )
            return PoolReading(uuid, trouble=trouble)
        except errors.NotFound:
            return None
        except errors.Unreachable:
            raise
        except errors.HypervisorError as error:
            return PoolReading(uuid, trouble=str(error))

    def _within(self, key: str, work: Callable[[libvirt.virConnect], T]) -> T:
        """Run ``work`` with a deadline that does not count against the host; raises _Hangs."""
        before = self._hanging.get(key)
        if before is not None:
            if not before.done():
                raise _Hangs
            del self._hanging[key]
        if self._connection is None or not self._connection.is_alive:
            self.close()
            self._connection = self._connect()
        connection = self._connection
        future = connection.submit(work)
        try:
            future.result(self._seconds)
        except FutureTimeout:
            if not future.done():
                self._hanging[key] = future
                self.close()
                raise _Hangs from None
        except (libvirt.libvirtError, errors.HypervisorError):
            pass  # Told in our words below.
        return connection.outcome(future)


def _uuids(raw: libvirt.virConnect) -> list[str]:
    try:
        return [pool.UUIDString() for pool in raw.listAllStoragePools(0)]
    except libvirt.libvirtError as error:
        if error.get_error_code() == libvirt.VIR_ERR_NO_SUPPORT:
            return []
        raise


def _types(raw: libvirt.virConnect) -> dict[str, bool] | None:
    try:
        tree = ElementTree.fromstring(raw.getStoragePoolCapabilities(0))
    except libvirt.libvirtError as error:
        if error.get_error_code() == libvirt.VIR_ERR_NO_SUPPORT:
            return None
        raise
    return {pool.get("type", ""): pool.get("supported") == "yes" for pool in tree.findall("pool")}


def _record(pool: libvirt.virStoragePool) -> PoolRecord:
    definition = pool.XMLDesc(0)
    tree = ElementTree.fromstring(definition)
    _state, capacity, allocation, available = pool.info()
    return PoolRecord(
        uuid=pool.UUIDString(),
        name=pool.name(),
        type=tree.get("type", ""),
        active=bool(pool.isActive()),
        autostart=bool(pool.autostart()),
        persistent=bool(pool.isPersistent()),
        capacity=capacity,
        allocation=allocation,
        available=available,
        path=tree.findtext("target/path") or "",
        definition=definition,
    )


def _names(raw: libvirt.virConnect, uuid: str) -> list[str]:
    return [volume.name() for volume in raw.storagePoolLookupByUUIDString(uuid).listAllVolumes(0)]


def _volumes(raw: libvirt.virConnect, uuid: str, names: list[str]) -> list[VolumeRecord]:
    pool = raw.storagePoolLookupByUUIDString(uuid)
    found = []
    for name in names:
        try:
            found.append(volume_record(pool.storageVolLookupByName(name).XMLDesc(0)))
        except libvirt.libvirtError as error:
            # It went meanwhile, or cannot be read (a broken image): the others are told all the same.
            ours = translate(error)
            if isinstance(ours, errors.Unreachable):
                raise
            if not isinstance(ours, errors.NotFound):
                found.append(VolumeRecord(name=name, trouble=str(ours)))
    return found


def volume_record(definition: str) -> VolumeRecord:
    """A volume from its XML."""
    tree = ElementTree.fromstring(definition)
    return VolumeRecord(
        name=tree.findtext("name") or "",
        key=tree.findtext("key") or "",
        path=tree.findtext("target/path") or "",
        type=tree.get("type", "file"),
        format=_attribute(tree, "target/format", "type"),
        capacity=_number(tree.findtext("capacity")),
        allocation=_number(tree.findtext("allocation")),
        backing_path=tree.findtext("backingStore/path") or "",
        backing_format=_attribute(tree, "backingStore/format", "type"),
        encrypted=tree.find("target/encryption") is not None,
        modified=_moment(tree.findtext("target/timestamps/mtime")),
    )


def _attribute(tree: ElementTree.Element, place: str, name: str) -> str:
    found = tree.find(place)
    return found.get(name, "") if found is not None else ""


def _number(text: str | None) -> int:
    """Bytes: what libvirt prints has that unit."""
    return int(text) if text and text.isdecimal() else 0


def _moment(text: str | None) -> datetime | None:
    """``seconds.nanoseconds`` since 1970; libvirt leaves them out where there are none."""
    try:
        return datetime.fromtimestamp(float(text), UTC) if text else None
    except (ValueError, OverflowError, OSError):
        return None
