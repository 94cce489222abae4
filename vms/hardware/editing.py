"""Finding, adding, changing and removing devices in a definition, and the same device in another definition of the guest.

A device's path is the one of vms.definition below ``devices``: 'disks[vda]', 'interfaces[52:54:00:00:00:01]', 'rngs[#0]' where
nothing tells it from others, 'balloon' where a guest has one at most.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Iterable, Iterator, Mapping
from copy import deepcopy
from itertools import count
from typing import Any

from lxml import etree

from vms.definition import noise
from vms.definition.devices.disk import TARGET_PREFIXES, target_name
from vms.definition.devices.interface import Interface
from vms.definition.domain import Definition
from vms.definition.nodes import Node, UnknownProperty, split
from vms.definition.place import InvalidValue
from vms.definition.sentences import say
from vms.hardware import parameters, vlans
from vms.hardware.catalogue import Type

Values = Mapping[str, Any]
#: lists of a card that people write as one line
LINES = {parameters.PATH: parameters, vlans.PATH: vlans}
#: what is forgotten about an interface's old connection when it gets another one
_CONNECTION = ("source.network", "source.bridge", "source.dev", "source.portgroup", "source.port_id", "source.mode")


def devices(definition: Definition) -> Iterator[tuple[str, Node]]:
    """Every device that there is a class for, with its path."""
    root = definition.devices
    for name, many in root.lists.items():
        if "[" in many.path:
            continue
        nodes = list(getattr(root, name))
        counted = Counter((node.key or "").lower() for node in nodes)
        for place, node in enumerate(nodes):
            key = node.key
            yield f"{name}[{key if key and counted[key.lower()] == 1 and ']' not in key else f'#{place}'}]", node
    for name in root.parts:
        part = getattr(root, name)
        if part.exists:
            yield name, part


def find(definition: Definition, path: str) -> Node:
    """The device at that path. Raises UnknownProperty."""
    pieces = split(path)
    if len(pieces) != 1:
        raise UnknownProperty(path)
    node = definition.devices.step(*pieces[0])
    if not node.exists:
        raise UnknownProperty(path)
    return node


def twin(path: str, node: Node, other: Iterable[tuple[str, Node]]) -> Node | None:
    """The one of the ``devices`` of another definition of the same guest that is at ``path`` here; None when it is not there."""
    name, key = split(path)[0]
    same = {where: there for where, there in other if where.partition("[")[0] == name}
    if key is None:
        return same.get(name)
    if path in same and not key.startswith("#"):
        return same[path]
    if node.key and not key.startswith("#"):
        return None
    mine, there = bare(node), list(same.values())
    equal = next((one for one in there if bare(one) == mine), None)
    if equal is not None:
        return equal
    # Another than the very one must not be taken for it: what is asked for would be done to that.
    element = node.reach()
    before = len(list(element.itersiblings(element.tag, preceding=True)))
    after = len(list(element.itersiblings(element.tag)))
    return there[before] if len(there) == before + 1 + after else None


def bare(node: Node) -> bytes:
    """What somebody wrote of a device, without what libvirt adds to a running guest's."""
    element = deepcopy(node.reach())
    element.tail = None
    noise.take_away(element)
    for name in ("address", "target[@dev]" if element.tag == "interface" else "alias"):
        for one in element.findall(name):
            element.remove(one)
    for one in element.iter():
        one.tail = None
        if len(one) and not (one.text or "").strip():
            one.text = None
    return etree.tostring(element, method="c14n")


def xml(node: Node) -> str:
    """The device as libvirt takes it."""
    element = deepcopy(node.reach())
    element.tail = None
    if element.tag == "interface":
        # Told that it is on a bridge, libvirt would take it off its network.
        noise.as_on_network(element)
    etree.indent(element, "  ")
    return etree.tostring(element, encoding="unicode")


def values(node: Node, type_: Type) -> dict[str, Any]:
    """What a device says in the fields of its type; None for what it does not say."""
    return {one.path: says(node, one.path) for one in type_.fields if one.path != "device"}


def says(node: Node, path: str) -> Any:
    """What a device says at a path; None for nothing, also where not being there says no."""
    if path in LINES and isinstance(node, Interface):
        return LINES[path].told(node)
    where, name = node.locate(path)
    found = getattr(where, name)
    return None if found is False and where.properties[name].form == "presence" else found


