"""Live migration, as libvirt does it: started, followed, steered, and found again afterwards."""

from __future__ import annotations

from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

import libvirt

from hosts.hypervisor import errors
from hosts.hypervisor.connection import Connection
from hosts.hypervisor.guest import Guest, job_figures
from hosts.hypervisor.records import JobFigures
from hosts.hypervisor.sentences import say

UNSAFE_CODE = getattr(libvirt, "VIR_ERR_MIGRATE_UNSAFE", 81)
BUSY_CODE = libvirt.VIR_ERR_OPERATION_TIMEOUT
ABORTED_CODE = getattr(libvirt, "VIR_ERR_OPERATION_ABORTED", 78)
# What libvirt itself sets when nobody limits: the most bytes a second that fit 63 bits, in MiB.
NO_LIMIT = (2**63 - 1) // 2**20


@dataclass(frozen=True, slots=True)
class Plan:
    """How to move. ``bandwidth`` is MiB a second (libvirt's unit), 0 for no limit; ``connections`` 0 is QEMU's usual one.

    ``disks`` are the targets of those that are copied, none for all; the definitions are the guest's on the target, live and
    stored, '' where they stay as they are.
    """

    copy_storage: bool = False
    incremental: bool = False
    persist: bool = True
    undefine_source: bool = True
    unsafe: bool = False
    auto_converge: bool = False
    post_copy: bool = False
    zero_copy: bool = False
    tls: bool = False
    tunnelled: bool = False
    offline: bool = False
    bandwidth: int = 0
    connections: int = 0
    compression: str = ""
    disks: tuple[str, ...] = ()
    live_definition: str = ""
    stored_definition: str = ""

    def flags(self, *, peer_to_peer: bool, persistent: bool) -> int:
        """virDomainMigrateFlags; a transient guest has no definition to leave behind or to make persistent by itself."""
        if self.offline:
            wanted = {
                "OFFLINE": True,
                "PEER2PEER": peer_to_peer,
                "PERSIST_DEST": True,
                "UNDEFINE_SOURCE": self.undefine_source,
            }
            return sum(flag(name) for name, on in wanted.items() if on)
        flags: int = libvirt.VIR_MIGRATE_LIVE | libvirt.VIR_MIGRATE_ABORT_ON_ERROR
        wanted = {
            "PEER2PEER": peer_to_peer,
            "TUNNELLED": self.tunnelled,
            "PERSIST_DEST": self.persist,
            "UNDEFINE_SOURCE": self.undefine_source and persistent,
            "NON_SHARED_DISK": self.copy_storage and not self.incremental,
            "NON_SHARED_INC": self.copy_storage and self.incremental,
            "UNSAFE": self.unsafe,
            "AUTO_CONVERGE": self.auto_converge,
            "POSTCOPY": self.post_copy,
            "PARALLEL": bool(self.connections),
            "COMPRESSED": bool(self.compression),
            "ZEROCOPY": self.zero_copy,
            "TLS": self.tls,
        }
        for name, on in wanted.items():
            flags |= flag(name) if on else 0
        return flags

    def parameters(self) -> dict[str, Any]:
        """virTypedParameters of the move."""
        wanted = {
            libvirt.VIR_MIGRATE_PARAM_BANDWIDTH: self.bandwidth,
            libvirt.VIR_MIGRATE_PARAM_PARALLEL_CONNECTIONS: self.connections,
            libvirt.VIR_MIGRATE_PARAM_COMPRESSION: self.compression,
            libvirt.VIR_MIGRATE_PARAM_MIGRATE_DISKS: list(self.disks) if self.copy_storage else [],
            libvirt.VIR_MIGRATE_PARAM_DEST_XML: self.live_definition,
            libvirt.VIR_MIGRATE_PARAM_PERSIST_XML: self.stored_definition if self.persist else "",
        }
        return {name: value for name, value in wanted.items() if value}


def flag(name: str) -> int:
    """A VIR_MIGRATE_ flag. Raises Unsupported where kvmdash's own libvirt does not know it."""
    found: int | None = getattr(libvirt, f"VIR_MIGRATE_{name}", None)
    if found is None:
        raise errors.Unsupported(
            say("The libvirt that kvmdash uses here does not know VIR_MIGRATE_%(name)s.", name=name)
        )
    return found


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


