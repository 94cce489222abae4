"""Devices with few words: input, TPM, random numbers, watchdog, vsock, panic, IOMMU, NVRAM."""

from __future__ import annotations

from vms.definition.devices.base import A_PATH, PATH, UUID, VIRTIO_MODELS, Address, Device, Indexed, VirtioDriver
from vms.definition.devices.character import TYPES as CHARACTER_TYPES
from vms.definition.devices.character import Source as CharacterSource
from vms.definition.nodes import Nested, Node
from vms.definition.properties import Choice, Integer, OnOff, Presence, Text, YesNo
from vms.definition.sentences import say

TOGGLES = ("ctrl-ctrl", "alt-alt", "shift-shift", "meta-meta", "scrolllock", "ctrl-scrolllock")


class Input(Indexed):
    """``<input>``"""

    born = {"type": "tablet"}
    order = "driver source alias address acpi"
    type = Choice("@type", ("tablet", "mouse", "keyboard", "passthrough", "evdev"), required=True)
    bus = Choice("@bus", ("usb", "ps2", "virtio", "xen"))
    model = Choice("@model", VIRTIO_MODELS)
    driver = Nested("driver", VirtioDriver)
    evdev = Text("source@evdev", PATH, A_PATH)
    dev = Text("source@dev", PATH, A_PATH)
    grab = Choice("source@grab", ("all",))
    grab_toggle = Choice("source@grabToggle", TOGGLES)
    repeat = OnOff("source@repeat")

    @property
    def key(self) -> str | None:
        """'tablet:usb'"""
        return f"{self.type}:{self.bus or ''}".rstrip(":") if self.type else None


class Tpm(Device):
    """``<tpm>``"""

    natural_key = "model"
    order = "backend alias address"
    model = Choice("@model", ("tpm-crb", "tpm-tis", "tpm-spapr", "spapr-tpm-proxy"))
    backend = Choice("backend@type", ("emulator", "passthrough", "external"), required=True)
    version = Choice("backend@version", ("2.0", "1.2"), born={"type": "emulator"})
    persistent_state = YesNo("backend@persistent_state", born={"type": "emulator"})
    device = Text("backend/device@path", r"[^\n]+")
    secret = Text("backend/encryption@secret", UUID, say("A UUID."))
    source = Text("backend/source@path", r"[^\n]+", born={"type": "unix", "mode": "connect"})
    bank_sha1 = Presence("backend/active_pcr_banks/sha1")
    bank_sha256 = Presence("backend/active_pcr_banks/sha256")
    bank_sha384 = Presence("backend/active_pcr_banks/sha384")
    bank_sha512 = Presence("backend/active_pcr_banks/sha512")


class Rng(Indexed):
    """``<rng>``"""

    born = {"model": "virtio"}
    order = "rate backend driver alias address acpi"
    model = Choice("@model", VIRTIO_MODELS, required=True)
    backend = Choice("backend@model", ("random", "egd", "builtin"), required=True)
    device = Text("backend", PATH, A_PATH, born={"model": "random"})
    type = Choice("backend@type", CHARACTER_TYPES)
    source = Nested("backend/source", CharacterSource)
    rate_bytes = Integer("rate@bytes", 1, 2**31 - 1, whole=True)
    rate_period = Integer("rate@period", 1, 2**31 - 1, born={"bytes": "1024"})
    driver = Nested("driver", VirtioDriver)


class Watchdog(Indexed):
    """``<watchdog>``"""

    natural_key = "model"
    born = {"model": "i6300esb"}
    order = "alias address acpi"
    model = Choice("@model", ("i6300esb", "ib700", "diag288"), required=True)
    action = Choice("@action", ("reset", "shutdown", "poweroff", "pause", "none", "dump", "inject-nmi"))


class Vsock(Indexed):
    """``<vsock>``: sockets between host and guest without a network."""

    order = "cid driver alias address acpi"
    model = Choice("@model", VIRTIO_MODELS)
    auto_cid = YesNo("cid@auto")
    cid = Integer("cid@address", 3, 2**32 - 1)
    driver = Nested("driver", VirtioDriver)


class Panic(Device):
    """``<panic>``: how the guest tells that it crashed."""

    natural_key = "model"
    order = "alias address"
    model = Choice("@model", ("isa", "pseries", "hyperv", "s390"))


class Iommu(Indexed):
    """``<iommu>``"""

    born = {"model": "intel"}
    order = "driver alias address acpi"
    model = Choice("@model", ("intel", "smmuv3", "virtio"), required=True)
    intremap = OnOff("driver@intremap")
    caching_mode = OnOff("driver@caching_mode")
    eim = OnOff("driver@eim")
    iotlb = OnOff("driver@iotlb")
    aw_bits = Integer("driver@aw_bits", 0, 255)


class Nvram(Node):
    """``<nvram>`` of a pSeries machine."""

    address = Nested("address", Address)
