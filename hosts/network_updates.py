"""What libvirt changes in a network while it is on: elements of six kinds, each with its fields. lxml and plain data only."""

from __future__ import annotations

import ipaddress
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext_lazy as _
from lxml import etree

from hosts import network_tree as tree
from hosts.network_addresses import fill_dns_host, host_attributes
from hosts.network_modes import QOS
from hosts.network_xml import Fields, read

Arguments = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Section:
    """One kind of element. ``key`` is the field that tells one from another."""

    name: str
    label: Any
    title: Any
    key: str
    fields: tuple[str, ...]
    commands: tuple[str, ...] = ("add", "delete")


SECTIONS: dict[str, Section] = {
    one.name: one
    for one in (
        Section("ip-dhcp-host", _("Static lease"), _("Static leases"), "lease", ("lease",), ("add", "modify", "delete")),
        Section("ip-dhcp-range", _("DHCP range"), _("DHCP ranges"), "range", ("range",)),
        Section("dns-host", _("DNS name"), _("DNS names"), "record", ("record",)),
        Section("dns-txt", _("DNS text"), _("DNS texts"), "txt", ("txt", "value")),
        Section(
            "portgroup", _("Port group"), _("Port groups"), "portgroup", ("portgroup", "default", "vlans", *QOS),
            ("add", "modify", "delete"),
        ),
        Section("forward-interface", _("Device"), _("Devices"), "device", ("device",)),
    )
}  # fmt: skip
COMMANDS = ("add", "modify", "delete")


@dataclass(frozen=True, slots=True)
class Change:
    """One call of virNetworkUpdate; ``parent`` is the number of the ``<ip>``, -1 where there is none."""

    command: str
    section: str
    parent: int
    element: str


def change(root: etree._Element, arguments: Arguments) -> Change:
    """The change that a network-update asks for, of the network ``root``."""
    section = arguments["section"]
    text = etree.tostring(element(section, arguments), encoding="unicode")
    return Change(arguments["command"], section, _parent(root, section, arguments), text)


def element(section: str, arguments: Arguments) -> etree._Element:
    """The element as libvirt takes it."""
    key = arguments[SECTIONS[section].key]
    if section == "ip-dhcp-host":
        return etree.Element("host", host_attributes(key))
    if section == "ip-dhcp-range":
        first, _dash, last = key.partition("-")
        return etree.Element("range", start=first, end=last)
    if section == "dns-host":
        found = etree.Element("host")
        fill_dns_host(found, key)
        return found
    if section == "dns-txt":
        return etree.Element("txt", name=key, value=arguments.get("value", ""))
    if section == "forward-interface":
        return etree.Element("interface", dev=key)
    return _portgroup(arguments)


def _portgroup(arguments: Arguments) -> etree._Element:
    found = etree.Element("portgroup", name=arguments["portgroup"])
    if arguments.get("default"):
        found.set("default", "yes")
    tags = arguments.get("vlans") or []
    if tags:
        vlan = etree.SubElement(found, "vlan", {"trunk": "yes"} if len(tags) > 1 else {})
        for tag in tags:
            etree.SubElement(vlan, "tag", id=str(tag))
    for name in QOS:
        if arguments.get(name):
            way, _underscore, what = name.partition("_")
            tree.put(found, f"bandwidth/{way}@{what}", str(arguments[name]))
    return found


def _parent(root: etree._Element, section: str, arguments: Arguments) -> int:
    """The number of the ``<ip>`` whose network has the address; -1 where that is of no interest."""
    if not section.startswith("ip-"):
        return -1
    where = _address(section, arguments)
    for number, ip in enumerate(root.findall("ip")):
        own = tree.network_of(ip)
        if own and where in ipaddress.ip_interface(own).network:
            return number
    return -1


def _address(section: str, arguments: Arguments) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    if section == "ip-dhcp-range":
        return ipaddress.ip_address(arguments["range"].partition("-")[0])
    return ipaddress.ip_address(host_attributes(arguments["lease"])["ip"])


def field_of(arguments: Arguments) -> str:
    """The field of the network that the section is a part of; '' for those that no form has."""
    section = arguments["section"]
    if section.startswith("ip-"):
        family = f"ipv{_address(section, arguments).version}"
        return f"{family}_hosts" if section == "ip-dhcp-host" else f"{family}_ranges"
    return {"dns-host": "dns_hosts", "forward-interface": "devices"}.get(section, "")


def fields_after(fields: Fields, arguments: Arguments) -> dict[str, Any]:
    """The network's fields as they will be."""
    name, key = field_of(arguments), arguments[SECTIONS[arguments["section"]].key]
    if not name:
        return dict(fields)
    kept = [one for one in fields.get(name, []) if one != key]
    if arguments["command"] == "modify":
        kept = [one for one in kept if one.split(" ")[0] != key.split(" ")[0]]
    return {**fields, name: kept if arguments["command"] == "delete" else [*kept, key]}


def known(root: etree._Element, arguments: Arguments) -> bool:
    """Whether the network has an element of that key; leases count by who has them when they are modified."""
    section, key = arguments["section"], arguments[SECTIONS[arguments["section"]].key]
    if section == "portgroup":
        return any(group.get("name") == key for group in root.findall("portgroup"))
    if section == "dns-txt":
        return any(txt.get("name") == key for txt in root.findall("dns/txt"))
    said = read(root).get(field_of(arguments), [])
    if arguments["command"] == "modify":
        return key.split(" ")[0] in [one.split(" ")[0] for one in said]
    return key in said


def live_changes(root: etree._Element, now: Fields, wanted: Fields) -> Iterator[Change]:
    """The changes by which a running network ``root`` comes nearer to ``wanted``: what goes first, then what comes."""
    parts = [
        ("ip-dhcp-range", "range", "ipv4_ranges"), ("ip-dhcp-range", "range", "ipv6_ranges"),
        ("ip-dhcp-host", "lease", "ipv4_hosts"), ("ip-dhcp-host", "lease", "ipv6_hosts"), ("dns-host", "record", "dns_hosts"),
    ]  # fmt: skip
    if wanted["mode"] == "macvtap":
        parts.append(("forward-interface", "device", "devices"))
    for command in ("delete", "add"):
        for section, key, name in parts:
            if name[:5] in ("ipv4_", "ipv6_") and now.get(name[:4]) != wanted.get(name[:4]):
                continue  # Another address of the host: that waits for the next start, and its leases with it.
            before, after = now.get(name, []), wanted.get(name, [])
            differ = [one for one in before if one not in after] if command == "delete" else [
                one for one in after if one not in before
            ]  # fmt: skip
            for one in differ:
                yield change(root, {"section": section, "command": command, key: one})


def virsh(name: str, asked: Change, *, live: bool, stored: bool) -> str:
    """The command that does the same."""
    words = ["virsh", "net-update", name, "add-last" if asked.command == "add" else asked.command, asked.section]
    words.append(asked.element)
    words += ["--parent-index", str(asked.parent)] if asked.parent >= 0 else []
    return shlex.join([*words, *(["--live"] if live else []), *(["--config"] if stored else [])])
