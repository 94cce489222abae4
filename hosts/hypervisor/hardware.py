"""A guest's hardware: what is plugged into it and taken from it while it runs, its processors, its memory and its limits.

Everything here acts on the running guest; what it boots with is its definition (hosts.hypervisor.guest.Guest.define).
"""

from __future__ import annotations

from collections.abc import Mapping

import libvirt

from hosts.hypervisor.guest import Guest

#: an unplug waits for the guest for some seconds inside libvirt
UNPLUG_SECONDS = 60.0


class Hardware:
    """The hardware of a guest that runs. Devices are given as libvirt's XML of one device."""

    def __init__(self, guest: Guest) -> None:
        self.guest = guest

    def attach(self, device: str) -> None:
        """Plug a device in."""
        self.guest.call(lambda domain: domain.attachDeviceFlags(device, libvirt.VIR_DOMAIN_AFFECT_LIVE), seconds=60)

    def update(self, device: str, *, force: bool = False) -> None:
        """Change a device that is plugged in; ``force`` opens a drive that the guest has locked."""
        flags = libvirt.VIR_DOMAIN_AFFECT_LIVE | (libvirt.VIR_DOMAIN_DEVICE_MODIFY_FORCE if force else 0)
        self.guest.call(lambda domain: domain.updateDeviceFlags(device, flags), seconds=60)

    def detach(self, device: str) -> None:
        """Ask the guest to let go of a device. libvirt waits some seconds; the guest may do it later, or never."""
        flags = libvirt.VIR_DOMAIN_AFFECT_LIVE
        self.guest.call(lambda domain: domain.detachDeviceFlags(device, flags), seconds=UNPLUG_SECONDS)

    def set_io_limits(self, target: str, limits: Mapping[str, int | str]) -> None:
        """Limits of a disk, by libvirt's names; 0 is none. Those that are not named stay."""
        flags = libvirt.VIR_DOMAIN_AFFECT_LIVE
        self.guest.call(lambda domain: domain.setBlockIoTune(target, dict(limits), flags))

    def set_vcpus(self, count: int) -> None:
        """Processors that it has from now on."""
        flags = libvirt.VIR_DOMAIN_AFFECT_LIVE
        self.guest.call(lambda domain: domain.setVcpusFlags(count, flags), seconds=60)

    def set_memory(self, size: int) -> None:
        """Bytes of memory that its balloon is asked to leave it; the guest gives and takes as it can."""
        flags = libvirt.VIR_DOMAIN_AFFECT_LIVE
        self.guest.call(lambda domain: domain.setMemoryFlags(size // 1024, flags))
