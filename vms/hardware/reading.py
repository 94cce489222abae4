"""What the pages show of a guest's hardware: each device as it runs and as it will boot, and what is different between the two."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from lxml import etree

from vms.definition import noise
from vms.definition.changes import Difference, diff
from vms.definition.domain import Definition
from vms.definition.nodes import Node
from vms.definition.summary import device_words, disk_words, nic_words, screen_words
from vms.definition.xml import MalformedDefinition, parse_to_edit
from vms.hardware import editing
from vms.hardware.catalogue import Type, type_of

#: where a device sits in the guest: libvirt decides that, for a device that is plugged in anew at each boot
_SLOT = re.compile(r"devices/[^/]+/address(@|$)")


@dataclass(frozen=True, slots=True)
class Device:
    """One device of the page. ``live``: it is plugged in now; ``next``: it is there after the next boot."""

    path: str
    tag: str
    type: Type | None
    live: bool
    next: bool
    words: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Hardware:
    """All of it; ``running`` is whether there are two definitions to tell apart."""

    running: bool = False
    devices: tuple[Device, ...] = ()
    pending: tuple[Difference, ...] = ()
    machine: dict[str, Any] = field(default_factory=dict)

    def of(self, *tags: str) -> list[Device]:
        """The devices of these elements."""
        return [device for device in self.devices if device.tag in tags]


@lru_cache(maxsize=256)
def read(live: str, inactive: str) -> Hardware:
    """Either is '' where there is none. What cannot be read shows nothing."""
    try:
        now = Definition.parse(live) if live else None
        then = Definition.parse(inactive) if inactive else None
    except MalformedDefinition:
        return Hardware()
    first = now or then
    if first is None:
        return Hardware()
    both = now is not None and then is not None
    return Hardware(
        running=now is not None,
        devices=tuple(_devices(now, then)),
        pending=tuple(pending(live, inactive)) if both else (),
        machine=_machine(now, then),
    )


def _devices(now: Definition | None, then: Definition | None) -> list[Device]:
    found = []
    seen: set[etree._Element] = set()
    others = _by_home(now) if now is not None else {}
    for path, node in editing.devices(then) if then is not None else ():
        live = editing.twin(path, node, others.get(path.partition("[")[0], ()))
        if live is not None and live.reach() in seen:
            live = None
        if live is not None:
            seen.add(live.reach())
        found.append(_device(path, live or node, live is not None, True))
    for path, node in editing.devices(now) if now is not None else ():
        if node.reach() not in seen:
            found.append(_device(_by_alias(path, node), node, True, then is None))
    return found


def _by_home(definition: Definition) -> dict[str, list[tuple[str, Node]]]:
    """The devices of each list."""
    found: dict[str, list[tuple[str, Node]]] = {}
    for path, node in editing.devices(definition):
        found.setdefault(path.partition("[")[0], []).append((path, node))
    return found


def _by_alias(path: str, node: Node) -> str:
    """A device that only runs is named so that the stored definition has none of that name."""
    alias = node.get("alias") if "alias" in node.properties else None
    return f"{path.partition('[')[0]}[{alias}]" if "[#" in path and alias else path


def _device(path: str, node: Node, live: bool, then: bool) -> Device:
    element = node.reach()
    tag = str(element.tag)
    words = {"disk": disk_words, "interface": nic_words, "graphics": screen_words}.get(tag, device_words)(element)
    return Device(path, tag, type_of(path, node), live, then, words)


def _machine(now: Definition | None, then: Definition | None) -> dict[str, Any]:
    """Processors, memory and boot order, running and then."""
    return {
        "now": _numbers(now) if now is not None else None,
        "then": _numbers(then, growing=True) if then is not None else None,
        "boot": boot_order(then or now) if (then or now) is not None else [],  # type: ignore[arg-type]
    }


def _numbers(definition: Definition, *, growing: bool = False) -> dict[str, int]:
    """``growing``: of modules that grow, what they are to have comes on top; of a guest that runs libvirt counts them already."""
    most = definition.vcpu.count or 1
    memory = definition.memory or 0
    current = definition.current_memory
    if current is not None and growing:
        modules = [module for module in definition.devices.memory_modules if module.model == "virtio-mem"]
        current = min(memory, current + sum(module.target.requested or 0 for module in modules))
    return {
        "vcpus": definition.vcpu.current or most,
        "vcpus_most": most,
        "memory": memory if current is None else current,
        "memory_most": memory,
    }


def boot_order(definition: Definition) -> list[dict[str, Any]]:
    """What the guest boots from, in order: devices by their own numbers, else the kinds that its firmware is told."""
    devices = [(path, node) for path, node in editing.devices(definition) if "boot_order" in node.properties]
    numbered = sorted(((node.get("boot_order"), path) for path, node in devices if node.get("boot_order")))
    if numbered:
        return [{"path": path, "number": number} for number, path in numbered]
    return [{"firmware": word} for word in definition.os.boot_devices]


def pending(live: str, inactive: str) -> list[Difference]:
    """What the next boot will bring; [] when nothing that somebody wrote differs, or one cannot be read."""
    both = quietened(live, inactive)
    if both is None:
        return []
    return [change for change in diff(*both).changes if not _SLOT.match(change.path)]


@lru_cache(maxsize=128)
def quietened(live: str, inactive: str) -> tuple[str, str] | None:
    """Both without what libvirt adds to a running guest; None where one cannot be read."""
    try:
        now, then = parse_to_edit(live), parse_to_edit(inactive)
    except MalformedDefinition:
        return None
    for root in (now, then):
        noise.take_away(root)
        for element in root.iter():
            if len(element) == 0 and not (element.text or "").strip():
                element.text = None
    noise.take_away_filled_in(now, then)
    for root in (now, then):
        _empty_drives(root)
        # Which of the processors are plugged in; how many is said elsewhere.
        for element in root.findall("vcpus"):
            root.remove(element)
    return etree.tostring(now, encoding="unicode"), etree.tostring(then, encoding="unicode")


def _empty_drives(root: etree._Element) -> None:
    """A drive that runs with nothing in it does not say in which format that is."""
    for disk in root.findall("devices/disk"):
        driver = disk.find("driver")
        if disk.get("device") in ("cdrom", "floppy") and disk.find("source") is None and driver is not None:
            driver.attrib.pop("type", "")
