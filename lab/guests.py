"""Which guests there are, and their domain XML."""

from __future__ import annotations

import hashlib
import uuid
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

from lab.image import Image

SPACE = uuid.UUID("6d7f1b0e-5d0c-4a58-9d3c-0d6d7c1f5a21")
NBD_PORT = 10809
COMMAND_LINE = (
    "console=ttyS0",
    "console=tty1",
    "quiet",
    "mitigations=off",
    "nokaslr",
    # On a busy machine an emulated timer is late now and then, and the kernel's test of it would end in a panic.
    "no_timer_check",
    "panic=5",
)


@dataclass(frozen=True)
class Plan:
    """One guest as it is meant to be when the lab has come up."""

    name: str
    host: int
    running: bool = False
    memory_mib: int = 128
    disk: str = ""  # "", "shared" (a qcow2 in the shared folder) or "nbd"
    password: bool = False
    machine: str = "pc"


PLANS = (
    Plan("web-1", 1, running=True, disk="shared"),
    Plan("web-2", 1, running=True, disk="shared", password=True),
    Plan("db-1", 2, running=True, disk="nbd"),
    Plan("cache-1", 3, running=True),
    Plan("build-1", 2, disk="shared", machine="q35"),
    Plan("dirty-1", 1, memory_mib=256),
)


def plans(guests: int, hosts: int) -> list[Plan]:
    """The first guests of the standard list, then small ones that stay shut off, spread over the hosts."""
    chosen = list(PLANS[:guests])
    chosen += [Plan(f"spare-{number}", number % hosts + 1) for number in range(len(PLANS) + 1, guests + 1)]
    return [Plan(**{**plan.__dict__, "host": (plan.host - 1) % hosts + 1}) for plan in chosen]


def guest_uuid(lab: str, guest: str) -> str:
    """The same lab name gives the same guests again."""
    return str(uuid.uuid5(SPACE, f"{lab}/{guest}"))


def mac(lab: str, guest: str) -> str:
    """A hardware address in QEMU's range."""
    digest = hashlib.sha256(f"{lab}/{guest}".encode()).hexdigest()
    return "52:54:00:" + ":".join(digest[place : place + 2] for place in (0, 2, 4))


def child(parent: ElementTree.Element, tag: str, text: str = "", **attributes: str) -> ElementTree.Element:
    """A new element below another one."""
    element = ElementTree.SubElement(parent, tag, attributes)
    element.text = text or None
    return element


def add_disk(devices: ElementTree.Element, plan: Plan, shared: Path, nbd_address: str) -> None:
    """The guest's disk, if it has one."""
    if not plan.disk:
        return
    kind = "file" if plan.disk == "shared" else "network"
    disk = child(devices, "disk", type=kind, device="disk")
    if plan.disk == "shared":
        child(disk, "driver", name="qemu", type="qcow2", discard="unmap")
        child(disk, "source", file=str(shared / f"{plan.name}.qcow2"))
    else:
        # The server opens the qcow2; what it serves is the plain content.
        child(disk, "driver", name="qemu", type="raw", cache="none")
        source = child(disk, "source", protocol="nbd", name=plan.name)
        child(source, "host", name=nbd_address, port=str(NBD_PORT))
    child(disk, "target", dev="vda", bus="virtio")


def add_devices(domain: ElementTree.Element, plan: Plan, mac_address: str, password: str) -> ElementTree.Element:
    """Everything but the disk."""
    devices = child(domain, "devices")
    child(devices, "emulator", "/usr/bin/qemu-system-x86_64")
    interface = child(devices, "interface", type="network")
    child(interface, "mac", address=mac_address)
    child(interface, "source", network="default")
    child(interface, "model", type="virtio")
    serial = child(devices, "serial", type="pty")
    child(serial, "target", port="0")
    console = child(devices, "console", type="pty")
    child(console, "target", type="serial", port="0")
    channel = child(devices, "channel", type="unix")
    child(channel, "target", type="virtio", name="org.qemu.guest_agent.0")
    child(devices, "input", type="tablet", bus="usb")
    # No listen address: each host's own vnc_listen holds, also after a migration.
    graphics = child(devices, "graphics", type="vnc", port="-1", autoport="yes")
    if password:
        graphics.set("passwd", password)
    video = child(devices, "video")
    child(video, "model", type="vga", vram="16384", heads="1")
    balloon = child(devices, "memballoon", model="virtio")
    child(balloon, "stats", period="2")
    rng = child(devices, "rng", model="virtio")
    child(rng, "backend", "/dev/urandom", model="random")
    if plan.machine == "q35":
        # A PCI Express machine takes a new device only on a free root port.
        child(devices, "controller", type="pci", index="0", model="pcie-root")
        for _ in range(4):
            child(devices, "controller", type="pci", model="pcie-root-port")
    return devices


def domain_xml(plan: Plan, lab: str, image: Image, shared: Path, nbd_address: str, password: str) -> str:
    """The whole definition."""
    domain = ElementTree.Element("domain", type="qemu")
    child(domain, "name", plan.name)
    child(domain, "uuid", guest_uuid(lab, plan.name))
    child(domain, "memory", str(plan.memory_mib), unit="MiB")
    child(domain, "currentMemory", str(plan.memory_mib), unit="MiB")
    child(domain, "vcpu", "2", placement="static", current="1")
    system = child(domain, "os")
    child(system, "type", "hvm", arch="x86_64", machine=plan.machine)
    child(system, "kernel", str(image.kernel))
    child(system, "initrd", str(image.initrd))
    child(system, "cmdline", " ".join([*COMMAND_LINE, f"guest={plan.name}"]))
    features = child(domain, "features")
    child(features, "acpi")
    child(features, "apic")
    tcg = child(features, "tcg")
    child(tcg, "tb-cache", "64", unit="MiB")  # QEMU's own default is a gigabyte a guest
    cpu = child(domain, "cpu", mode="custom", match="exact", check="none")
    child(cpu, "model", "qemu64", fallback="forbid")
    child(domain, "clock", offset="utc")
    for event, action in (("poweroff", "destroy"), ("reboot", "restart"), ("crash", "destroy")):
        child(domain, f"on_{event}", action)
    devices = add_devices(domain, plan, mac(lab, plan.name), password)
    add_disk(devices, plan, shared, nbd_address)
    ElementTree.indent(domain)
    return ElementTree.tostring(domain, encoding="unicode") + "\n"


def pool_xml(name: str, path: str) -> str:
    """A folder as a storage pool."""
    pool = ElementTree.Element("pool", type="dir")
    child(pool, "name", name)
    child(child(pool, "target"), "path", path)
    return ElementTree.tostring(pool, encoding="unicode")


def network_xml(number: int) -> str:
    """The NAT network. Its name is the same on every host, its addresses are not."""
    subnet = f"192.168.{120 + number}"
    network = ElementTree.Element("network")
    child(network, "name", "default")
    child(network, "forward", mode="nat")
    child(network, "bridge", name="virbr0", stp="on", delay="0")
    ip = child(network, "ip", address=f"{subnet}.1", netmask="255.255.255.0")
    child(child(ip, "dhcp"), "range", start=f"{subnet}.2", end=f"{subnet}.254")
    return ElementTree.tostring(network, encoding="unicode")
