"""Disks of a guest while QEMU has them open: their size, and copying one to another place."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, TypeVar

import libvirt

from hosts.hypervisor.connection import Connection

T = TypeVar("T")
_TYPES = {0: "none", 1: "pull", 2: "copy", 3: "commit", 4: "active-commit", 5: "backup"}


@dataclass(frozen=True, slots=True)
class BlockJob:
    """What QEMU does with a disk; bytes."""

    type: str = "none"
    done: int = 0
    total: int = 0

    @property
    def percent(self) -> float:
        """How far it is."""
        return 100.0 * self.done / self.total if self.total else 0.0


class Blocks:
    """The disks of one domain, each named by its target (``vda``)."""

    def __init__(self, connection: Connection, uuid: str) -> None:
        self.connection = connection
        self.uuid = uuid

    def _do(self, work: Callable[[libvirt.virDomain], T]) -> T:
        return self.connection.call(lambda raw: work(raw.lookupByUUIDString(self.uuid)))

    def _begin(self, work: Callable[[libvirt.virDomain], T]) -> Future[T]:
        return self.connection.submit(lambda raw: work(raw.lookupByUUIDString(self.uuid)))

    def capacity(self, target: str) -> int:
        """The size that the guest sees, in bytes."""
        return int(self._do(lambda domain: domain.blockInfo(target, 0)[0]))

    def begin_resize(self, target: str, capacity: int) -> Future[Any]:
        """Tell the running guest another size, in bytes; its image grows with it."""
        flags = libvirt.VIR_DOMAIN_BLOCK_RESIZE_BYTES
        return self._begin(lambda domain: domain.blockResize(target, capacity, flags))

    def begin_copy(self, target: str, destination: str, bandwidth: int = 0) -> Future[Any]:
        """Begin to mirror a disk into what ``destination`` (a ``<disk>``) names, which must be there already; the job goes on
        after the call. ``bandwidth`` in bytes a second.

        libvirt takes a copy of a guest with a stored definition only as a job that such a definition does not outlast.
        """
        flags = libvirt.VIR_DOMAIN_BLOCK_COPY_REUSE_EXT | libvirt.VIR_DOMAIN_BLOCK_COPY_TRANSIENT_JOB
        params = {libvirt.VIR_DOMAIN_BLOCK_COPY_BANDWIDTH: bandwidth} if bandwidth else {}
        return self._begin(lambda domain: domain.blockCopy(target, destination, params, flags))

    def job(self, target: str) -> BlockJob:
        """What is done with the disk now."""
        found = self._do(lambda domain: domain.blockJobInfo(target, 0))
        if not found:
            return BlockJob()
        kind = _TYPES.get(found["type"], str(found["type"]))
        return BlockJob(kind, int(found["cur"]), int(found["end"]))

    def abort(self, target: str) -> None:
        """End the job; the guest stays on the disk it has."""
        self._do(lambda domain: domain.blockJobAbort(target, 0))

    def begin_pivot(self, target: str) -> Future[Any]:
        """End the copy by having the guest go on with it."""
        flags = libvirt.VIR_DOMAIN_BLOCK_JOB_ABORT_PIVOT
        return self._begin(lambda domain: domain.blockJobAbort(target, flags))


def volume_capacity(connection: Connection, path: str) -> int:
    """The virtual size of the volume at ``path``, in bytes. Raises NotFound when no pool of the host holds it."""
    return int(connection.call(lambda raw: raw.storageVolLookupByPath(path).info()[1]))


def begin_volume_resize(connection: Connection, path: str, capacity: int) -> Future[Any]:
    """Another virtual size for a volume that nobody has open."""
    return connection.submit(lambda raw: raw.storageVolLookupByPath(path).resize(capacity, 0))
