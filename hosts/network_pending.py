"""What of a running network's definition takes effect only when it is started next."""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext as _
from lxml import etree

from hosts import network_tree as tree
from hosts.models import Network
from hosts.network_labels import label_of
from hosts.network_xml import read

#: what a running network says of itself, and not of its definition
_OF_RUNNING = ("connections",)
USUAL_PORTS = ("1024", "65535")


def pending(network: Network) -> list[str]:
    """The parts that differ, as a person calls them; [] when nothing waits."""
    if not network.active or not network.next_definition:
        return []
    try:
        now, later = tree.parse(network.definition), tree.parse(network.next_definition)
    except tree.Malformed:
        return []
    fields, wanted = read(now), read(later)
    names = [name for name in {**fields, **wanted} if _said(fields, name) != _said(wanted, name)]
    if not names and _plain(now) != _plain(later):
        return [_("parts that have no field here")]
    return [str(label_of(name)) for name in names]


def _said(fields: dict[str, Any], name: str) -> Any:
    value = fields.get(name)
    return sorted(value, key=str) if isinstance(value, list) else value


def _plain(root: etree._Element) -> bytes:
    """Without what libvirt adds while it runs."""
    for element in root.iter(etree.Element):
        for name in _OF_RUNNING:
            tree.forget(element, name)
    for forward in root.findall("forward"):
        # Of a device libvirt makes a list of one, and of a physical function a list of its functions.
        for child in [*forward.findall("interface"), *forward.findall("address")]:
            forward.remove(child)
        # And it says which ports it hides guests behind when nobody said.
        for port in forward.findall("nat/port"):
            if (port.get("start"), port.get("end")) == USUAL_PORTS:
                tree.drop(port)
        tree.drop_if_empty(forward.find("nat"))
    _sort(root)
    return bytes(etree.tostring(root, method="c14n"))


def _sort(element: etree._Element) -> None:
    element[:] = sorted(element, key=lambda child: etree.tostring(child, method="c14n"))
