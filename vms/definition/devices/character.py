"""Devices that carry characters: ``<serial>``, ``<console>``, ``<parallel>``, ``<channel>``."""

from __future__ import annotations

from vms.definition.devices.base import Device, Indexed
from vms.definition.devices.source import Reconnect, SecurityLabel
from vms.definition.nodes import Many, Nested, Node
from vms.definition.properties import Choice, Integer, OnOff, Text, YesNo
from vms.definition.sentences import say

TYPES = (
    "pty", "unix", "tcp", "udp", "file", "dev", "pipe", "null", "stdio", "vc", "spicevmc", "spiceport", "nmdm",
    "qemu-vdagent", "dbus",
)  # fmt: skip
SERIAL_TYPES = (
    "isa-serial",
    "usb-serial",
    "pci-serial",
    "spapr-vio-serial",
    "system-serial",
    "sclp-serial",
    "isa-debug",
)
SERIAL_MODELS = (
    "isa-serial", "usb-serial", "pci-serial", "spapr-vty", "pl011", "16550a", "sclpconsole", "sclplmconsole",
    "isa-debugcon",
)  # fmt: skip


class Source(Node):
    """``<source>`` of a character device: which of these count depends on the device's type."""

    natural_key = "mode"
    mode = Choice("@mode", ("bind", "connect"))
    path = Text("@path")
    host = Text("@host")
    service = Text("@service")
    channel = Text("@channel")
    master = Text("@master")
    slave = Text("@slave")
    append = OnOff("@append")
    tls = YesNo("@tls")
    reconnect = Nested("reconnect", Reconnect)
    labels = Many("seclabel", SecurityLabel)
    copy_paste = YesNo("clipboard@copypaste")
    mouse_mode = Choice("mouse@mode", ("server", "client"))


class Character(Device):
    """What all of them have."""

    born = {"type": "pty"}
    order = "source protocol log target alias address acpi"
    type = Choice("@type", TYPES, required=True)
    tty = Text("@tty", read_only=True)
    source = Nested("source", Source)
    sources = Many("source", Source)
    protocol = Choice("protocol@type", ("raw", "telnet", "telnets", "tls"))
    log_file = Text("log@file", r"/[^\n]+", say("A path begins with “/”."), whole=True)
    log_append = OnOff("log@append")


class Serial(Character, Indexed):
    """``<serial>``"""

    natural_key = "port"
    port = Integer("target@port")
    target = Choice("target@type", SERIAL_TYPES)
    model = Choice("target/model@name", SERIAL_MODELS)


class Parallel(Character, Indexed):
    """``<parallel>``"""

    natural_key = "port"
    port = Integer("target@port")


class Console(Character, Indexed):
    """``<console>``"""

    natural_key = "port"
    port = Integer("target@port")
    target = Choice("target@type", ("serial", "virtio", "xen", "sclp", "sclplm", "lxc", "uml", "openvz"))


class Channel(Character):
    """``<channel>``: a line between host and guest, such as the guest agent's."""

    natural_key = "name"
    target = Choice("target@type", ("virtio", "guestfwd", "xen"))
    name = Text("target@name")
    state = Choice("target@state", ("connected", "disconnected"), read_only=True)
    forward_address = Text("target@address")
    forward_port = Text("target@port")
