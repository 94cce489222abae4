"""Verbs on the volumes of a pool."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from typing import Any

import libvirt

from hosts.hypervisor.connection import Connection
from hosts.hypervisor.errors import NotFound
from hosts.hypervisor.records import VolumeRecord
from hosts.hypervisor.storage import volume_record

WIPES = {
    name: getattr(libvirt, f"VIR_STORAGE_VOL_WIPE_ALG_{name.upper()}")
    for name in ("zero", "random", "nnsa", "dod", "bsi", "gutmann", "schneier", "pfitzner7", "pfitzner33", "trim")
}

#: bytes handed to a stream at once
FILL_CHUNK = 65536


class Volumes:
    """The volumes of one pool on a live connection. Long calls are begun with ``begin_…`` and return a Future."""

    def __init__(self, connection: Connection, pool_uuid: str) -> None:
        self.connection = connection
        self.pool_uuid = pool_uuid

    def _begin(self, work: Callable[[libvirt.virStoragePool], Any]) -> Future[Any]:
        return self.connection.submit(lambda raw: work(raw.storagePoolLookupByUUIDString(self.pool_uuid)))

    def _do(self, work: Callable[[libvirt.virStoragePool], Any]) -> Any:
        return self.connection.call(lambda raw: work(raw.storagePoolLookupByUUIDString(self.pool_uuid)))

    def read(self, name: str) -> VolumeRecord:
        """The volume as it is now. Raises NotFound."""
        return volume_record(self._do(lambda pool: pool.storageVolLookupByName(name).XMLDesc(0)))

    def exists(self, name: str) -> bool:
        """Whether there is a volume of that name."""
        try:
            self.read(name)
        except NotFound:
            return False
        return True

    def allocation(self, name: str) -> int:
        """Bytes it takes now."""
        return int(self._do(lambda pool: pool.storageVolLookupByName(name).info()[2]))

    def begin_create(self, definition: str, *, metadata: bool = False) -> Future[Any]:
        """Make one; ``metadata`` lays out the tables of a qcow2 at once, so that it can be allocated whole."""
        flags = libvirt.VIR_STORAGE_VOL_CREATE_PREALLOC_METADATA if metadata else 0
        return self._begin(lambda pool: pool.createXML(definition, flags))

    def begin_clone(self, definition: str, source: str) -> Future[Any]:
        """Copy ``source`` whole into a new one."""
        return self._begin(lambda pool: pool.createXMLFrom(definition, pool.storageVolLookupByName(source), 0))

    def begin_copy(self, definition: str, source_pool: str, source: str) -> Future[Any]:
        """Copy ``source`` of another pool (its UUID), or of this one, whole into a new one."""

        def work(raw: libvirt.virConnect) -> None:
            original = raw.storagePoolLookupByUUIDString(source_pool).storageVolLookupByName(source)
            raw.storagePoolLookupByUUIDString(self.pool_uuid).createXMLFrom(definition, original, 0)

        return self.connection.submit(work)

    def begin_fill(self, name: str, data: bytes) -> Future[Any]:
        """Write ``data``, a few hundred kilobytes, at the beginning of the volume."""
        return self.connection.submit(lambda raw: _fill(raw, self.pool_uuid, name, data))

    def begin_resize(self, name: str, capacity: int, *, shrink: bool = False) -> Future[Any]:
        """Another virtual size, in bytes."""
        flags = libvirt.VIR_STORAGE_VOL_RESIZE_SHRINK if shrink else 0
        return self._begin(lambda pool: pool.storageVolLookupByName(name).resize(capacity, flags))

    def begin_wipe(self, name: str, algorithm: str) -> Future[Any]:
        """Overwrite what is in it."""
        return self._begin(lambda pool: pool.storageVolLookupByName(name).wipePattern(WIPES[algorithm], 0))

    def begin_delete(self, name: str) -> Future[Any]:
        """Delete it."""
        return self._begin(lambda pool: pool.storageVolLookupByName(name).delete(0))

    def begin_refresh_pool(self) -> Future[Any]:
        """Have the pool look again what lies in it."""
        return self._begin(lambda pool: pool.refresh(0))

    def is_being_made(self, name: str) -> bool:
        """Whether libvirtd still writes it; found out by asking to read one byte, which it refuses meanwhile."""
        return bool(self.connection.call(lambda raw: _is_being_made(raw, self.pool_uuid, name)))


def _is_being_made(raw: libvirt.virConnect, pool_uuid: str, name: str) -> bool:
    volume = raw.storagePoolLookupByUUIDString(pool_uuid).storageVolLookupByName(name)
    try:
        stream = raw.newStream(0)
        volume.download(stream, 0, 1, 0)
    except libvirt.libvirtError as error:
        return bool(error.get_error_code() == libvirt.VIR_ERR_OPERATION_INVALID)
    stream.abort()
    return False


def _fill(raw: libvirt.virConnect, pool_uuid: str, name: str, data: bytes) -> None:
    volume = raw.storagePoolLookupByUUIDString(pool_uuid).storageVolLookupByName(name)
    stream = raw.newStream(0)
    try:
        volume.upload(stream, 0, len(data), 0)
        sent = 0
        while sent < len(data):
            count = stream.send(data[sent : sent + FILL_CHUNK])
            if count < 0:
                raise libvirt.libvirtError("virStreamSend() failed")
            sent += count
        stream.finish()
    except libvirt.libvirtError:
        with suppress(libvirt.libvirtError):  # It may be over already.
            stream.abort()
        raise


def named_by(connection: Connection, path: str, pool: str, name: str) -> list[str]:
    """Guests of the host whose definitions, as they run or will start, name the volume: by path, or by pool and name."""
    found: list[str] = connection.call(lambda raw: _named_by(raw, path, pool, name))
    return found


def _named_by(raw: libvirt.virConnect, path: str, pool: str, name: str) -> list[str]:
    found = []
    for domain in raw.listAllDomains(0):
        try:
            texts = [domain.XMLDesc(0)]
            texts += [domain.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE)] if domain.isPersistent() else []
        except libvirt.libvirtError as error:
            if error.get_error_code() != libvirt.VIR_ERR_NO_DOMAIN:
                raise
            continue
        if any(_names(text, path, pool, name) for text in texts):
            found.append(domain.name())
    return found


def _names(text: str, path: str, pool: str, name: str) -> bool:
    tree = ElementTree.fromstring(text)
    for source in tree.iter("source"):
        if path and path in (source.get("file"), source.get("dev"), source.get("name")):
            return True
        if (source.get("pool"), source.get("volume")) == (pool, name):
            return True
    return bool(path) and path in [(element.text or "").strip() for element in tree.findall("os/*")]
