"""Which hardware a guest gets: what its system knows how to use, of what its host can give."""

from __future__ import annotations

from dataclasses import dataclass, replace

from hosts.models import Host, HostAbility
from vms.creation.osinfo import VIRTIO_BLOCK, VIRTIO_GPU, VIRTIO_NET, Needs, System

FIRMWARES = ("bios", "efi", "secure")
BUSES = ("virtio", "sata", "scsi", "ide")
CARDS = ("virtio", "e1000e", "e1000", "rtl8139")
VIDEOS = ("virtio", "vga", "qxl", "bochs", "cirrus", "none")
PROCESSORS = ("host-model", "host-passthrough", "maximum", "default")
MACHINES = ("q35", "pc")
#: what runs the processors: the host's own, or a program that acts as one
VIRTS = ("kvm", "qemu")
GIB = 2**30
#: where nothing is known of the system
COMMON = Needs(cpus=2, memory=2 * GIB, storage=20 * GIB)


@dataclass(frozen=True, slots=True)
class Hardware:
    """The choices that a system decides; words as libvirt has them, '' leaves it to libvirt."""

    firmware: str = "bios"
    machine: str = "q35"
    cpu: str = "host-model"
    bus: str = "virtio"
    card: str = "virtio"
    video: str = "virtio"
    tpm: bool = False
    windows: bool = False


@dataclass(frozen=True, slots=True)
class Platform:
    """What runs the guest on its host: '' where the host does not say."""

    virt: str = "kvm"
    arch: str = ""
    machine: str = ""


def ability_for(host: Host | None, machine: str) -> HostAbility | None:
    """What the host says of guests of that machine type; None where it says nothing."""
    if host is None:
        return None
    known = list(host.abilities.all())
    return next(
        (one for one in known if one.machine == machine), known[0] if known and machine not in MACHINES else None
    )


def platform_of(host: Host, machine: str, virt: str = "") -> Platform:
    """What runs guests of that machine type there; ``virt`` where that was asked for."""
    if host.hypervisor_type.lower() == "test":
        return Platform("test")
    ability = ability_for(host, machine)
    if ability is not None:
        return Platform(virt or ability.virt or "kvm", ability.arch, machine)
    known = "kvm" if "<domain type='kvm'" in host.capabilities else "qemu"
    return Platform(virt or known, host.arch, machine)


def suggested(system: System | None, host: Host | None = None, virt: str = "") -> Hardware:
    """The hardware for a system (None: one that nothing is known of), as far as the host has it."""
    chosen = _of_system(system) if system is not None else Hardware()
    known = {one.machine for one in host.abilities.all()} if host is not None else set()
    if known and chosen.machine not in known:
        chosen = replace(chosen, machine=sorted(known)[0])
    ability = ability_for(host, chosen.machine)
    if ability is None:
        return chosen
    if ability.words.get("cpu.mode") and not ability.has("cpu.mode", chosen.cpu):
        chosen = replace(chosen, cpu="default")
    if (virt or ability.virt) == "qemu" and ability.has("cpu.mode", "maximum"):
        # Without hardware virtualisation the host's own processor is no model for the guest's.
        chosen = replace(chosen, cpu="maximum")
    if ability.words.get("video.modelType") and not ability.has("video.modelType", chosen.video):
        chosen = replace(chosen, video="vga")
    return chosen


def _of_system(system: System) -> Hardware:
    firmware = "bios"
    if system.firmwares.get("efi") and system.firmwares.get("bios") is False:
        firmware = "secure" if system.is_windows else "efi"
    hardware = Hardware(firmware=firmware, tpm=system.is_windows and firmware == "secure", windows=system.is_windows)
    if system.is_macos:
        return replace(hardware, firmware="efi", bus="sata", card="e1000e", video="vga")
    if system.is_windows:
        # Its own media hold no virtio drivers.
        return replace(hardware, bus="sata", card="e1000e", video="vga")
    if not system.devices:
        return replace(hardware, bus="sata", card="e1000e", video="vga") if system.family != "linux" else hardware
    return replace(
        hardware,
        bus="virtio" if system.devices & VIRTIO_BLOCK else "sata",
        card="virtio" if system.devices & VIRTIO_NET else "e1000",
        video="virtio" if system.devices & VIRTIO_GPU else "vga",
    )


def needs_of(system: System | None) -> tuple[Needs, Needs]:
    """The least that it runs with, and what it runs well with."""
    if system is None:
        return Needs(), COMMON
    least, well = system.minimum, system.recommended
    return least, Needs(
        cpus=max(well.cpus or 0, least.cpus or 0, 1) if (well.cpus or least.cpus) else COMMON.cpus,
        memory=max(well.memory or 0, least.memory or 0) or COMMON.memory,
        storage=max(well.storage or 0, least.storage or 0) or COMMON.storage,
    )
