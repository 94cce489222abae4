"""What is known of guests and hosts when a move is judged. Plain data; that of guests is hashable: what is alike is judged once."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

Version = tuple[int, ...]


class Cpu(NamedTuple):
    """A guest's processor: ``mode`` as the definition has it, '' for none; features that it has and has not."""

    mode: str = ""
    model: str = ""
    needs: frozenset[str] = frozenset()
    without: frozenset[str] = frozenset()


class Disk(NamedTuple):
    """A disk with a source. ``server``: who serves it over the network; ``secret``: whether it needs one of libvirt's."""

    target: str
    device: str = "disk"
    path: str = ""
    pool: str = ""
    volume: str = ""
    server: str = ""
    readonly: bool = False
    cache: str = ""
    secret: bool = False


class Card(NamedTuple):
    """What a network card is plugged into."""

    type: str = ""
    source: str = ""
    portgroup: str = ""
    filter: str = ""


class Device(NamedTuple):
    """A device that may keep its guest where it is."""

    kind: str
    words: str = ""


class Secret(NamedTuple):
    """A secret of libvirt that a guest needs, by its UUID or by what it is for and its name."""

    uuid: str = ""
    use: str = ""
    name: str = ""


class Pages(NamedTuple):
    """Huge pages that a guest wants: ``size`` 0 is the host's usual."""

    size: int
    bytes: int


class Guest(NamedTuple):
    """What a guest needs of a host."""

    uuid: str
    name: str
    host: int | None
    state: str = "running"
    persistent: bool = True
    present: bool = True
    #: whether its memory is saved on its host
    saved: bool = False
    arch: str = ""
    machine: str = ""
    virt: str = ""
    emulator: str = ""
    memory: int = 0
    vcpus: int = 0
    cpu: Cpu = Cpu()
    files: tuple[str, ...] = ()
    loader: str = ""
    #: bios, efi or secure, as vms.definition.summary reads it
    firmware: str = ""
    nvram: bool = False
    disks: tuple[Disk, ...] = ()
    cards: tuple[Card, ...] = ()
    devices: tuple[Device, ...] = ()
    tpm: str = ""
    screens: tuple[str, ...] = ()
    listens: tuple[str, ...] = ()
    pages: tuple[Pages, ...] = ()
    pins: tuple[int, ...] = ()
    nodes: tuple[int, ...] = ()
    snapshots: int = 0
    secrets: tuple[Secret, ...] = ()
    #: why its definition cannot be read; '' when it can
    trouble: str = ""
    seen_at: datetime | None = None


class Ability(NamedTuple):
    """What guests of one machine type can have."""

    machine: str
    most_vcpus: int
    words: dict[str, list[str]]


class Processors(NamedTuple):
    """Which processors guests can have."""

    features: frozenset[str]
    models: dict[str, str]
    blockers: dict[str, list[str]]
    loaders: tuple[str, ...] = ()


class Platform(NamedTuple):
    """What the host's capabilities say of guests of one architecture."""

    machines: frozenset[str]
    virts: frozenset[str]
    emulators: frozenset[str]


class Pool(NamedTuple):
    """A storage pool; ``key`` is equal where it is the same storage."""

    name: str
    type: str
    path: str
    key: str
    active: bool
    available: int
    #: whether libvirt is known to see by its file system that hosts share it
    seen_shared: bool = False


@dataclass(slots=True)
class Machine:
    """A host as a target, or as where a guest is now. None stands for what was never told."""

    id: int
    name: str
    state: str = "connected"
    #: why it is not connected, in the reader's language
    why: str = ""
    enabled: bool = True
    maintenance: bool = False
    arch: str = ""
    hypervisor: str = "QEMU"
    libvirt: Version = ()
    qemu: Version = ()
    cpus: int = 0
    memory: int = 0
    free: int | None = None
    cpu: str = ""
    #: number → {"cpus": how many, "pages": {size: count}}
    cells: dict[int, dict[str, Any]] = field(default_factory=dict)
    #: cell → {size: huge pages that are free}, when ``supply_at``
    free_pages: dict[int, dict[int, int]] | None = None
    secrets: frozenset[Secret] | None = None
    supply_at: datetime | None = None
    processors_of: frozenset[int] = frozenset()
    platforms: dict[str, Platform] = field(default_factory=dict)
    abilities: dict[tuple[str, str], Ability] = field(default_factory=dict)
    processors: dict[tuple[str, str], Processors] = field(default_factory=dict)
    networks: dict[str, tuple[bool, frozenset[str]]] = field(default_factory=dict)
    filters: frozenset[str] = frozenset()
    #: names of bridges and devices; None where its interface driver does not tell
    bridges: frozenset[str] | None = None
    devices: frozenset[str] | None = None
    addresses: frozenset[str] = frozenset()
    pools: tuple[Pool, ...] = ()
    #: path → bytes, of what guests' disks name
    volumes: dict[str, int] = field(default_factory=dict)
    #: files that guests on it have open, and servers that they or its pools are served by
    opened: frozenset[str] = frozenset()
    servers: frozenset[str] = frozenset()
    #: name → UUID of the guests that it holds, their UUIDs, and of those those that run
    names: dict[str, str] = field(default_factory=dict)
    held: frozenset[str] = frozenset()
    running: frozenset[str] = frozenset()
    peer: str = ""
    #: hosts from which a guest has moved to it
    reached_from: frozenset[int] = frozenset()
    #: when its rows, its resources and what guests can have were last told
    seen_at: datetime | None = None
    resources_at: datetime | None = None
    abilities_at: datetime | None = None

    #: disk → the pool that it lies in, as far as somebody asked
    pool_of: dict[Disk, Pool | None] = field(default_factory=dict)

    @property
    def told(self) -> bool:
        """Whether it ever told of its networks and guests."""
        return self.resources_at is not None


class Wishes(NamedTuple):
    """What is said of the move that changes what may be: see vms.moving.wanted."""

    copy_storage: bool = False
    unsafe: bool = False


Hosts = dict[int, Machine]
