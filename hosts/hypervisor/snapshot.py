"""Snapshots of one guest: taken, gone back to, merged away, described."""

from __future__ import annotations

from concurrent.futures import Future

import libvirt

from hosts.hypervisor.connection import Connection
from hosts.hypervisor.records import SnapshotRecord


def read_snapshots(domain: libvirt.virDomain) -> tuple[SnapshotRecord, ...]:
    """All snapshots of a domain, as libvirt keeps them; none where the driver knows no snapshots."""
    try:
        found = domain.listAllSnapshots(0)
    except libvirt.libvirtError as error:
        if error.get_error_code() == libvirt.VIR_ERR_NO_SUPPORT:
            return ()
        raise
    records = [SnapshotRecord(s.getName(), bool(s.isCurrent(0)), s.getXMLDesc(0)) for s in found]
    return tuple(sorted(records, key=lambda record: record.name))


def take(connection: Connection, uuid: str, xml: str, *, disk_only: bool, quiesce: bool, live: bool) -> Future[object]:
    """Begin to take one: all disks or none (atomic). ``live``: the guest runs on while its memory is written."""
    flags = libvirt.VIR_DOMAIN_SNAPSHOT_CREATE_ATOMIC
    flags |= libvirt.VIR_DOMAIN_SNAPSHOT_CREATE_DISK_ONLY if disk_only else 0
    flags |= libvirt.VIR_DOMAIN_SNAPSHOT_CREATE_QUIESCE if quiesce else 0
    flags |= libvirt.VIR_DOMAIN_SNAPSHOT_CREATE_LIVE if live else 0
    return connection.submit(lambda raw: raw.lookupByUUIDString(uuid).snapshotCreateXML(xml, flags))


def revert(connection: Connection, uuid: str, name: str) -> Future[object]:
    """Begin to go back to one."""

    def work(raw: libvirt.virConnect) -> object:
        domain = raw.lookupByUUIDString(uuid)
        return domain.revertToSnapshot(domain.snapshotLookupByName(name, 0), 0)

    return connection.submit(work)


def delete(connection: Connection, uuid: str, name: str, *, children: bool) -> Future[object]:
    """Begin to delete one; what it holds is merged into what stands on it. ``children``: with all that stand on it."""
    flags = libvirt.VIR_DOMAIN_SNAPSHOT_DELETE_CHILDREN if children else 0
    return connection.submit(
        lambda raw: raw.lookupByUUIDString(uuid).snapshotLookupByName(name, 0).delete(flags),
    )


def definition(connection: Connection, uuid: str, name: str) -> tuple[str, bool]:
    """A snapshot's XML with all that redefining it needs, and whether it is the current one. Raises NotFound."""

    def work(raw: libvirt.virConnect) -> tuple[str, bool]:
        snapshot = raw.lookupByUUIDString(uuid).snapshotLookupByName(name, 0)
        return snapshot.getXMLDesc(libvirt.VIR_DOMAIN_SNAPSHOT_XML_SECURE), bool(snapshot.isCurrent(0))

    return connection.call(work)


def redefine(connection: Connection, uuid: str, xml: str, *, current: bool) -> None:
    """Keep another text for a snapshot that exists; its data is not touched."""
    flags = libvirt.VIR_DOMAIN_SNAPSHOT_CREATE_REDEFINE
    flags |= libvirt.VIR_DOMAIN_SNAPSHOT_CREATE_CURRENT if current else 0
    connection.call(lambda raw: raw.lookupByUUIDString(uuid).snapshotCreateXML(xml, flags))


def names(connection: Connection, uuid: str) -> set[str]:
    """The names of all snapshots of a guest."""
    return set(connection.call(lambda raw: raw.lookupByUUIDString(uuid).snapshotListNames(0)))
