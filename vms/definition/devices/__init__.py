"""The devices of a definition: ``<devices>`` with a list for each kind."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from vms.definition.devices.base import PATH, Device
from vms.definition.devices.disk import TARGET_PREFIXES, Cdrom, Disk, Floppy, target_name
from vms.definition.devices.graphics import Graphics, Video
from vms.definition.devices.interface import QEMU_MAC, Interface, fresh_mac
from vms.definition.nodes import Many, Node
from vms.definition.properties import Text

__all__ = ["Cdrom", "Device", "Devices", "Disk", "Floppy", "Graphics", "Interface", "Video"]


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
    graphics = Many("graphics", Graphics)
    videos = Many("video", Video)

    def all(self) -> Iterator[Device]:
        """Every device that there is a class for, kind by kind."""
        for name, many in self.lists.items():
            if "[" not in many.path:
                yield from getattr(self, name)

    def by_alias(self, alias: str) -> Device | None:
        """The device with this alias."""
        return next((device for device in self.all() if device.alias == alias), None)

    def free_target(self, bus: str) -> str:
        """The first name that no disk has, for a disk on ``bus``: 'vdb', 'sda'."""
        taken = {disk.target.dev for disk in self.disks}
        prefix = TARGET_PREFIXES.get(bus, "sd")
        names = (target_name(prefix, number) for number in range(len(taken) + 1))
        return next(name for name in names if name not in taken)

    def free_mac(self, taken: Iterable[str] = (), prefix: str = QEMU_MAC) -> str:
        """A made-up MAC address that neither a card here nor ``taken`` has."""
        return fresh_mac([*taken, *(card.mac or "" for card in self.interfaces)], prefix)
