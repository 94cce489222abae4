"""Virtual networks as facts."""

from __future__ import annotations

import ipaddress
import xml.etree.ElementTree as ElementTree

import libvirt

from hosts.hypervisor import errors
from hosts.hypervisor.connection import Connection
from hosts.hypervisor.records import LeaseRecord, NetworkRecord
from hosts.hypervisor.translate import translate


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
    return [record for network in networks if (record := _record(network)) is not None]


def _record(network: libvirt.virNetwork) -> NetworkRecord | None:
    """One network; None when it went while it was read."""
    try:
        return _read(network)
    except libvirt.libvirtError as error:
        if isinstance(translate(error), errors.NotFound):
            return None
        raise


def _read(network: libvirt.virNetwork) -> NetworkRecord:
    definition = network.XMLDesc(0)
    tree = ElementTree.fromstring(definition)
    bridge, forward = tree.find("bridge"), tree.find("forward")
    active, persistent = bool(network.isActive()), bool(network.isPersistent())
    return NetworkRecord(
        uuid=network.UUIDString(),
        name=network.name(),
        active=active,
        autostart=bool(network.autostart()),
        persistent=persistent,
        bridge=bridge.get("name", "") if bridge is not None else "",
        forward=forward.get("mode", "nat") if forward is not None else "isolated",
        addresses=[address for ip in tree.findall("ip") if (address := _interface(ip))],
        definition=definition,
        next_definition=definition_of(network, next_start=True) if active and persistent else "",
        leases=_leases(network) if active else [],
    )


def definition_of(network: libvirt.virNetwork, *, next_start: bool = False) -> str:
    """Its XML as it is now, or as it is started next.

    A driver that keeps one definition alone (libvirt's test driver) takes no flags, and says so by the only code for
    arguments that are wrong; all else is a real error.
    """
    if not next_start:
        return str(network.XMLDesc(0))
    try:
        return str(network.XMLDesc(libvirt.VIR_NETWORK_XML_INACTIVE))
    except libvirt.libvirtError as error:
        if error.get_error_code() != libvirt.VIR_ERR_INVALID_ARG:
            raise
        return str(network.XMLDesc(0))


def _interface(ip: ElementTree.Element) -> str:
    """An ``<ip>`` element as address/prefix; '' for what is none."""
    whole = 128 if ip.get("family") == "ipv6" else 32
    mask = ip.get("prefix") or ip.get("netmask") or whole
    try:
        return str(ipaddress.ip_interface(f"{ip.get('address')}/{mask}"))
    except ValueError:
        return ""


def _leases(network: libvirt.virNetwork) -> list[LeaseRecord]:
    try:
        leases = network.DHCPLeases()
    except libvirt.libvirtError as error:
        if error.get_error_code() == libvirt.VIR_ERR_NO_SUPPORT:
            return []  # The test driver hands out no addresses.
        raise
    return [
        LeaseRecord(
            mac=lease["mac"] or "",
            address=lease["ipaddr"],
            prefix=int(lease["prefix"]),
            hostname=lease["hostname"] or "",
            client_id=lease["clientid"] or "",
            expires=int(lease["expirytime"]),
        )
        for lease in leases
    ]
