"""Storage pools as facts."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree

import libvirt

from hosts.hypervisor.connection import Connection
from hosts.hypervisor.records import PoolRecord


def read_pools(connection: Connection) -> list[PoolRecord]:
    """All pools of the host; none where the host has no storage driver."""
    return connection.call(_read_pools, seconds=60)


def _read_pools(raw: libvirt.virConnect) -> list[PoolRecord]:
    try:
        pools = raw.listAllStoragePools(0)
    except libvirt.libvirtError as error:
        if error.get_error_code() == libvirt.VIR_ERR_NO_SUPPORT:
            return []
        raise
    return [_record(pool) for pool in pools]


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
