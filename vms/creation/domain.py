"""The definition of a new guest: built, or made from that of another one."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from lxml import etree

from vms.creation.hardware import Hardware, Platform
from vms.definition import metadata
from vms.definition.domain import Definition
from vms.definition.xml import parse_to_edit

#: free ports, so that devices can be plugged in later
PORTS = 8
TCG_CACHE = 64 * 2**20
AGENT = "org.qemu.guest_agent.0"
_OWN = f"{{{metadata.NAMESPACE}}}guest"


@dataclass(frozen=True, slots=True)
class Drive:
    """A disk or a CD of the guest. ``path`` is where the host has it."""

    path: str
    format: str = "raw"
    device: str = "disk"
    bus: str = "virtio"
    block: bool = False
    readonly: bool = False


def mac_for(identity: uuid.UUID, number: int = 0) -> str:
    """A MAC address that goes with the guest's UUID: the same whoever works it out."""
    digest = hashlib.sha256(f"{identity}/{number}".encode()).digest()
    return "52:54:00:" + ":".join(f"{byte:02x}" for byte in digest[:3])


@dataclass(frozen=True, slots=True)
class Frame:
    """What of a guest is neither hardware nor storage. ``boot`` is in order; ``networks`` has one for each card."""

    name: str
    uuid: uuid.UUID
    vcpus: int
    memory: int
    networks: tuple[str, ...]
    boot: tuple[str, ...]
    system: str = ""


def build(frame: Frame, hardware: Hardware, platform: Platform, drives: Sequence[Drive]) -> str:
    """The definition of a new guest."""
    domain = Definition.blank(frame.name, platform.virt)
    domain.uuid = str(frame.uuid)
    if frame.system:
        domain.os_id = frame.system
    domain.memory = domain.current_memory = frame.memory
    domain.vcpu.count = frame.vcpus
    domain.os.type = "hvm"
    is_real = platform.virt != "test"
    if is_real:
        domain.update({"os.arch": platform.arch or None, "os.machine": platform.machine or None})
    _firmware(domain, hardware)
    domain.os.boot_devices = list(frame.boot)
    x86 = platform.arch in ("x86_64", "i686", "")
    if is_real:
        domain.features.acpi = True
        domain.features.apic = x86
        if platform.virt == "qemu":
            # Without it QEMU takes a gigabyte of the host for each guest to keep translated code in.
            domain.features.tcg_cache = TCG_CACHE
        if hardware.cpu != "default":
            domain.cpu.mode = hardware.cpu
    _clock(domain, hardware, platform, x86=x86)
    domain.update({"on_poweroff": "destroy", "on_reboot": "restart", "on_crash": "destroy"})
    if x86:
        domain.update({"suspend_to_mem": False, "suspend_to_disk": False})
    _storage(domain, hardware, drives)
    _devices(domain, frame, hardware, platform)
    return domain.to_xml()


def _firmware(domain: Definition, hardware: Hardware) -> None:
    if hardware.firmware == "bios":
        return
    domain.os.firmware = "efi"
    secure = hardware.firmware == "secure"
    domain.update({"os.secure_boot": secure, "os.enrolled_keys": secure})
    if secure:
        # Only what runs in system management mode may write the variables that Secure Boot rests on.
        domain.features.smm = True


def _clock(domain: Definition, hardware: Hardware, platform: Platform, *, x86: bool) -> None:
    domain.clock.offset = "localtime" if hardware.windows else "utc"
    if not x86 or platform.virt == "test":
        return
    for name, values in (
        ("rtc", {"tick_policy": "catchup"}),
        ("pit", {"tick_policy": "delay"}),
        ("hpet", {"present": False}),
    ):
        domain.clock.timers.add({"name": name, **values})
    if hardware.windows and platform.virt == "kvm":
        # KVM alone has them: QEMU without it refuses to start.
        domain.clock.timers.add({"name": "hypervclock", "present": True})
        words = (
            "relaxed",
            "vapic",
            "spinlocks",
            "vpindex",
            "runtime",
            "synic",
            "stimer",
            "frequencies",
            "tlbflush",
            "ipi",
        )
        domain.update({f"features.hyperv.{word}": True for word in words})
        domain.features.hyperv.spinlock_retries = 8191


