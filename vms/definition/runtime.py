"""What belongs to one run of a guest, or says no more than the default: libvirt leaves it out of the stored definition."""

from __future__ import annotations

from functools import lru_cache

from vms.definition import tree
from vms.definition.nodes import Node

#: libvirt writes these for a running guest, or makes them itself
_ELEMENTS = frozenset({"actual", "privateData", "mirror", "backingStore"})
#: (parent, element) that libvirt fills in
_BELOW = frozenset({("seclabel", "imagelabel"), ("seclabel", "label")})
#: (element, attribute), '*' for any element
_ATTRIBUTES = frozenset(
    {
        ("domain", "id"), ("source", "index"), ("source", "portid"), ("source", "tty"), ("console", "tty"), ("target", "state"),
        ("graphics", "port"), ("graphics", "websocket"), ("graphics", "tlsPort"), ("graphics", "listen"), ("target", "tray"),
    }
)  # fmt: skip
#: values that say what would be so without them
_DEFAULTS = frozenset({"default"})
#: names that libvirt gives to the host's end of a network card
_GENERATED = ("vnet", "vif", "macvtap", "macvlan")


def is_no_loss(element: tree.Element, attribute: str = "") -> bool:
    """Whether nothing is lost when the element, or this attribute of it, is not stored."""
    if attribute:
        return _is_idle_attribute(element, attribute)
    parent = element.getparent()
    above = parent.tag if parent is not None else ""
    if element.tag in _ELEMENTS or (above, element.tag) in _BELOW:
        return True
    if element.tag == "source" and parent is not None and _is_chosen(parent, element):
        return True
    if element.tag == "alias":
        return not element.get("name", "").startswith("ua-")
    if above == "interface" and element.tag == "target":
        return element.get("dev", "").startswith(_GENERATED)
    return tree.is_empty(element) and element.tag in _containers()


def _is_chosen(device: tree.Element, source: tree.Element) -> bool:
    """Whether libvirt chose the host's end of a character device itself."""
    if device.tag not in ("serial", "console", "parallel", "channel"):
        return False
    return device.get("type") == "pty" or "/libvirt/qemu/channel/" in source.get("path", "")


def _is_idle_attribute(element: tree.Element, attribute: str) -> bool:
    if (element.tag, attribute) in _ATTRIBUTES or element.get(attribute) in _DEFAULTS:
        return True
    if (element.tag, attribute) == ("source", "bridge"):
        return bool(element.get("network"))
    return (element.tag, attribute) == ("vcpu", "current") and element.get(attribute) == (element.text or "").strip()


@lru_cache(maxsize=1)
def _containers() -> frozenset[str]:
    """Elements that mean nothing when empty: on the way to declared values, and not meaning something by being there."""
    on_the_way: set[str] = set()
    lasting: set[str] = set()
    for kind in _kinds(Node):
        lasting |= kind.lasting
        ways = [property_.steps for property_ in kind.properties.values()]
        ways += [part.steps for part in kind.parts.values()] + [many.steps for many in kind.lists.values()]
        on_the_way |= {step.tag for way in ways for step in way}
    return frozenset(on_the_way - lasting)


def _kinds(kind: type[Node]) -> list[type[Node]]:
    return [kind, *(below for sub in kind.__subclasses__() for below in _kinds(sub))]
