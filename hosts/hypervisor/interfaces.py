"""Bridges, bonds and network devices of a host as facts: from libvirt's interface driver, and from its list of devices."""

from __future__ import annotations

import ipaddress
import re
import xml.etree.ElementTree as ElementTree
from dataclasses import replace

import libvirt

from hosts.hypervisor.connection import Connection
from hosts.hypervisor.records import InterfaceLook, InterfaceRecord

#: of guests, one for each network card: they are told with the guests, and there may be thousands
OF_GUESTS = re.compile(r"(?:net_)?(?:vnet|macvtap|macvlan|tap)\d+")


def read_interfaces(connection: Connection) -> InterfaceLook:
    """All that are not guests'. Where the interface driver does not tell, ``trouble`` says why; devices are there all the same."""
    return connection.call(_read, seconds=60)


def _read(raw: libvirt.virConnect) -> InterfaceLook:
    found, trouble = {}, ""
    try:
        interfaces = raw.listAllInterfaces(0)
        found = {
            one.name(): record_of(one.XMLDesc(0), bool(one.isActive())) for one in interfaces if _is_own(one.name())
        }
    except libvirt.libvirtError as error:
        trouble = _trouble(raw, error)
    for record in _devices(raw):
        known = found.get(record.name)
        found[record.name] = record if known is None else replace(
            known, mac=known.mac or record.mac, link=known.link or record.link, speed=known.speed or record.speed,
            parent=record.parent,
        )  # fmt: skip
    return InterfaceLook([found[name] for name in sorted(found)], trouble)


def _is_own(name: str) -> bool:
    return OF_GUESTS.match(name) is None


def _trouble(raw: libvirt.virConnect, error: libvirt.libvirtError) -> str:
    """libvirt's words, of a host that is there: one without that driver says so, or that its daemon for it is away."""
    if not raw.isAlive():
        raise error
    return str(error.get_error_message() or error)


def _devices(raw: libvirt.virConnect) -> list[InterfaceRecord]:
    try:
        devices = raw.listAllDevices(libvirt.VIR_CONNECT_LIST_NODE_DEVICES_CAP_NET)
        texts = [(device.parent() or "", device.XMLDesc(0)) for device in devices if _is_own(device.name())]
    except libvirt.libvirtError as error:
        _trouble(raw, error)
        return []
    return [record for parent, text in texts if (record := _device(parent, text)) is not None]


def _device(parent: str, text: str) -> InterfaceRecord | None:
    """A device of the host with the capability of a network."""
    capability = ElementTree.fromstring(text).find("capability[@type='net']")
    name = capability.findtext("interface") if capability is not None else None
    if capability is None or not name:
        return None
    link = capability.find("link")
    return InterfaceRecord(
        name=name,
        kind="ethernet",
        active=link is not None and link.get("state") == "up",
        link=link.get("state", "") if link is not None else "",
        speed=_number(link.get("speed")) if link is not None else 0,
        mac=capability.findtext("address") or "",
        parent="" if parent == "computer" else parent,
    )


def record_of(text: str, active: bool) -> InterfaceRecord:
    """An ``<interface>`` of the interface driver."""
    root = ElementTree.fromstring(text)
    inner = next((part for kind in ("bridge", "bond", "vlan") if (part := root.find(kind)) is not None), None)
    link, mac, mtu = root.find("link"), root.find("mac"), root.find("mtu")
    addresses = [address for ip in root.findall("protocol/ip") if (address := _address(ip))]
    return InterfaceRecord(
        name=root.get("name", ""),
        kind=root.get("type", ""),
        active=active,
        link=link.get("state", "") if link is not None else "",
        speed=_number(link.get("speed")) if link is not None else 0,
        mac=mac.get("address", "") if mac is not None else "",
        mtu=_number(mtu.get("size")) if mtu is not None else 0,
        addresses=addresses,
        members=[
            name for part in (inner.findall("interface") if inner is not None else []) if (name := part.get("name"))
        ],
        tag=_number(inner.get("tag")) if inner is not None else 0,
    )


def _address(ip: ElementTree.Element) -> str:
    try:
        return str(ipaddress.ip_interface(f"{ip.get('address')}/{ip.get('prefix') or ''}".rstrip("/")))
    except ValueError:
        return ""


def _number(text: str | None) -> int:
    return int(text) if text and text.isascii() and text.isdecimal() else 0