def _storage(domain: Definition, hardware: Hardware, drives: Sequence[Drive]) -> None:
    devices = domain.devices
    for drive in drives:
        source = "source.dev" if drive.block else "source.file"
        disk = devices.disks.add(
            {
                "type": "block" if drive.block else "file",
                "device": drive.device,
                "driver.name": "qemu",
                "driver.format": drive.format,
                source: drive.path,
                "target.dev": devices.free_target(drive.bus),
                "target.bus": drive.bus,
            }
        )
        if drive.device == "cdrom" or drive.readonly:
            disk.readonly = True
        else:
            disk.driver.discard = "unmap"
    if any(drive.bus == "scsi" for drive in drives):
        devices.controllers.add({"type": "scsi", "index": 0, "model": "virtio-scsi"})


def _devices(domain: Definition, frame: Frame, hardware: Hardware, platform: Platform) -> None:
    devices = domain.devices
    if platform.machine in ("q35", "virt"):
        devices.controllers.add({"type": "pci", "index": 0, "model": "pcie-root"})
        for _number in range(PORTS):
            devices.controllers.add({"type": "pci", "model": "pcie-root-port"})
    for number, network in enumerate(frame.networks):
        card = {"mac": mac_for(frame.uuid, number), "source.network": network, "model": hardware.card}
        devices.interfaces.add({"type": "network", **card})
    devices.serials.add({"type": "pty", "port": 0})
    devices.consoles.add({"type": "pty", "port": 0, "target": "serial"})
    if platform.virt == "test":
        return
    devices.channels.add({"type": "unix", "target": "virtio", "name": AGENT})
    devices.inputs.add({"type": "tablet", "bus": "usb"})
    if hardware.tpm:
        devices.tpms.add({"model": "tpm-crb", "backend": "emulator", "version": "2.0"})
    if hardware.video != "none":
        # No address: each host's own vnc_listen holds, also after a move.
        devices.graphics.add({"type": "vnc", "port": -1, "autoport": True})
        devices.videos.add({"model.type": hardware.video})
    devices.balloon.update({"model": "virtio", "stats_period": 5})
    devices.rngs.add({"model": "virtio", "backend": "random", "device": "/dev/urandom"})


def copy(text: str, name: str, identity: uuid.UUID, paths: Mapping[str, Drive | None]) -> str:
    """The definition ``text`` as another guest: name, UUID, MAC addresses and what libvirt made for the first alone are renewed.

    ``paths``: for each target what it has in the copy; None takes the drive out. Targets that are not named stay as they are.
    """
    domain = Definition.parse(text)
    domain.name, domain.uuid = name, str(identity)
    domain.title = None
    if domain.genid is not None:
        domain.genid = str(uuid.uuid5(identity, "genid"))
    # The variables of its firmware are its own: libvirt makes them anew from the template.
    domain.os.nvram = None
    if domain.smbios.uuid is not None:
        domain.smbios.uuid = str(identity)
    for number, card in enumerate(domain.devices.interfaces):
        card.mac = mac_for(identity, number)
        card.target = None
    for graphics in domain.devices.graphics:
        if graphics.port not in (None, -1):
            graphics.update({"port": -1, "autoport": True})
    for target, drive in paths.items():
        disk = domain.devices.disks[target]
        disk.source.remove()
        disk.backing_store.remove()
        if drive is None:
            disk.remove()
            continue
        disk.type = "block" if drive.block else "file"
        disk.set("source.dev" if drive.block else "source.file", drive.path)
        disk.driver.format = drive.format
        disk.serial = None
    return _without_marks(domain.to_xml())


def add_seed(text: str, path: str, *, block: bool = False) -> str:
    """The definition with a seed; on virtio when its disks are: the kernel of such a guest may know no CD drives."""
    domain = Definition.parse(text)
    disks = domain.devices.disks
    first = next((disk.target.bus for disk in disks if disk.device == "disk"), None)
    cd_bus = "sata" if "q35" in (domain.os.machine or "q35") else "ide"
    bus, device = ("virtio", "disk") if first == "virtio" else ("scsi" if first == "scsi" else cd_bus, "cdrom")
    disks.add(
        {
            "type": "block" if block else "file", "device": device, "driver.name": "qemu", "driver.format": "raw",
            "source.dev" if block else "source.file": path, "target.dev": domain.devices.free_target(bus), "target.bus": bus,
            "readonly": True,
        }
    )  # fmt: skip
    return domain.to_xml()


def _without_marks(text: str) -> str:
    """A copy of a protected template is neither."""
    root = parse_to_edit(text)
    own = root.find(f"metadata/{_OWN}")
    if own is not None:
        marked = metadata.read(root)
        plain = replace(marked, protected=False, template=False)
        for child in list(own):
            if etree.QName(child).localname in metadata.FLAGS:
                own.remove(child)
        if plain == metadata.OwnMetadata() and (parent := own.getparent()) is not None:
            parent.remove(own)
    return etree.tostring(root, encoding="unicode")
