"""Virtual networks as facts."""

from __future__ import annotations

import ipaddress
import xml.etree.ElementTree as ElementTree

import libvirt

from hosts.hypervisor.connection import Connection
from hosts.hypervisor.records import NetworkRecord


def read_networks(connection: Connection) -> list[NetworkRecord]:
    """All networks of the host with their DHCP leases; none where the host has no network driver."""
    return connection.call(_read_networks, seconds=60)


def _read_networks(raw: libvirt.virConnect) -> list[NetworkRecord]:
    try:
        networks = raw.listAllNetworks(0)
    except libvirt.libvirtError as error:
        if error.get_error_code() == libvirt.VIR_ERR_NO_SUPPORT:
            return []
        raise
    return [_record(network) for network in networks]


def _record(network: libvirt.virNetwork) -> NetworkRecord:
    definition = network.XMLDesc(0)
    tree = ElementTree.fromstring(definition)
    bridge, forward = tree.find("bridge"), tree.find("forward")
    active = bool(network.isActive())
    return NetworkRecord(
        uuid=network.UUIDString(),
        name=network.name(),
        active=active,
        autostart=bool(network.autostart()),
        persistent=bool(network.isPersistent()),
        bridge=bridge.get("name", "") if bridge is not None else "",
        forward=forward.get("mode", "nat") if forward is not None else "isolated",
        addresses=[_interface(ip) for ip in tree.findall("ip")],
        definition=definition,
        leases=_leases(network) if active else [],
    )


def _interface(ip: ElementTree.Element) -> str:
    """An ``<ip>`` element as address/prefix."""
    mask = ip.get("prefix") or ip.get("netmask") or "32"
    return str(ipaddress.ip_interface(f"{ip.get('address')}/{mask}"))


def _leases(network: libvirt.virNetwork) -> list[tuple[str, str, str]]:
    try:
        leases = network.DHCPLeases()
    except libvirt.libvirtError:
        return []  # A network without DHCP has none to tell.
    return [(lease["mac"] or "", lease["ipaddr"], lease["hostname"] or "") for lease in leases]