def add(definition: Definition, type_: Type, given: Values) -> Node:
    """Add a device that says this. Raises InvalidValue, UnknownProperty."""
    root = definition.devices
    said = {**type_.born, **given}
    if type_.is_single:
        part: Node = getattr(root, type_.home)
        if part.exists:
            raise InvalidValue(type_.name, say("The guest has one already, and cannot have two."))
        part.reach()
        assign(definition, part, said)
        return part
    node: Node = getattr(root, type_.home).add()
    try:
        if "target.bus" in said and "target.dev" not in said:
            said = {"target.dev": root.free_target(said["target.bus"]), **said}
        assign(definition, node, said)
    except (InvalidValue, UnknownProperty):
        node.remove()
        raise
    if type_.name == "memory":
        _make_room(definition, node)
    if type_.name == "filesystem" and node.get("driver.type") == "virtiofs" and not definition.memory_backing.access:
        definition.memory_backing.access = "shared"
        definition.memory_backing.source = "memfd"
    return node


def _make_room(definition: Definition, node: Node) -> None:
    """A guest that has all of its memory has a fixed module's too: else the balloon takes that away at the next boot."""
    size, whole = node.get("target.size"), definition.memory
    if node.get("model") == "virtio-mem" or not size or not whole:
        return
    if definition.current_memory in (None, whole):
        definition.memory = definition.current_memory = whole + size


def assign(definition: Definition, node: Node, given: Values) -> None:
    """Write values by path; what belongs to the old ones goes with them. Raises InvalidValue, UnknownProperty."""
    tag = node.reach().tag
    if tag == "interface":
        _disconnect(node, given)
    if tag == "disk" and "target.bus" in given and node.get("target.bus") not in (None, given["target.bus"]):
        _move(definition, node, given["target.bus"])
    if "model" in given and tag == "interface" and node.get("model") not in (None, given["model"]):
        node.address.remove()  # type: ignore[attr-defined]
    # What a filter is given comes after the filter.
    for path, value in sorted(given.items(), key=lambda one: one[0] == parameters.PATH):
        if tag == "interface" and path in LINES:
            LINES[path].put(node, value)
        elif tag == "hostdev" and path == "device":
            point_at(node, value)
        elif tag == "graphics" and path == "listen":
            node.listen_at(value)  # type: ignore[attr-defined]
        else:
            node.set(path, value)


def _disconnect(node: Node, given: Values) -> None:
    """A card that gets another connection forgets the old one's name and port."""
    kept = {name: node.get(name) for name in _CONNECTION}
    moves = any(name in given and given[name] != kept.get(name) for name in _CONNECTION)
    other_type = "type" in given and given["type"] != node.get("type")
    if moves or other_type:
        for name in _CONNECTION if other_type else ("source.port_id", "source.bridge"):
            node.set(name, None)


def free_target(bus: str, taken: Container[str | None]) -> str:
    """The first name for a disk on the bus that is not taken: 'vdb', 'sda'."""
    prefix = TARGET_PREFIXES.get(bus, "sd")
    return next(name for number in count() if (name := target_name(prefix, number)) not in taken)


def _move(definition: Definition, node: Node, bus: str) -> None:
    """A disk on another bus has another address, and its name there begins with other letters."""
    node.address.remove()  # type: ignore[attr-defined]
    dev = node.get("target.dev") or ""
    if not dev.startswith(TARGET_PREFIXES.get(bus, "sd")):
        node.set("target.dev", definition.devices.free_target(bus))


def point_at(node: Node, text: str | None) -> None:
    """The host's device that a hostdev is: '0000:02:00.0', '046d:c52b', or an mdev's UUID. Raises InvalidValue."""
    source, kind, words = node.source, node.get("type"), (text or "").strip().lower()  # type: ignore[attr-defined]
    try:
        if kind == "pci":
            head, _dot, function = words.rpartition(".")
            domain, bus, slot = (["0", *head.split(":")] if head.count(":") == 1 else head.split(":"))[:3]
            address = {"domain": int(domain, 16), "bus": f"0x{int(bus, 16):02x}", "slot": int(slot, 16)}
            source.address.update({**address, "function": int(function, 16)})
        elif kind == "usb":
            vendor, product = words.split(":")
            source.update({"vendor": f"0x{int(vendor, 16):04x}", "product": f"0x{int(product, 16):04x}"})
        else:
            source.address.uuid = words
            node.set("model", "vfio-pci")
    except ValueError as error:
        if isinstance(error, InvalidValue):
            raise
        raise InvalidValue("device", say("PCI is 0000:02:00.0, USB is 046d:c52b, mdev is a UUID.")) from None


def remove(definition: Definition, path: str) -> None:
    """Take a device out. Raises UnknownProperty."""
    find(definition, path).remove()
