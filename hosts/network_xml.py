"""Networks as fields: read from their XML, and written into it. What no field knows stays as it is. lxml and nothing else."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from lxml import etree

from hosts import network_addresses
from hosts import network_tree as tree
from hosts.network_modes import MACVTAP_MODES, MODES

Element = etree._Element
Fields = Mapping[str, Any]
#: fields that are one attribute
ATTRIBUTES = {
    "bridge": "bridge@name", "domain": "domain@name", "nat_start": "forward/nat/address@start",
    "nat_end": "forward/nat/address@end", "pf": "forward/pf@dev", "mtu": "mtu@size",
}  # fmt: skip
ATTRIBUTES |= {
    f"{way}_{name}": f"bandwidth/{way}@{name}"
    for way in ("inbound", "outbound")
    for name in ("average", "peak", "burst")
}
NUMBERS = ("mtu", *(name for name in ATTRIBUTES if name.startswith(("inbound_", "outbound_"))))


def new(name: str, uuid: str) -> Element:
    """The least that is a network."""
    root = etree.Element("network")
    tree.add(root, "name").text = name
    tree.add(root, "uuid").text = uuid
    return root


def mode_of(root: Element) -> str:
    """Which of the modes it is; '' for one that has no form."""
    forward = root.find("forward")
    mode = forward.get("mode", "nat") if forward is not None else "isolated"
    if mode in ("none", "isolated"):
        return "isolated"
    if mode == "hostdev":
        return "sriov"
    if mode in MACVTAP_MODES and root.find("bridge") is None:
        return "macvtap"
    if mode == "bridge":
        return "ovs" if tree.get(root, "virtualport@type") == "openvswitch" else "bridge"
    return mode if mode in MODES else ""


def read(root: Element) -> dict[str, Any]:
    """The fields of its mode that say something, and ``mode``."""
    mode = MODES.get(mode_of(root))
    if mode is None:
        return {"mode": ""}
    found = {name: _read_one(root, name) for name in mode.fields}
    return {"mode": mode.name} | {name: value for name, value in found.items() if value not in ("", [], None)}


def _read_one(root: Element, name: str) -> Any:
    if name in ATTRIBUTES:
        text = tree.get(root, ATTRIBUTES[name])
        return (int(text) if text.isdecimal() else None) if name in NUMBERS else text
    return FIELDS[name][0](root)


def apply(root: Element, fields: Fields) -> Element:
    """Write the fields of ``fields["mode"]`` that differ into the tree; one that is missing is taken out of it."""
    mode, now = MODES[fields["mode"]], read(root)
    if now["mode"] != mode.name:
        _set_mode(root, mode.name)
    for name in mode.fields:
        if (wanted := fields.get(name)) != now.get(name) or now["mode"] != mode.name:
            _write_one(root, name, wanted)
    return root


def _write_one(root: Element, name: str, value: Any) -> None:
    if name in ATTRIBUTES:
        tree.put(root, ATTRIBUTES[name], "" if value is None else str(value))
        if name.startswith("nat_"):
            tree.drop_if_empty(root.find("forward/nat"))
        elif name.startswith(("inbound_", "outbound_")):
            tree.drop_if_empty(root.find("bandwidth"))
    else:
        FIELDS[name][1](root, value)


def _set_mode(root: Element, mode: str) -> None:
    tree.drop(root.find("forward"))
    if mode == "isolated":
        return
    words = {"ovs": "bridge", "macvtap": "bridge", "sriov": "hostdev"}
    forward = tree.add(root, "forward", mode=words.get(mode, mode))
    if mode == "sriov":
        forward.set("managed", "yes")
    if mode == "ovs":
        tree.put(root, "virtualport@type", "openvswitch")


# --- forwarding


def _forward_dev(root: Element) -> str:
    return tree.get(root, "forward@dev") or tree.get(root, "forward/interface@dev")


def _set_forward_dev(root: Element, value: str | None) -> None:
    forward = tree.make(root, "forward")
    for child in forward.findall("interface"):
        forward.remove(child)
    tree.put(root, "forward@dev", value or "")


def _nat_ipv6(root: Element) -> bool | None:
    return True if tree.get(root, "forward/nat@ipv6") == "yes" else None


def _set_nat_ipv6(root: Element, value: bool | None) -> None:
    tree.put(root, "forward/nat@ipv6", "yes" if value else "")


def _devices(root: Element) -> list[str]:
    return [str(child.get("dev")) for child in root.findall("forward/interface") if child.get("dev")]


def _set_devices(root: Element, value: list[str] | None) -> None:
    forward = tree.make(root, "forward")
    tree.forget(forward, "dev")
    tree.same_list(forward, "interface", value or [], lambda child: child.get("dev", ""), lambda dev: {"dev": dev})


def _pci(root: Element) -> list[str]:
    return [_pci_text(child) for child in root.findall("forward/address")]


def _pci_text(child: Element) -> str:
    domain, bus, slot, function = (int(child.get(name, "0"), 16) for name in ("domain", "bus", "slot", "function"))
    return f"{domain:04x}:{bus:02x}:{slot:02x}.{function:x}"


def _set_pci(root: Element, value: list[str] | None) -> None:
    tree.same_list(tree.make(root, "forward"), "address", value or [], _pci_text, _pci_attributes)


def _pci_attributes(text: str) -> dict[str, str]:
    domain, bus, rest = text.split(":")
    slot, _dot, function = rest.partition(".")
    return {"type": "pci", "domain": f"0x{domain}", "bus": f"0x{bus}", "slot": f"0x{slot}", "function": f"0x{function}"}


def _set_macvtap(root: Element, value: str | None) -> None:
    tree.make(root, "forward").set("mode", value or "bridge")


def _vlans(root: Element) -> list[int]:
    return [int(tag.get("id", "0")) for tag in root.findall("vlan/tag")]


def _set_vlans(root: Element, value: list[int] | None) -> None:
    if not value:
        tree.drop(root.find("vlan"))
        return
    vlan = tree.make(root, "vlan")
    tree.same_list(vlan, "tag", map(str, value), lambda tag: tag.get("id", ""), lambda one: {"id": one})
    tree.put(root, "vlan@trunk", "yes" if len(value) > 1 else "")


FIELDS: dict[str, tuple[Callable[[Element], Any], Callable[[Element, Any], None]]] = {
    **network_addresses.FIELDS,
    "forward_dev": (_forward_dev, _set_forward_dev),
    "nat_ipv6": (_nat_ipv6, _set_nat_ipv6),
    "devices": (_devices, _set_devices),
    "macvtap_mode": (lambda root: tree.get(root, "forward@mode"), _set_macvtap),
    "pci": (_pci, _set_pci),
    "vlans": (_vlans, _set_vlans),
}
