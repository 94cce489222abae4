"""``<hostdev>`` and ``<redirdev>``: devices of the host, and USB devices of whoever looks at the screen."""

from __future__ import annotations

from vms.definition.devices.base import PATH, UUID, VIRTIO_MODELS, Address, Bootable, Device, Indexed, Rom
from vms.definition.devices.character import TYPES as CHARACTER_TYPES
from vms.definition.devices.character import Source as CharacterSource
from vms.definition.devices.source import Auth, Initiator, NetworkHost
from vms.definition.nodes import Many, Nested, Node
from vms.definition.properties import Choice, Integer, OnOff, Presence, Text, YesNo
from vms.definition.sentences import say

_USB_ID = r"(0x)?[0-9a-fA-F]{1,4}"
_A_USB_ID = say("A number such as “0x046d”.")


class SourceAddress(Address):
    """``<address>`` of a host's device: of PCI, USB or SCSI, or an mdev's UUID."""

    device = Text("@device", r"(0x)?[0-9a-fA-F]{1,3}")
    uuid = Text("@uuid", UUID, say("A UUID."))


class Source(Node):
    """``<source>``: which device of the host; which of these count depends on the type."""

    order = "vendor product adapter host auth initiator address"
    address = Nested("address", SourceAddress)
    vendor = Text("vendor@id", _USB_ID, _A_USB_ID)
    product = Text("product@id", _USB_ID, _A_USB_ID)
    startup_policy = Choice("@startupPolicy", ("mandatory", "requisite", "optional"))
    guest_reset = Choice("@guestReset", ("off", "uninitialized", "on"))
    write_filtering = YesNo("@writeFiltering")
    protocol = Choice("@protocol", ("adapter", "iscsi", "vhost"))
    adapter = Text("adapter@name")
    name = Text("@name")
    hosts = Many("host", NetworkHost)
    auth = Nested("auth", Auth)
    initiator = Nested("initiator", Initiator)
    wwpn = Text("@wwpn", r"naa\.[0-9a-fA-F]{16}")
    block = Text("block", PATH)
    char = Text("char", PATH)
    interface = Text("interface", r"[a-zA-Z0-9_.\-\\:/]+")


class HostDevice(Bootable, Indexed):
    """``<hostdev>``"""

    born = {"mode": "subsystem", "type": "pci"}
    order = "driver source teaming readonly shareable boot rom alias address acpi"
    mode = Choice("@mode", ("subsystem", "capabilities"))
    type = Choice("@type", ("pci", "usb", "scsi", "scsi_host", "mdev", "storage", "misc", "net"), required=True)
    managed = YesNo("@managed")
    model = Choice("@model", ("vfio-pci", "vfio-ccw", "vfio-ap", *VIRTIO_MODELS))
    display = OnOff("@display")
    ramfb = OnOff("@ramfb")
    raw_io = YesNo("@rawio")
    sgio = Choice("@sgio", ("filtered", "unfiltered"))
    driver = Choice("driver@name", ("vfio", "kvm", "xen"))
    source = Nested("source", Source)
    teaming = Choice("teaming@type", ("persistent", "transient"), whole=True)
    teaming_persistent = Text("teaming@persistent", r"[a-zA-Z0-9_\-.]+")
    readonly = Presence("readonly")
    shareable = Presence("shareable")
    rom = Nested("rom", Rom)

    @property
    def key(self) -> str | None:
        """'0000:02:00.0', '046d:c52b', or an mdev's UUID."""
        source = self.source
        if source.address.uuid:
            return source.address.uuid
        if source.vendor and source.product:
            return f"{source.vendor.removeprefix('0x')}:{source.product.removeprefix('0x')}"
        return source.address.pci if self.type == "pci" and source.address.exists else None


class RedirectedDevice(Bootable):
    """``<redirdev>``: a USB device of the machine at which somebody looks at the guest's screen."""

    born = {"bus": "usb", "type": "spicevmc"}
    order = "source protocol boot alias address"
    bus = Choice("@bus", ("usb",), required=True)
    type = Choice("@type", CHARACTER_TYPES, required=True)
    source = Nested("source", CharacterSource)
    protocol = Choice("protocol@type", ("raw", "telnet", "telnets", "tls"))


class UsbRule(Node):
    """``<usbdev>``: whether USB devices of a kind may be redirected; '-1' is any."""

    born = {"allow": "yes"}
    allow = YesNo("@allow", required=True)
    class_ = Text("@class", r"(0x)?[0-9a-fA-F]{1,2}|-1")
    vendor = Text("@vendor", _USB_ID + "|-1")
    product = Text("@product", _USB_ID + "|-1")
    version = Text("@version", r"[0-9]{1,2}.[0-9]{1,2}|-1")


class RedirectionFilter(Node):
    """``<redirfilter>``"""

    rules = Many("usbdev", UsbRule)


class Hub(Device):
    """``<hub>``"""

    born = {"type": "usb"}
    type = Choice("@type", ("usb",), required=True)


class Smartcard(Device):
    """``<smartcard>``"""

    natural_key = "mode"
    born = {"mode": "host"}
    order = "certificate database source protocol alias address acpi"
    mode = Choice("@mode", ("host", "host-certificates", "passthrough"), required=True)
    type = Choice("@type", CHARACTER_TYPES)
    database = Text("database", r"/[^\n]*")
    source = Nested("source", CharacterSource)
    protocol = Choice("protocol@type", ("raw", "telnet", "telnets", "tls"))


class Lease(Node):
    """``<lease>``: a lock that the guest holds while it runs."""

    natural_key = "name"
    order = "lockspace key target"
    lockspace = Text("lockspace", required=True)
    name = Text("key", required=True)
    path = Text("target@path", required=True)
    offset = Integer("target@offset", 0, 2**32 - 1)
