"""A live handle on one domain: small verbs, and how it is read."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future
from functools import partial
from queue import SimpleQueue
from typing import TypeVar

import libvirt

from hosts.hypervisor import errors
from hosts.hypervisor.connection import Connection
from hosts.hypervisor.records import Address, GuestRecord, JobFigures, SnapshotRecord
from hosts.hypervisor.snapshot import read_snapshots
from hosts.hypervisor.words import reason_word, state_word

T = TypeVar("T")

MIGRATABLE = libvirt.VIR_DOMAIN_XML_MIGRATABLE
_AGENT = libvirt.VIR_DOMAIN_INTERFACE_ADDRESSES_SRC_AGENT
_LEASE = libvirt.VIR_DOMAIN_INTERFACE_ADDRESSES_SRC_LEASE
_ARP = libvirt.VIR_DOMAIN_INTERFACE_ADDRESSES_SRC_ARP
_SOURCES = (("agent", _AGENT), ("lease", _LEASE), ("arp", _ARP))

#: libvirt's version from which on it makes a guest's variables anew when told to
RESETS_NVRAM = 8_001_000

METADATA_URI = "https://kvmdash.org/xmlns/1"
METADATA_KEY = "kvmdash"


class Guest:
    """One domain, found anew by UUID at each call, so that a handle never outlives what it points at."""

    def __init__(self, connection: Connection, uuid: str) -> None:
        self.connection = connection
        self.uuid = uuid

    def call(self, work: Callable[[libvirt.virDomain], T], *, seconds: float | None = None) -> T:
        """Run ``work(domain)`` with a deadline; raises NotFound when the host does not hold the domain."""
        return self.connection.call(lambda raw: work(raw.lookupByUUIDString(self.uuid)), seconds=seconds)

    def read(self) -> GuestRecord:
        """Everything the inventory keeps of it."""
        return self.call(_read_domain)

    def state(self) -> tuple[str, str]:
        """State and reason, as words."""
        state, reason = self.call(lambda domain: domain.state())
        return state_word(state), reason_word(state, reason)

    def state_and_autostart(self) -> tuple[str, bool]:
        """Its state as a word, and whether it starts with its host; far less than :meth:`read` asks."""

        def work(domain: libvirt.virDomain) -> tuple[str, bool]:
            return state_word(domain.state()[0]), _quiet_int(domain.autostart)

        return self.call(work)

    def exists(self) -> bool:
        """Whether this host holds it."""
        try:
            self.state()
        except errors.NotFound:
            return False
        return True

    def start(self, *, paused: bool = False) -> None:
        """Boot it, or restore its managed save image when it has one."""
        flags = libvirt.VIR_DOMAIN_START_PAUSED if paused else 0
        self.call(lambda domain: domain.createWithFlags(flags), seconds=300)

    def start_afresh(self) -> None:
        """Boot it for the first time: variables of firmware that an earlier guest of its name left are made anew."""

        def boot(domain: libvirt.virDomain) -> None:
            knows = domain.connect().getLibVersion() >= RESETS_NVRAM
            domain.createWithFlags(libvirt.VIR_DOMAIN_START_RESET_NVRAM if knows else 0)

        self.call(boot, seconds=300)

    def shutdown(self) -> None:
        """Ask the guest to shut down (ACPI or agent, as libvirt sees fit); returns at once."""
        self.call(lambda domain: domain.shutdown())

    def reboot(self) -> None:
        """Ask the guest to reboot; returns at once."""
        self.call(lambda domain: domain.reboot())

    def reset(self) -> None:
        """Press the reset button."""
        self.call(lambda domain: domain.reset())

    def destroy(self) -> None:
        """Pull the plug."""
        self.call(lambda domain: domain.destroyFlags(0), seconds=60)

    def suspend(self) -> None:
        """Pause its processors."""
        self.call(lambda domain: domain.suspend())

    def resume(self) -> None:
        """Let its processors run."""
        self.call(lambda domain: domain.resume())

    def managed_save(self) -> None:
        """Save its memory to the host's disk and stop it; lasts as long as the memory is large."""
        future = self.connection.submit(lambda raw: raw.lookupByUUIDString(self.uuid).managedSave(0))
        self.connection.outcome(future)

    def begin_save(self, path: str) -> Future[int]:
        """Save its memory into a file of the host and stop it."""
        return self.connection.submit(lambda raw: int(raw.lookupByUUIDString(self.uuid).saveFlags(path, None, 0)))

    def managed_save_remove(self) -> None:
        """Throw the saved memory away: the next start boots."""
        self.call(lambda domain: domain.managedSaveRemove(0))

    def has_managed_save(self) -> bool:
        """Whether there is a saved memory image."""
        return self.call(lambda domain: bool(domain.hasManagedSaveImage(0)))

    def set_autostart(self, on: bool) -> None:
        """Start it with its host, or not."""
        self.call(lambda domain: domain.setAutostart(1 if on else 0))

    def set_title(self, title: str) -> None:
        """Set (or with '' remove) the title, live and for the next boot."""
        self._set_metadata(libvirt.VIR_DOMAIN_METADATA_TITLE, title)

    def set_description(self, description: str) -> None:
        """Set (or with '' remove) the description, live and for the next boot."""
        self._set_metadata(libvirt.VIR_DOMAIN_METADATA_DESCRIPTION, description)

    def set_own_metadata(self, element: str) -> None:
        """Set (or with '' remove) the element in our namespace under ``<metadata>``."""
        self._set_metadata(libvirt.VIR_DOMAIN_METADATA_ELEMENT, element, METADATA_KEY, METADATA_URI)

    def _set_metadata(self, kind: int, text: str, key: str | None = None, uri: str | None = None) -> None:
        def work(domain: libvirt.virDomain) -> None:
            flags = libvirt.VIR_DOMAIN_AFFECT_CONFIG if domain.isPersistent() else 0
            if domain.isActive():
                flags |= libvirt.VIR_DOMAIN_AFFECT_LIVE
            domain.setMetadata(kind, text or None, key, uri, flags)

        self.call(work)

    def definition(self, *, inactive: bool = False, secure: bool = False) -> str:
        """The domain XML; ``secure`` includes passwords, and is for the moment only: never stored, never logged."""
        flags = libvirt.VIR_DOMAIN_XML_INACTIVE if inactive else 0
        flags |= libvirt.VIR_DOMAIN_XML_SECURE if secure else 0
        return str(self.call(lambda domain: domain.XMLDesc(flags)))

    def define(self, definition: str, *, validate: bool = True) -> None:
        """Store ``definition``, which names this domain, for the next boot; ``validate``: libvirt's schema is asked first."""
        flags = libvirt.VIR_DOMAIN_DEFINE_VALIDATE if validate else 0
        self.connection.call(lambda raw: raw.defineXMLFlags(definition, flags))

    def undefine(self, *, nvram: bool = False, tpm: bool = False, keep: bool = False) -> None:
        """Forget its definition with the saved memory and what is noted of snapshots and checkpoints; files of the firmware's
        variables (``nvram``) and of its TPM go where it has such, or are kept with ``keep``. Disks are not touched.
        """
        flags = libvirt.VIR_DOMAIN_UNDEFINE_MANAGED_SAVE | libvirt.VIR_DOMAIN_UNDEFINE_SNAPSHOTS_METADATA
        flags |= libvirt.VIR_DOMAIN_UNDEFINE_NVRAM if nvram else 0
        flags |= getattr(libvirt, "VIR_DOMAIN_UNDEFINE_TPM", 0) if tpm else 0
        flags |= (
            libvirt.VIR_DOMAIN_UNDEFINE_KEEP_NVRAM | getattr(libvirt, "VIR_DOMAIN_UNDEFINE_KEEP_TPM", 0) if keep else 0
        )

        def work(domain: libvirt.virDomain) -> None:
            domain.undefineFlags(flags | (libvirt.VIR_DOMAIN_UNDEFINE_CHECKPOINTS_METADATA if _marked(domain) else 0))

        self.call(work)

    def rename(self, name: str) -> None:
        """Give it another name; libvirt allows it while it is off and has no snapshots."""
        self.call(lambda domain: domain.rename(name, 0))

    def job(self, *, completed: bool = False) -> JobFigures:
        """The running job, or the last completed one."""
        flags = 0
        if completed:
            flags = libvirt.VIR_DOMAIN_JOB_STATS_COMPLETED | getattr(libvirt, "VIR_DOMAIN_JOB_STATS_KEEP_COMPLETED", 0)
        return self.call(lambda domain: job_figures(domain.jobStats(flags)))

    def abort_job(self) -> None:
        """Abort the running job; the guest runs on where it is."""
        self.call(lambda domain: domain.abortJob())

    def addresses(self) -> list[Address]:
        """Addresses from the first source that has any: agent, DHCP leases, ARP. Empty when none has."""
        for source, number in _SOURCES:
            found = self.call(lambda domain, number=number: _addresses_from(domain, number), seconds=8)  # type: ignore[misc]
            if found:
                return [Address(mac, address, prefix, source) for mac, address, prefix in found]
        return []

    def screenshot(self) -> tuple[str, bytes]:
        """A picture of its first screen: MIME type and bytes, as the hypervisor makes it."""
        return self.connection.call(lambda raw: _screenshot(raw, raw.lookupByUUIDString(self.uuid)), seconds=10)


