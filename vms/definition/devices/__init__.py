"""The devices of a definition: ``<devices>`` with a list for each kind."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from vms.definition.devices.base import PATH, Device
from vms.definition.devices.character import Channel, Console, Parallel, Serial
from vms.definition.devices.controller import Controller
from vms.definition.devices.disk import TARGET_PREFIXES, Cdrom, Disk, Floppy, target_name
from vms.definition.devices.filesystem import Filesystem
from vms.definition.devices.graphics import Graphics, Video
from vms.definition.devices.host import HostDevice, Hub, Lease, RedirectedDevice, RedirectionFilter, Smartcard
from vms.definition.devices.interface import QEMU_MAC, Interface, fresh_mac
from vms.definition.devices.memory import Balloon, MemoryModule, SharedMemory
from vms.definition.devices.small import Input, Iommu, Nvram, Panic, Rng, Tpm, Vsock, Watchdog
from vms.definition.devices.sound import Audio, Sound
from vms.definition.nodes import Many, Nested, Node
from vms.definition.properties import Text


class Devices(Node):
    """``<devices>``; ``disks`` holds the drives, too."""

    order = (
        "emulator disk controller lease filesystem interface smartcard serial parallel console channel input "
        "tpm graphics sound audio video hostdev redirdev redirfilter hub watchdog memballoon rng nvram panic "
        "shmem memory iommu vsock"
    )
    emulator = Text("emulator", PATH)
    disks = Many("disk", Disk)
    cdroms = Many("disk[device=cdrom]", Cdrom)
    floppies = Many("disk[device=floppy]", Floppy)
    interfaces = Many("interface", Interface)
    controllers = Many("controller", Controller)
    filesystems = Many("filesystem", Filesystem)
    graphics = Many("graphics", Graphics)
    videos = Many("video", Video)
    serials = Many("serial", Serial)
    parallels = Many("parallel", Parallel)
    consoles = Many("console", Console)
    channels = Many("channel", Channel)
    inputs = Many("input", Input)
    sounds = Many("sound", Sound)
    audios = Many("audio", Audio)
    host_devices = Many("hostdev", HostDevice)
    redirected_devices = Many("redirdev", RedirectedDevice)
    redirection_filter = Nested("redirfilter", RedirectionFilter, lasting=True)
    smartcards = Many("smartcard", Smartcard)
    hubs = Many("hub", Hub)
    tpms = Many("tpm", Tpm)
    rngs = Many("rng", Rng)
    watchdogs = Many("watchdog", Watchdog)
    memory_modules = Many("memory", MemoryModule)
    shared_memories = Many("shmem", SharedMemory)
    panics = Many("panic", Panic)
    leases = Many("lease", Lease)
    balloon = Nested("memballoon", Balloon, lasting=True)
    vsock = Nested("vsock", Vsock, lasting=True)
    iommu = Nested("iommu", Iommu, lasting=True)
    nvram = Nested("nvram", Nvram, lasting=True)

    def all(self) -> Iterator[Node]:
        """Every device that there is a class for, kind by kind."""
        for name, many in self.lists.items():
            if "[" not in many.path:
                yield from getattr(self, name)
        yield from (part for part in (getattr(self, name) for name in self.parts) if part.exists)

    def by_alias(self, alias: str) -> Device | None:
        """The device with this alias."""
        devices = (device for device in self.all() if isinstance(device, Device))
        return next((device for device in devices if device.alias == alias), None)

    def free_target(self, bus: str) -> str:
        """The first name that no disk has, for a disk on ``bus``: 'vdb', 'sda'."""
        taken = {disk.target.dev for disk in self.disks}
        prefix = TARGET_PREFIXES.get(bus, "sd")
        names = (target_name(prefix, number) for number in range(len(taken) + 1))
        return next(name for name in names if name not in taken)

    def free_mac(self, taken: Iterable[str] = (), prefix: str = QEMU_MAC) -> str:
        """A made-up MAC address that neither a card here nor ``taken`` has."""
        return fresh_mac([*taken, *(card.mac or "" for card in self.interfaces)], prefix)