def start_resuming(source: Connection, uuid: str, peer_uri: str, plan: Plan) -> Future[Any]:
    """Go on with a post-copy move that broke in the middle; its flags must be those that it began with."""

    def work(raw: libvirt.virConnect) -> object:
        domain = raw.lookupByUUIDString(uuid)
        flags = plan.flags(peer_to_peer=True, persistent=bool(domain.isPersistent())) | flag("POSTCOPY_RESUME")
        return domain.migrateToURI3(peer_uri, plan.parameters(), flags)

    return source.submit(work)


def ask_job(source: Connection, uuid: str) -> Future[JobFigures]:
    """Ask for the figures of the guest's running job, without waiting for them."""
    return source.submit(lambda raw: job_figures(raw.lookupByUUIDString(uuid).jobStats(0)))


def start_post_copy(source: Connection, uuid: str) -> None:
    """Have the guest go over now and fetch the rest of its memory from here. It cannot be taken back."""
    Guest(source, uuid).call(lambda domain: domain.migrateStartPostCopy(0))


def break_off_post_copy(source: Connection, uuid: str) -> None:
    """Have QEMU let go of a connection over which nothing comes any more; both halves wait to be brought together then."""
    number: int | None = getattr(libvirt, "VIR_DOMAIN_ABORT_JOB_POSTCOPY", None)
    if number is None:
        raise errors.Unsupported(say("The libvirt that kvmdash uses here does not know virDomainAbortJobFlags."))
    Guest(source, uuid).call(lambda domain: domain.abortJobFlags(number))


def definitions(source: Connection, uuid: str) -> tuple[str, str]:
    """What can be edited for the target: the live definition ('' when it is off), the stored one ('' without one); with secrets."""
    secure = libvirt.VIR_DOMAIN_XML_SECURE

    def work(domain: libvirt.virDomain) -> tuple[str, str]:
        live = domain.XMLDesc(secure | libvirt.VIR_DOMAIN_XML_MIGRATABLE) if domain.isActive() else ""
        stored = domain.XMLDesc(secure | libvirt.VIR_DOMAIN_XML_INACTIVE) if domain.isPersistent() else ""
        return live, stored

    return Guest(source, uuid).call(work)


def is_peer_connection_failure(error: errors.HypervisorError) -> bool:
    """Whether the source could not reach the target's libvirtd; libvirt has no code of its own for it."""
    return "failed to connect to remote libvirt uri" in error.detail.lower()


def is_unsafe(error: errors.HypervisorError) -> bool:
    """Whether libvirt refused because it does not believe the disks to be shared."""
    return error.code == UNSAFE_CODE


def is_busy(error: errors.HypervisorError) -> bool:
    """Whether libvirt gave up waiting for the guest's job to let it answer: there is one."""
    return bool(error.code == BUSY_CODE)


def is_watched_by_another(error: errors.HypervisorError) -> bool:
    """Whether libvirt refused because an earlier call still follows the same move; it has no code of its own for it."""
    return "actively monitored by another thread" in error.detail.lower()


def is_aborted(error: errors.HypervisorError) -> bool:
    """Whether the job was aborted on request."""
    return error.code == ABORTED_CODE


def set_max_downtime(source: Connection, uuid: str, milliseconds: int) -> None:
    """The pause that QEMU may make at the end of a move that is under way."""
    Guest(source, uuid).call(lambda domain: domain.migrateSetMaxDowntime(milliseconds, 0))


def set_bandwidth(source: Connection, uuid: str, mebibytes: int, *, post_copy: bool = False) -> None:
    """Limit (MiB a second, 0 for no limit) a move that is under way, or its part after the switch to post-copy."""
    flags = libvirt.VIR_DOMAIN_MIGRATE_MAX_SPEED_POSTCOPY if post_copy else 0
    Guest(source, uuid).call(lambda domain: domain.migrateSetMaxSpeed(mebibytes or NO_LIMIT, flags))
