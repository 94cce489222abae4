"""Live migration, as libvirt does it: started, followed, steered, and found again afterwards."""

from __future__ import annotations

from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

import libvirt

from hosts.hypervisor import errors
from hosts.hypervisor.connection import Connection
from hosts.hypervisor.guest import Guest

UNSAFE_CODE = getattr(libvirt, "VIR_ERR_MIGRATE_UNSAFE", 81)
ABORTED_CODE = getattr(libvirt, "VIR_ERR_OPERATION_ABORTED", 78)
# What libvirt itself sets when nobody limits: the most bytes a second that fit 63 bits, in MiB.
NO_LIMIT = (2**63 - 1) // 2**20


@dataclass(frozen=True, slots=True)
class Plan:
    """How to move. ``bandwidth`` is MiB a second (libvirt's unit), 0 for no limit."""

    copy_storage: bool = False
    persist: bool = True
    undefine_source: bool = True
    unsafe: bool = False
    auto_converge: bool = False
    bandwidth: int = 0

    def flags(self, *, peer_to_peer: bool, persistent: bool) -> int:
        """virDomainMigrateFlags; a transient guest has no definition to leave behind or to make persistent by itself."""
        flags: int = libvirt.VIR_MIGRATE_LIVE | libvirt.VIR_MIGRATE_ABORT_ON_ERROR
        wanted = {
            libvirt.VIR_MIGRATE_PEER2PEER: peer_to_peer,
            libvirt.VIR_MIGRATE_PERSIST_DEST: self.persist,
            libvirt.VIR_MIGRATE_UNDEFINE_SOURCE: self.undefine_source and persistent,
            libvirt.VIR_MIGRATE_NON_SHARED_DISK: self.copy_storage,
            libvirt.VIR_MIGRATE_UNSAFE: self.unsafe,
            libvirt.VIR_MIGRATE_AUTO_CONVERGE: self.auto_converge,
        }
        for flag, on in wanted.items():
            flags |= flag if on else 0
        return flags

    def parameters(self) -> dict[str, Any]:
        """virTypedParameters of the move."""
        return {libvirt.VIR_MIGRATE_PARAM_BANDWIDTH: self.bandwidth} if self.bandwidth else {}


def start_peer_to_peer(source: Connection, uuid: str, peer_uri: str, plan: Plan) -> Future[Any]:
    """Let the source's libvirtd talk to the target's: it goes on when we die. The future ends with the move."""

    def work(raw: libvirt.virConnect) -> object:
        domain = raw.lookupByUUIDString(uuid)
        flags = plan.flags(peer_to_peer=True, persistent=bool(domain.isPersistent()))
        return domain.migrateToURI3(peer_uri, plan.parameters(), flags)

    return source.submit(work)


def start_managed(source: Connection, target: Connection, uuid: str, plan: Plan) -> Future[Any]:
    """Talk to both libvirtds ourselves; for hosts that cannot reach each other's. Ends when we end."""

    def work(raw: libvirt.virConnect) -> object:
        domain = raw.lookupByUUIDString(uuid)
        flags = plan.flags(peer_to_peer=False, persistent=bool(domain.isPersistent()))
        with target.in_use() as raw_target:
            return domain.migrate3(raw_target, plan.parameters(), flags)

    return source.submit(work)


def is_peer_connection_failure(error: errors.HypervisorError) -> bool:
    """Whether the source could not reach the target's libvirtd; libvirt has no code of its own for it."""
    return "failed to connect to remote libvirt uri" in error.detail.lower()


def is_unsafe(error: errors.HypervisorError) -> bool:
    """Whether libvirt refused because it does not believe the disks to be shared."""
    return error.code == UNSAFE_CODE


def is_aborted(error: errors.HypervisorError) -> bool:
    """Whether the job was aborted on request."""
    return error.code == ABORTED_CODE


def set_max_downtime(source: Connection, uuid: str, milliseconds: int) -> None:
    """The pause that QEMU may make at the end of a move that is under way."""
    Guest(source, uuid).call(lambda domain: domain.migrateSetMaxDowntime(milliseconds, 0))


def set_bandwidth(source: Connection, uuid: str, mebibytes: int) -> None:
    """Limit (MiB a second, 0 for no limit) a move that is under way."""
    Guest(source, uuid).call(lambda domain: domain.migrateSetMaxSpeed(mebibytes or NO_LIMIT, 0))