def begin_restore(connection: Connection, path: str, definition: str = "") -> Future[int]:
    """Have a guest run on from what :meth:`Guest.begin_save` wrote, with another ``definition`` if one is given."""
    return connection.submit(lambda raw: int(raw.restoreFlags(path, definition or None, 0)))


def definition_in(connection: Connection, path: str) -> str:
    """The definition of the guest whose memory was written to ``path``, with its secrets."""
    secure = libvirt.VIR_DOMAIN_SAVE_IMAGE_XML_SECURE
    return connection.call(lambda raw: str(raw.saveImageGetXMLDesc(path, secure)))


def is_name_taken(connection: Connection, name: str) -> bool:
    """Whether the host holds a guest of that name."""
    try:
        connection.call(lambda raw: raw.lookupByName(name).UUIDString())
    except errors.NotFound:
        return False
    return True


def _read_domain(domain: libvirt.virDomain) -> GuestRecord:
    state, reason = domain.state()
    facts = (bool(domain.isPersistent()), _quiet_int(domain.autostart), _saved(domain))
    return _record(domain, state, reason, *facts, read_snapshots(domain))


def _quiet_int(read: Callable[[], int]) -> bool:
    """A transient domain has no autostart and no managed save: libvirt answers with an error that means no."""
    try:
        return bool(read())
    except libvirt.libvirtError as error:
        if error.get_error_code() in (libvirt.VIR_ERR_OPERATION_INVALID, libvirt.VIR_ERR_NO_SUPPORT):
            return False
        raise


