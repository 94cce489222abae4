"""``<interface>``: network cards."""

from __future__ import annotations

import secrets
from collections.abc import Iterable

from vms.definition.devices.base import A_PATH, PATH, UUID, Address, Bootable, Indexed, Rom, VirtioDriver
from vms.definition.devices.source import Reconnect
from vms.definition.nodes import Many, Nested, Node
from vms.definition.properties import Choice, Integer, OnOff, Text, YesNo
from vms.definition.sentences import say

TYPES = (
    "network", "bridge", "direct", "ethernet", "user", "hostdev", "vhostuser", "vdpa", "vds", "internal", "mcast", "client",
    "server", "udp", "null",
)  # fmt: skip
MAC = r"[a-fA-F0-9][02468aAcCeE](:[a-fA-F0-9]{2}){5}"
#: the first three bytes that QEMU/KVM and Xen have for made-up addresses
QEMU_MAC, XEN_MAC = "52:54:00", "00:16:3e"
_NAME = r"[a-zA-Z0-9_.\-\\:/]+"


class Source(Node):
    """``<source>`` of a network card: which of these count depends on the card's type."""

    network = Text("@network")
    portgroup = Text("@portgroup", _NAME)
    port_id = Text("@portid", UUID, say("A UUID."))
    bridge = Text("@bridge", r"[a-zA-Z0-9_.\-\\:/ ]*")
    mac_table_manager = Choice("@macTableManager", ("kernel", "libvirt"))
    dev = Text("@dev", _NAME)
    mode = Text("@mode", r"vepa|bridge|private|passthrough|server|client")
    type = Text("@type", r"unix")
    path = Text("@path", PATH, A_PATH)
    name = Text("@name", _NAME)
    host = Text("@address", r"[0-9]{1,3}(\.[0-9]{1,3}){3}")
    port = Integer("@port", 0, 65535)
    reconnect = Nested("reconnect", Reconnect)
    address = Nested("address", Address)


class VirtualPort(Node):
    """``<virtualport>``: what the switch is told about the port."""

    type = Choice("@type", ("802.1Qbg", "802.1Qbh", "openvswitch", "midonet"))
    manager_id = Integer("parameters@managerid", 0, 255)
    type_id = Integer("parameters@typeid", 0, 2**24 - 1)
    type_id_version = Integer("parameters@typeidversion", 0, 255)
    instance_id = Text("parameters@instanceid", UUID, say("A UUID."))
    profile_id = Text("parameters@profileid", r".{1,39}", say("Up to 39 characters."))
    interface_id = Text("parameters@interfaceid", UUID, say("A UUID."))


class Rate(Node):
    """``<inbound>`` or ``<outbound>``: kilobytes a second; ``burst`` in kilobytes."""

    average = Integer("@average", 1, 2**32 - 1)
    peak = Integer("@peak", 1, 2**32 - 1)
    floor = Integer("@floor", 1, 2**32 - 1)
    burst = Integer("@burst", 1, 2**32 - 1)


class Bandwidth(Node):
    """``<bandwidth>``"""

    order = "inbound outbound"
    inbound = Nested("inbound", Rate)
    outbound = Nested("outbound", Rate)


class VlanTag(Node):
    """``<tag>`` of a VLAN."""

    natural_key = "id"
    id = Integer("@id", 0, 4095, required=True)
    native_mode = Choice("@nativeMode", ("tagged", "untagged"))


class FilterParameter(Node):
    """``<parameter>`` of a network filter."""

    natural_key = "name"
    name = Text("@name", r"[a-zA-Z0-9_]+", required=True)
    value = Text("@value", r"[a-zA-Z0-9_.:]+", required=True)


class Driver(VirtioDriver):
    """``<driver>`` of a network card."""

    name = Choice("@name", ("qemu", "vhost", "kvm", "vfio", "xen"))
    queues = Integer("@queues", 1, 2**16)
    rx_queue_size = Integer("@rx_queue_size", 1, 2**16)
    tx_queue_size = Integer("@tx_queue_size", 1, 2**16)
    txmode = Choice("@txmode", ("iothread", "timer"))
    io_eventfd = OnOff("@ioeventfd")
    event_idx = OnOff("@event_idx")
    rss = OnOff("@rss")
    rss_hash_report = OnOff("@rss_hash_report")
    host_csum = OnOff("host@csum")
    host_gso = OnOff("host@gso")
    host_mrg_rxbuf = OnOff("host@mrg_rxbuf")
    guest_csum = OnOff("guest@csum")
    guest_tso4 = OnOff("guest@tso4")
    guest_tso6 = OnOff("guest@tso6")


class Interface(Bootable, Indexed):
    """``<interface>``"""

    natural_key = "mac"
    born = {"type": "network"}
    order = (
        "mac source virtualport ip route portForward script downscript backenddomain bandwidth vlan port "
        "target guest model driver backend filterref tune link mtu coalesce teaming boot rom alias address "
        "acpi"
    )
    type = Choice("@type", TYPES, required=True)
    managed = YesNo("@managed")
    trust_guest_rx_filters = YesNo("@trustGuestRxFilters")
    mac = Text("mac@address", MAC, say("Six pairs of hexadecimal digits, and the first one even."), whole=True)
    mac_type = Choice("mac@type", ("generated", "static"))
    mac_check = YesNo("mac@check")
    source = Nested("source", Source)
    model = Text("model@type", r"[a-zA-Z0-9\-_]+")
    link = Choice("link@state", ("up", "down"))
    mtu = Integer("mtu@size", 0, 65535)
    filter = Text("filterref@filter", r"[a-zA-Z_][a-zA-Z0-9_.\-]*", whole=True)
    filter_parameters = Many("filterref/parameter", FilterParameter)
    bandwidth = Nested("bandwidth", Bandwidth)
    vlan_trunk = YesNo("vlan@trunk")
    vlan_tags = Many("vlan/tag", VlanTag)
    virtualport = Nested("virtualport", VirtualPort)
    target = Text("target@dev", _NAME, whole=True)
    target_managed = YesNo("target@managed")
    guest_name = Text("guest@dev", _NAME)
    driver = Nested("driver", Driver)
    backend_type = Choice("backend@type", ("passt",))
    backend_tap = Text("backend@tap", PATH, A_PATH)
    backend_vhost = Text("backend@vhost", PATH, A_PATH)
    script = Text("script@path")
    port_isolated = YesNo("port@isolated")
    sndbuf = Integer("tune/sndbuf", 0, 2**32 - 1)
    coalesce_frames = Integer("coalesce/rx/frames@max", 0, 2**32 - 1)
    teaming = Choice("teaming@type", ("persistent", "transient"), whole=True)
    teaming_persistent = Text("teaming@persistent", r"[a-zA-Z0-9_\-.]+")
    rom = Nested("rom", Rom)


def fresh_mac(taken: Iterable[str] = (), prefix: str = QEMU_MAC) -> str:
    """A made-up MAC address that is none of ``taken``."""
    used = {mac.lower() for mac in taken}
    while True:
        mac = prefix + "".join(f":{byte:02x}" for byte in secrets.token_bytes(3))
        if mac not in used:
            return mac
