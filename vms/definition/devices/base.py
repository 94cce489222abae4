"""What all devices have: an alias, an address, a place in the boot order."""

from __future__ import annotations

from vms.definition import tree
from vms.definition.nodes import Nested, Node
from vms.definition.properties import Choice, Integer, OnOff, Text, YesNo
from vms.definition.sentences import say

ALIAS = r"[a-zA-Z0-9_\-.]+"
UUID = r"[a-fA-F0-9]{8}-([a-fA-F0-9]{4}-){3}[a-fA-F0-9]{12}|[a-fA-F0-9]{32}"
PATH = r"(/|[a-zA-Z]:\\)[^\n]+"
A_PATH = say("A path begins with “/”.")
VIRTIO_MODELS = ("virtio", "virtio-transitional", "virtio-non-transitional")
HOST_NAME = r"[a-zA-Z0-9.\-:]+"


class Zpci(Node):
    """``<zpci>``: what s390x adds to a PCI address."""

    uid = Integer("@uid", digits=4, maximum=0xFFFF)
    fid = Integer("@fid", digits=8, maximum=2**32 - 1)


class Slot(Integer):
    """A slot: libvirt reads that of a PCI address in any base, others in decimal only."""

    def put(self, element: tree.Element, value: int | None) -> None:
        element.set(self.attribute, f"0x{value:02x}" if element.get("type", "pci") == "pci" else str(value))


class Address(Node):
    """``<address>``: where the device sits in the guest. Which words are used depends on ``type``."""

    type = Choice(
        "@type",
        (
            "pci", "drive", "virtio-serial", "ccid", "usb", "spapr-vio", "ccw", "isa", "virtio-mmio", "dimm", "unassigned",
        ),
        required=True,
    )  # fmt: skip
    domain = Integer("@domain", digits=4, maximum=2**32 - 1)
    slot = Slot("@slot", digits=2, maximum=31)
    function = Integer("@function", digits=1, maximum=7)
    multifunction = OnOff("@multifunction")
    bus = Text("@bus", r"[0-9a-fA-Fx]{1,5}")
    controller = Integer("@controller", maximum=99)
    target = Integer("@target", maximum=99)
    unit = Integer("@unit", maximum=99999)
    port = Text("@port", r"[0-9a-fA-Fx.]{1,23}")
    reg = Integer("@reg", digits=8, maximum=2**32 - 1)
    base = Integer("@base", digits=1)
    cssid = Integer("@cssid", digits=2, maximum=254)
    ssid = Integer("@ssid", digits=1, maximum=3)
    devno = Integer("@devno", digits=4, maximum=0xFFFF)
    iobase = Integer("@iobase", digits=1, maximum=0xFFFF)
    irq = Integer("@irq", digits=1, maximum=15)
    zpci = Nested("zpci", Zpci)

    @property
    def pci(self) -> str | None:
        """A PCI address as people write it, '0000:00:1f.2'; None when it is another kind."""
        if self.type not in (None, "pci"):
            return None
        bus = int(self.bus, 0) if self.bus and self.bus.isascii() and self.bus[:2] in ("0x", "0X") else self.bus
        return pci_text(self.domain, bus, self.slot, self.function)


def pci_text(domain: int | None, bus: int | str | None, slot: int | None, function: int | None) -> str:
    """'0000:00:1f.2'"""
    number = bus if isinstance(bus, int) else int(bus) if bus and bus.isdigit() else 0
    return f"{domain or 0:04x}:{number:02x}:{slot or 0:02x}.{function or 0:x}"


class Device(Node):
    """Base of all devices."""

    alias = Text("alias@name", ALIAS, say("Letters, digits, “_”, “-” and “.”; your own begin with “ua-”."))
    address = Nested("address", Address)


class Bootable(Device):
    """A device that the guest may boot from."""

    boot_order = Integer("boot@order", 1, 2**31 - 1, whole=True)
    boot_loadparm = Text("boot@loadparm", r"[a-zA-Z0-9. ]{1,8}", born={"order": "1"})


class Indexed(Device):
    """A device with an ACPI index, by which Linux names network cards."""

    acpi_index = Integer("acpi@index", 0, 2**32 - 1)


class VirtioDriver(Node):
    """The options that every virtio device's ``<driver>`` has."""

    iommu = OnOff("@iommu")
    ats = OnOff("@ats")
    packed = OnOff("@packed")
    page_per_vq = OnOff("@page_per_vq")


class Rom(Node):
    """``<rom>``: the option ROM of a PCI device."""

    enabled = YesNo("@enabled")
    bar = OnOff("@bar")
    file = Text("@file", PATH, A_PATH)
