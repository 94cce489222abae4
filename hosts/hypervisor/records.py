"""What the hypervisor said, as plain frozen data. Sizes are bytes, times Unix seconds unless a name says otherwise."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple


@dataclass(frozen=True, slots=True)
class Target:
    """Everything needed to open a connection. Never printed: it may hold a password."""

    uri: str
    username: str = ""
    password: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class HostFacts:
    """What a host is. ``cells`` is a list of {id, memory, cpus, pages}."""

    hostname: str
    machine_uuid: str
    libvirt_version: str
    hypervisor_type: str
    hypervisor_version: str
    cpu_model: str
    arch: str
    cpus: int
    sockets: int
    cores: int
    threads: int
    mhz: int
    memory: int
    cells: list[dict[str, Any]]
    capabilities: str


@dataclass(frozen=True, slots=True)
class Ability:
    """What guests of one machine type can have on a host; ``words`` are the choices by place, such as {"disk.bus": [...]}."""

    arch: str
    machine: str
    virt: str
    emulator: str
    most_vcpus: int
    words: dict[str, list[str]]


@dataclass(frozen=True, slots=True)
class Processors:
    """Which processors guests run by ``virt`` can have on a host. ``features``: all that one can have; [] where not told.

    ``known_models`` are those that have a name, with libvirt's yes, no or unknown; ``blockers`` the features that one lacks.
    """

    arch: str
    virt: str
    model: str
    vendor: str
    features: list[str]
    known_models: dict[str, str]
    blockers: dict[str, list[str]]
    loaders: list[str]


class SecretName(NamedTuple):
    """What a secret of libvirt is called; its value is nobody's business here."""

    uuid: str
    use: str
    name: str


@dataclass(frozen=True, slots=True)
class Supply:
    """What a host has at hand for guests; None for what it does not tell. ``pages``: {cell, size, free} for each size."""

    pages: list[dict[str, Any]] | None
    secrets: list[SecretName] | None


@dataclass(frozen=True, slots=True)
class SnapshotRecord:
    """One snapshot as libvirt describes it."""

    name: str
    current: bool
    definition: str


@dataclass(frozen=True, slots=True)
class GuestRecord:
    """One domain at one look. ``state`` and ``reason`` are words (see words.py); definitions hold no secrets."""

    uuid: str
    name: str
    id: int
    state: str
    reason: str
    persistent: bool
    autostart: bool
    managed_save: bool
    live_definition: str
    inactive_definition: str
    snapshots: tuple[SnapshotRecord, ...] = ()

    @property
    def is_active(self) -> bool:
        """Whether a hypervisor process exists for it."""
        return self.id != -1


@dataclass(frozen=True, slots=True)
class PoolRecord:
    """One storage pool."""

    uuid: str
    name: str
    type: str
    active: bool
    autostart: bool
    persistent: bool
    capacity: int
    allocation: int
    available: int
    path: str
    definition: str


@dataclass(frozen=True, slots=True)
class VolumeRecord:
    """One storage volume. ``trouble`` says why nothing but its name is known."""

    name: str
    key: str = ""
    path: str = ""
    type: str = ""
    format: str = ""
    capacity: int = 0
    allocation: int = 0
    backing_path: str = ""
    backing_format: str = ""
    encrypted: bool = False
    modified: datetime | None = None
    trouble: str = ""


@dataclass(frozen=True, slots=True)
class PoolReading:
    """One look at one pool: without ``record`` it could not be read, and ``trouble`` says why; an inactive one has no volumes."""

    uuid: str
    record: PoolRecord | None = None
    volumes: list[VolumeRecord] | None = None
    trouble: str = ""


@dataclass(frozen=True, slots=True)
class StorageLook:
    """One look at a host's pools; ``complete`` when a pool that is not among them is not there."""

    readings: list[PoolReading]
    complete: bool


@dataclass(frozen=True, slots=True)
class InterfaceRecord:
    """A bridge, bond, VLAN or network device of a host. ``speed`` in Mbit/s; 0 and '' are what is not known."""

    name: str
    #: ethernet, bridge, bond, vlan
    kind: str
    active: bool
    #: up, down, lowerlayerdown …
    link: str = ""
    speed: int = 0
    mac: str = ""
    mtu: int = 0
    addresses: list[str] = field(default_factory=list)
    #: what is plugged into a bridge or bond, or carries a VLAN
    members: list[str] = field(default_factory=list)
    #: of a VLAN
    tag: int = 0
    #: the device of the host that it is on, such as pci_0000_3b_00_0
    parent: str = ""


@dataclass(frozen=True, slots=True)
class InterfaceLook:
    """What a host told of these; ``trouble``: why its interface driver did not."""

    interfaces: list[InterfaceRecord]
    trouble: str = ""


@dataclass(frozen=True, slots=True)
class FilterRecord:
    """One network filter."""

    uuid: str
    name: str
    definition: str


@dataclass(frozen=True, slots=True)
class LeaseRecord:
    """One DHCP lease: who has which address, and until when (Unix seconds; 0: for ever)."""

    mac: str
    address: str
    prefix: int = 0
    hostname: str = ""
    client_id: str = ""
    expires: int = 0


@dataclass(frozen=True, slots=True)
class NetworkRecord:
    """One virtual network. ``next_definition`` is what it is started with next, of one that is on and stored."""

    uuid: str
    name: str
    active: bool
    autostart: bool
    persistent: bool
    bridge: str
    forward: str
    addresses: list[str]
    definition: str
    next_definition: str = ""
    leases: list[LeaseRecord] = field(default_factory=list)


class GuestCounters(NamedTuple):
    """Raw counters of one running guest at ``at`` (monotonic seconds of this process); rates need two of them.

    Thousands are made every two seconds: a tuple is made three times as fast as a frozen dataclass.
    """

    uuid: str
    at: float
    cpu_ns: int
    vcpus: int
    memory: int
    memory_used: int | None
    read: int
    write: int
    received: int
    sent: int


@dataclass(frozen=True, slots=True)
class HostCounters:
    """Raw counters of the host itself; ``busy_ns`` and ``total_ns`` over all processors."""

    at: float
    busy_ns: int
    total_ns: int
    memory: int
    memory_used: int


@dataclass(frozen=True, slots=True)
class Address:
    """One address of a guest; ``source`` is agent, lease or arp."""

    mac: str
    address: str
    prefix: int
    source: str


@dataclass(frozen=True, slots=True)
class Event:
    """Something happened: look again at that object. ``uuid`` is '' when the whole host is meant."""

    kind: str
    uuid: str = ""
    name: str = ""
    detail: tuple[Any, ...] = ()


@dataclass(frozen=True, slots=True)
class JobFigures:
    """A domain job as libvirt counts it; rates in bytes a second, times in milliseconds."""

    type: str
    operation: str = ""
    elapsed_ms: int = 0
    total: int = 0
    processed: int = 0
    remaining: int = 0
    rate: int = 0
    dirty_rate: int = 0
    iteration: int = 0
    downtime_ms: int | None = None
    setup_ms: int | None = None
    error: str = ""

    @property
    def percent(self) -> float | None:
        """Done of what is known now; falls when the guest dirties memory again."""
        if self.total <= 0:
            return None
        return max(0.0, min(100.0, 100.0 * (self.total - self.remaining) / self.total))

    @property
    def estimate_s(self) -> float | None:
        """Seconds left at the net rate; None when the guest dirties faster than the link carries."""
        net = self.rate - self.dirty_rate
        if self.remaining == 0:
            return 0.0
        return self.remaining / net if self.rate > 0 and net > 0 else None
