"""``<controller>``: what other devices are plugged into."""

from __future__ import annotations

from vms.definition.devices.base import Indexed, VirtioDriver
from vms.definition.nodes import Nested
from vms.definition.properties import Choice, Integer, OnOff, Size

TYPES = ("pci", "usb", "scsi", "sata", "virtio-serial", "ide", "fdc", "ccid", "isa", "xenbus")
PCI_DEVICES = (
    "pcie-root-port", "ioh3420", "pcie-pci-bridge", "pci-bridge", "i82801b11-bridge", "x3130-upstream", "xio3130-downstream", "pxb",
    "pxb-pcie", "spapr-pci-host-bridge",
)  # fmt: skip
#: models for each type
MODELS = {
    "usb": (
        "qemu-xhci", "nec-xhci", "ich9-ehci1", "ich9-uhci1", "ich9-uhci2", "ich9-uhci3", "ehci", "piix3-uhci",
        "piix4-uhci", "vt82c686b-uhci", "pci-ohci", "qusb1", "qusb2", "none",
    ),
    "scsi": (
        "virtio-scsi", "virtio-transitional", "virtio-non-transitional", "lsilogic", "lsisas1068", "lsisas1078",
        "buslogic", "vmpvscsi", "ibmvscsi", "ncr53c90", "dc390", "am53c974", "auto",
    ),
    "pci": (
        "pcie-root", "pci-root", "pcie-root-port", "pci-bridge", "dmi-to-pci-bridge", "pcie-to-pci-bridge",
        "pcie-switch-upstream-port", "pcie-switch-downstream-port", "pci-expander-bus", "pcie-expander-bus",
    ),
    "ide": ("piix3", "piix4", "ich6"),
    "virtio-serial": ("virtio", "virtio-transitional", "virtio-non-transitional"),
}  # fmt: skip


class Driver(VirtioDriver):
    """``<driver>`` of a controller."""

    queues = Integer("@queues", 0, 2**16)
    commands_per_lun = Integer("@cmd_per_lun", 0, 2**32 - 1)
    max_sectors = Integer("@max_sectors", 0, 2**32 - 1)
    io_eventfd = OnOff("@ioeventfd")
    iothread = Integer("@iothread", 1, 2**32 - 1)


class Controller(Indexed):
    """``<controller>``"""

    order = "driver model target master pcihole64 alias address acpi"
    type = Choice("@type", TYPES, required=True)
    index = Integer("@index", 0, 2**32 - 1)
    model = Choice("@model", tuple(dict.fromkeys(model for models in MODELS.values() for model in models)))
    ports = Integer("@ports", 1, 2**16)
    vectors = Integer("@vectors", 0, 2**32 - 1)
    max_grant_frames = Integer("@maxGrantFrames", 0, 2**32 - 1)
    max_event_channels = Integer("@maxEventChannels", 0, 2**32 - 1)
    driver = Nested("driver", Driver)
    start_port = Integer("master@startport", 0, 255)
    # PCI
    device = Choice("model@name", PCI_DEVICES)
    chassis_number = Integer("target@chassisNr", 0, 255)
    chassis = Integer("target@chassis", 0, 255)
    port = Integer("target@port", 0, 255, digits=1)
    bus_number = Integer("target@busNr", 0, 255)
    target_index = Integer("target@index", 0, 255)
    hotplug = OnOff("target@hotplug")
    node = Integer("target/node", 0, 2**32 - 1)
    hole = Size("pcihole64")

    @property
    def key(self) -> str | None:
        """'scsi:0'"""
        return f"{self.type}:{self.index or 0}" if self.type else None