def _marked(domain: libvirt.virDomain) -> bool:
    """Whether it has checkpoints; a driver that knows none has none."""
    try:
        return bool(domain.listAllCheckpoints(0))
    except libvirt.libvirtError as error:
        if error.get_error_code() == libvirt.VIR_ERR_NO_SUPPORT:
            return False
        raise


def _saved(domain: libvirt.virDomain) -> bool:
    return _quiet_int(lambda: domain.hasManagedSaveImage(0))


def _record(
    domain: libvirt.virDomain,
    state: int,
    reason: int,
    persistent: bool,
    autostart: bool,
    saved: bool,
    snapshots: tuple[SnapshotRecord, ...],
) -> GuestRecord:
    live = domain.XMLDesc(0)
    identity = domain.ID()
    inactive = live
    if identity != -1:
        inactive = domain.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE) if persistent else ""
    return GuestRecord(
        uuid=domain.UUIDString(),
        name=domain.name(),
        id=identity,
        state=state_word(state),
        reason=reason_word(state, reason),
        persistent=persistent,
        autostart=autostart,
        managed_save=saved,
        live_definition=live,
        inactive_definition=inactive,
        snapshots=snapshots,
    )


def read_guests(connection: Connection, *, seconds: float = 120.0) -> list[GuestRecord]:
    """Every domain of the host: bulk calls, the definitions, and the snapshots of those that have any."""
    return [record for part in read_guests_in_parts(connection, seconds=seconds) for record in part]


def read_guests_in_parts(
    connection: Connection, *, most: int = 200, seconds: float = 120.0
) -> Iterator[list[GuestRecord]]:
    """Every domain of the host, so many at a time; while one part is worked on the next is read. Each has its deadline."""
    wanted: SimpleQueue[Future[list[GuestRecord] | None] | None] = SimpleQueue()
    asked: list[Future[list[GuestRecord] | None]] = []

    def ask() -> None:
        asked.append(Future())
        wanted.put(asked[-1])

    # One call from beginning to end: the handles belong to the libvirt connection that made them.
    reading = connection.submit(partial(_hand_out, wanted, most))
    ask()
    ask()
    reading.add_done_callback(lambda _ended: [future.cancel() for future in asked])
    try:
        while (records := connection.wait(asked.pop(0), seconds=seconds)) is not None:
            yield records
            ask()
    finally:
        wanted.put(None)


def _hand_out(wanted: SimpleQueue[Future[list[GuestRecord] | None] | None], most: int, raw: libvirt.virConnect) -> None:
    """Read a part into each future that comes, and None when there are no more; until None comes instead of one."""
    parts = _parts(raw, most)
    while (future := wanted.get()) is not None:
        try:
            future.set_result(next(parts, None))
        except BaseException as error:  # handed to the one who waits
            future.set_exception(error)
            return


def _parts(raw: libvirt.virConnect, most: int) -> Iterator[list[GuestRecord]]:
    listing = _Listing(raw)
    for start in range(0, len(listing.domains), most):
        yield listing.read(listing.domains[start : start + most])


