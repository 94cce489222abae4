"""Verbs on one storage pool, and what a host can be asked about pools that are not there yet."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from concurrent.futures import Future
from typing import Any

import libvirt

from hosts.hypervisor.connection import Connection
from hosts.hypervisor.errors import NotFound
from hosts.hypervisor.resource import Resource


class Pool(Resource):
    """A pool on a live connection; how long its calls last is up to its storage."""

    def _find(self, raw: libvirt.virConnect) -> Any:
        return raw.storagePoolLookupByUUIDString(self.uuid)

    def begin_start(self) -> Future[Any]:
        """Mount it, log in, activate it …"""
        return self._begin(lambda pool: pool.create(0))

    def begin_stop(self) -> Future[Any]:
        """The reverse."""
        return self._begin(lambda pool: pool.destroy())

    def begin_refresh(self) -> Future[Any]:
        """Look again what lies in it."""
        return self._begin(lambda pool: pool.refresh(0))

    def begin_build(self) -> Future[Any]:
        """Make the folder, file system or group it lies in; never over something that is there."""
        return self._begin(_build)

    def begin_delete(self) -> Future[Any]:
        """Delete the storage itself."""
        return self._begin(lambda pool: pool.delete(libvirt.VIR_STORAGE_POOL_DELETE_NORMAL))


def _build(pool: libvirt.virStoragePool) -> None:
    kind = ElementTree.fromstring(pool.XMLDesc(0)).get("type", "")
    # The others do not take the flag: they make nothing over something anyway.
    careful = (
        libvirt.VIR_STORAGE_POOL_BUILD_NO_OVERWRITE if kind in ("fs", "disk") else libvirt.VIR_STORAGE_POOL_BUILD_NEW
    )
    pool.build(libvirt.VIR_STORAGE_POOL_BUILD_NO_OVERWRITE if careful else libvirt.VIR_STORAGE_POOL_BUILD_NEW)


def uuid_of(connection: Connection, name: str) -> str:
    """The UUID of the pool of that name. Raises NotFound."""
    return str(connection.call(lambda raw: raw.storagePoolLookupByName(name).UUIDString()))


def define(connection: Connection, definition: str) -> None:
    """Store the definition of a pool."""
    connection.call(lambda raw: raw.storagePoolDefineXML(definition, 0))


def define_secret(connection: Connection, definition: str, value: bytes) -> None:
    """Store a secret with its value."""
    connection.call(lambda raw: raw.secretDefineXML(definition, 0).setValue(value, 0))


def drop_secret(connection: Connection, uuid: str) -> None:
    """Remove a secret; that it is not there is as good."""
    try:
        connection.call(lambda raw: raw.secretLookupByUUIDString(uuid).undefine())
    except NotFound:
        return


def begin_find(connection: Connection, kind: str, spec: str) -> Future[list[dict[str, Any]]]:
    """Sources for pools of that type: lists of {hosts, devices, folder, name, format}."""
    return connection.submit(lambda raw: _sources(raw.findStoragePoolSources(kind, spec, 0)))


def _sources(text: str) -> list[dict[str, Any]]:
    found = []
    for source in ElementTree.fromstring(text).findall("source"):
        folder, form = source.find("dir"), source.find("format")
        found.append(
            {
                "hosts": [host.get("name", "") for host in source.findall("host")],
                "devices": [device.get("path", "") for device in source.findall("device")],
                "folder": folder.get("path", "") if folder is not None else "",
                "name": source.findtext("name") or "",
                "format": form.get("type", "") if form is not None else "",
            }
        )
    return found
