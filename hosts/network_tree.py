"""A network's XML edited in place: each field has its elements; what is not known stays as it is. lxml and nothing else."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterable
from typing import Any

from lxml import etree

#: in this order libvirt writes the children of <network>
ORDER = (
    "name", "uuid", "title", "description", "metadata", "forward", "bridge", "mtu", "mac", "domain", "dns", "bandwidth",
    "vlan", "port", "ip", "route", "virtualport", "portgroup",
)  # fmt: skip
#: of <forward>, <ip>, <dns> …: what comes first
INNER = {
    "interface": 0,
    "nat": 1,
    "forwarder": 1,
    "txt": 2,
    "host": 3,
    "srv": 2,
    "tftp": 0,
    "dhcp": 1,
    "range": 0,
    "inbound": 0,
}
LARGEST = 2**20
_PARSER = etree.XMLParser(
    resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False, remove_blank_text=True
)


class Malformed(ValueError):
    """Not the XML of a network."""


def parse(text: str) -> etree._Element:
    """The root element. Raises Malformed."""
    try:
        root = etree.fromstring(text.encode(), _PARSER)
    except (etree.XMLSyntaxError, ValueError) as error:
        raise Malformed(str(error)) from error
    if root.getroottree().docinfo.internalDTD is not None:
        raise Malformed("<!DOCTYPE>")
    if root.tag != "network":
        raise Malformed(f"<{root.tag}>")
    return root


def text_of(root: etree._Element) -> str:
    """The XML as text."""
    return etree.tostring(root, encoding="unicode", pretty_print=True)


def make(parent: etree._Element, path: str) -> etree._Element:
    """The element at ``path`` below ``parent``, made where it is not there."""
    for tag in path.split("/"):
        found = parent.find(tag)
        parent = found if found is not None else add(parent, tag)
    return parent


def add(parent: etree._Element, tag: str, **attributes: str) -> etree._Element:
    """A new child, put where libvirt would write it."""
    element = etree.Element(tag, attributes)
    own = _rank(parent, tag)
    after = [
        index for index, child in enumerate(parent) if isinstance(child.tag, str) and _rank(parent, child.tag) <= own
    ]
    parent.insert(after[-1] + 1 if after else 0, element)
    return element


def _rank(parent: etree._Element, tag: str) -> int:
    if parent.tag == "network":
        return ORDER.index(tag) if tag in ORDER else len(ORDER)
    return INNER.get(tag, 5)


def drop(element: etree._Element | None) -> None:
    """Take an element out."""
    parent = element.getparent() if element is not None else None
    if element is not None and parent is not None:
        parent.remove(element)


def drop_if_empty(element: etree._Element | None) -> None:
    """Take an element out that says nothing any more."""
    if element is not None and not len(element) and not element.attrib and not (element.text or "").strip():
        drop(element)


def forget(element: etree._Element, name: str) -> None:
    """Take an attribute away, where there is one."""
    if name in element.attrib:
        del element.attrib[name]


def get(root: etree._Element, path: str) -> str:
    """``path@attribute``; '' where it is not said."""
    place, _at, name = path.rpartition("@")
    element = root.find(place) if place else root
    return str(element.get(name, "")) if element is not None else ""


def put(root: etree._Element, path: str, value: str) -> None:
    """Say ``path@attribute``; '' takes it away, and its element with it when nothing else is in it."""
    place, _at, name = path.rpartition("@")
    if value:
        make(root, place).set(name, value)
        return
    element = root.find(place)
    if element is not None and name in element.attrib:
        del element.attrib[name]
        drop_if_empty(element)


def same_list(
    parent: etree._Element, tag: str, wanted: Iterable[str], read: Callable[[etree._Element], str],
    write: Callable[[str], dict[str, str]],
) -> None:  # fmt: skip
    """Make the children ``tag`` say ``wanted``: those that do already stay, with all that is in them."""
    missing = list(wanted)
    for child in parent.findall(tag):
        said = read(child)
        if said in missing:
            missing.remove(said)
        elif said:
            parent.remove(child)
    for value in missing:
        add(parent, tag, **write(value))


def ip_of(root: etree._Element, family: str) -> etree._Element | None:
    """The first ``<ip>`` of a family: ipv4 or ipv6."""
    return next((ip for ip in root.findall("ip") if ip.get("family", "ipv4") == family), None)


def network_of(ip: etree._Element) -> str:
    """``address/prefix`` of an ``<ip>``; '' where it makes no sense."""
    whole: Any = ip.get("prefix") or ip.get("netmask") or (128 if ip.get("family") == "ipv6" else 32)
    try:
        return str(ipaddress.ip_interface(f"{ip.get('address')}/{whole}"))
    except ValueError:
        return ""