class _Listing:
    """All domains of a host, with what one call tells of all of them."""

    def __init__(self, raw: libvirt.virConnect) -> None:
        self.domains = raw.listAllDomains(0)
        # Few are, so asking for these is the shorter answer.
        self._transient = _having(raw, libvirt.VIR_CONNECT_LIST_DOMAINS_TRANSIENT)
        self._autostart = _having(raw, libvirt.VIR_CONNECT_LIST_DOMAINS_AUTOSTART)
        self._saved = _having(raw, libvirt.VIR_CONNECT_LIST_DOMAINS_MANAGEDSAVE)
        self._having_snapshots = _having(raw, libvirt.VIR_CONNECT_LIST_DOMAINS_HAS_SNAPSHOT)
        self._states = _states(raw)

    def read(self, domains: list[libvirt.virDomain]) -> list[GuestRecord]:
        """Read each of them; one that has gone since the list was made is left out, that is no error of the whole look."""
        records = []
        for domain in domains:
            try:
                records.append(self._read_one(domain))
            except libvirt.libvirtError as error:
                if error.get_error_code() != libvirt.VIR_ERR_NO_DOMAIN:
                    raise
        return records

    def _read_one(self, domain: libvirt.virDomain) -> GuestRecord:
        key = domain.UUIDString()
        state, reason = self._states.get(key) or domain.state()
        facts = (key not in self._transient, key in self._autostart, key in self._saved)
        snapshots = read_snapshots(domain) if key in self._having_snapshots else ()
        return _record(domain, state, reason, *facts, snapshots)


def _having(raw: libvirt.virConnect, flag: int) -> set[str]:
    return {domain.UUIDString() for domain in raw.listAllDomains(flag)}


def _states(raw: libvirt.virConnect) -> dict[str, tuple[int, int]]:
    try:
        rows = raw.getAllDomainStats(libvirt.VIR_DOMAIN_STATS_STATE, 0)
    except libvirt.libvirtError as error:
        if error.get_error_code() == libvirt.VIR_ERR_NO_SUPPORT:
            return {}
        raise
    return {
        domain.UUIDString(): (stats["state.state"], stats.get("state.reason", 0))
        for domain, stats in rows
        if "state.state" in stats
    }


def _addresses_from(domain: libvirt.virDomain, source: int) -> list[tuple[str, str, int]]:
    try:
        interfaces = domain.interfaceAddresses(source, 0)
    except libvirt.libvirtError:
        return []  # No agent, no lease, not supported: another source may know.
    return [
        (interface.get("hwaddr") or "", address["addr"], address["prefix"])
        for name, interface in interfaces.items()
        if name != "lo"
        for address in interface.get("addrs") or []
        if not address["addr"].startswith(("127.", "fe80:"))
    ]


def _screenshot(raw: libvirt.virConnect, domain: libvirt.virDomain) -> tuple[str, bytes]:
    stream = raw.newStream(0)
    mime = domain.screenshot(stream, 0)
    parts: list[bytes] = []

    def take(_stream: object, data: bytes, _opaque: object) -> int:
        parts.append(data)
        return len(data)

    stream.recvAll(take, None)
    stream.finish()
    return mime, b"".join(parts)


_JOB_TYPES = {0: "none", 1: "bounded", 2: "unbounded", 3: "completed", 4: "failed", 5: "cancelled"}
_JOB_OPERATIONS = {
    0: "unknown", 1: "start", 2: "save", 3: "restore", 4: "migration in", 5: "migration out",
    6: "snapshot", 7: "snapshot revert", 8: "dump", 9: "backup",
}  # fmt: skip


def job_figures(stats: dict[str, object]) -> JobFigures:
    """virDomainGetJobStats' dictionary as JobFigures."""

    def number(name: str) -> int:
        value = stats.get(name, 0)
        return int(value) if isinstance(value, int | float) else 0

    page = number("memory_page_size") or 4096
    return JobFigures(
        type=_JOB_TYPES.get(number("type"), "none"),
        operation=_JOB_OPERATIONS.get(number("operation"), "unknown"),
        elapsed_ms=number("time_elapsed"),
        total=number("data_total"),
        processed=number("data_processed"),
        remaining=number("data_remaining"),
        rate=number("memory_bps") + number("disk_bps"),
        # Pages a second, by virsh's reading of the same field.
        dirty_rate=number("memory_dirty_rate") * page,
        iteration=number("memory_iteration"),
        downtime_ms=number("downtime") if "downtime" in stats else None,
        setup_ms=number("setup_time") if "setup_time" in stats else None,
        error=str(stats.get("errmsg", "")),
    )
