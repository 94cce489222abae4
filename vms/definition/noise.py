"""What libvirt adds to a running guest's definition and nobody wrote: left out where definitions are compared."""

from __future__ import annotations

from typing import Any

from lxml import etree

from vms.definition.sizes import UNITS, whole_number
from vms.definition.xml import parse_to_edit

ELEMENTS = ("alias", "backingStore", "privateData", "actual", "mirror")
ATTRIBUTES = (
    ("source", "index"), ("source", "portid"), ("source", "tty"), ("target", "state"), ("target", "tray"), ("console", "tty"),
    ("cpu", "check"), ("graphics", "port"), ("graphics", "websocket"), ("graphics", "tlsPort"),
)  # fmt: skip
FILLED_IN = (("devices/disk/source", "tls"), ("devices/graphics", "listen"), ("devices/graphics/listen", "address"))


def quiet(text: str) -> str:
    """A running guest's definition without what belongs to this run. Raises MalformedDefinition."""
    root = parse_to_edit(text)
    take_away(root)
    return etree.tostring(root, encoding="unicode")


def take_away(root: Any) -> None:
    """Take away what only a running guest has."""
    root.attrib.pop("id", "")
    for name in ELEMENTS:
        for element in list(root.iter(name)):
            if name != "alias" or not element.get("name", "").startswith("ua-"):
                _remove(element)
    for name, attribute in ATTRIBUTES:
        for element in root.iter(name):
            if (name, attribute) != ("graphics", "port") or element.get("autoport") == "yes":
                element.attrib.pop(attribute, "")
    for element in _of_this_run(root):
        _remove(element)


def take_away_filled_in(now: Any, then: Any) -> None:
    """Take away what libvirt filled in when the guest was started, because nobody had said it."""
    said = {feature.get("name") for feature in then.findall("cpu/feature")}
    for feature in now.findall("cpu/feature"):
        if feature.get("name") not in said:
            _remove(feature)
    _take_away_networks_own(now, then)
    _take_away_grown(now)
    _take_away_chosen_firmware(now.find("os"), then.find("os"))
    for path, attribute in FILLED_IN:
        if any(element.get(attribute) for element in then.findall(path)):
            continue
        for element in now.findall(path):
            element.attrib.pop(attribute, "")


def _take_away_networks_own(now: Any, then: Any) -> None:
    """What a card on a network has from that: a port of Open vSwitch, VLANs."""
    # libvirt writes both into the running guest's definition.
    cards = {_mac(card): card for card in then.findall("devices/interface")}
    for card in now.findall("devices/interface[@type='network']"):
        stored = cards.get(_mac(card))
        for name in ("vlan", "virtualport"):
            if stored is not None and stored.find(name) is None and (mine := card.find(name)) is not None:
                _remove(mine)


def _take_away_grown(now: Any) -> None:
    """What modules that grow have by now, which libvirt counts into the memory of a guest that runs."""
    grown = 0
    for target in now.findall("devices/memory[@model='virtio-mem']/target"):
        current = target.find("current")
        if current is not None:
            grown += _bytes(current)
            target.remove(current)
    has = now.find("currentMemory")
    if grown and has is not None:
        has.text, has.attrib["unit"] = str((_bytes(has) - grown) // 1024), "KiB"


def _bytes(element: Any) -> int:
    return (whole_number(element.text or "") or 0) * UNITS.get(element.get("unit", "KiB").lower(), 1024)


def _mac(card: Any) -> str:
    mac = card.find("mac")
    return str(mac.get("address", "")).lower() if mac is not None else ""


def _take_away_chosen_firmware(now: Any, then: Any) -> None:
    """Of a guest that only says which kind of firmware it wants, libvirt chooses the files when it starts, and drops that word."""
    if now is None or then is None or not then.get("firmware") or now.get("firmware"):
        return
    now.set("firmware", then.get("firmware"))
    for name in ("loader", "nvram", "firmware"):
        mine, said = now.find(name), then.find(name)
        if mine is None:
            continue
        if said is None:
            _remove(mine)
            continue
        for attribute in set(mine.attrib) - set(said.attrib):
            del mine.attrib[attribute]
        if not (said.text or "").strip():
            mine.text = said.text


def as_on_network(card: Any) -> None:
    """Of a card on a network that stands for a bridge or a device, libvirt says while it runs that it is on that."""
    source = card.find("source")
    if source is None or not source.get("network") or card.get("type") not in ("network", "bridge", "direct"):
        return
    card.set("type", "network")
    for name in ("bridge", "portid", "dev", "mode"):
        source.attrib.pop(name, None)


def _of_this_run(root: Any) -> list[Any]:
    vnets = [e for e in root.findall("devices/interface/target") if e.get("dev", "").startswith(("vnet", "macvtap"))]
    lines = [
        e for kind in ("serial", "console", "channel") for e in root.findall(f"devices/{kind}[@type='pty']/source")
    ]
    channels = [
        e for e in root.findall("devices/channel[@type='unix']/source") if "/channel/target/" in e.get("path", "")
    ]
    for card in root.findall("devices/interface"):
        as_on_network(card)
    return [*vnets, *lines, *channels, *root.findall("seclabel[@type='dynamic']"), *root.findall("resource")]


def _remove(element: Any) -> None:
    parent = element.getparent()
    if parent is not None:
        parent.remove(element)
