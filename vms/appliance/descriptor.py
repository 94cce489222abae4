"""The descriptor (.ovf) of an appliance as plain data: what kind of guest it is, and which files are its disks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from lxml import etree

from vms.appliance.errors import BadAppliance
from vms.appliance.items import Item, items_of
from vms.appliance.units import amount
from vms.appliance.xml import attribute, child, children, local, text_of
from vms.definition.sentences import say

#: characters of a text that is kept
LONGEST = 255
MOST_DEVICES = 32
#: resource types of the CIM schema
PROCESSOR, MEMORY, IDE, SCSI, CARD, FLOPPY, CD, DVD, DISK, SATA, USB, VIDEO, SOUND = (
    "3", "4", "5", "6", "10", "14", "15", "16", "17", "20", "23", "24", "35",
)  # fmt: skip
BUSES = {IDE: "ide", SCSI: "scsi", SATA: "sata"}
#: what a new guest has of its own, or does not need
PASSED_OVER = (IDE, SCSI, SATA, USB, VIDEO, "1", "13")
LEFT_OUT = {FLOPPY: "floppy", CD: "CD", DVD: "CD", SOUND: "sound"}
SECTIONS = (
    "References", "DiskSection", "NetworkSection", "VirtualSystem", "VirtualHardwareSection", "OperatingSystemSection", "Info",
    "Name",
    "ProductSection", "AnnotationSection", "EulaSection", "DeploymentOptionSection", "Strings", "Machine", "StartupSection",
    "System",
    "Item", "StorageItem", "EthernetPortItem", "Config", "ExtraConfig",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Disk:
    """A disk of the guest; ``file`` '' is an empty one. ``controller``: its bus and what the appliance calls its type."""

    file: str
    capacity: int
    populated: int = 0
    bus: str = ""
    controller: str = ""


@dataclass(frozen=True, slots=True)
class Card:
    """A network card: the name of its network in the appliance, and its model there."""

    network: str
    model: str


@dataclass(slots=True)
class Described:
    """What the descriptor says. ``notes``: what of it is not understood or not taken over."""

    name: str = ""
    product: str = ""
    #: words in which the operating system is named, the most telling first
    systems: list[str] = field(default_factory=list)
    vcpus: int = 0
    memory: int = 0
    firmware: str = "bios"
    disks: list[Disk] = field(default_factory=list)
    cards: list[Card] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def describe(root: etree._Element) -> Described:
    """Raises BadAppliance for what cannot be made into one guest."""
    if local(root) != "Envelope":
        raise BadAppliance(say("Its descriptor is no OVF envelope."))
    system = _only_system(root)
    found = Described(name=_line(text_of(child(system, "Name")) or attribute(system, "id")))
    found.product = _product(system)
    found.systems = _systems(system, found.product)
    found.firmware = _firmware(system)
    hardware = children(system, "VirtualHardwareSection")
    if not hardware:
        raise BadAppliance(say("Its descriptor names no hardware."))
    if len(hardware) > 1:
        found.notes.append(say("It describes several sets of hardware; the first is taken."))
    items, options = items_of(root, hardware[0])
    if options:
        found.notes.append(say("It can be set up in several sizes; “%(name)s” is taken.", name=_line(options)))
    _plain(found, items)
    found.disks = _disks(root, items, found.notes)
    _left_out(found, items, root, system)
    return found


def _only_system(root: etree._Element) -> etree._Element:
    systems = [one for one in root.iter() if local(one) == "VirtualSystem"]
    if not systems:
        raise BadAppliance(say("Its descriptor describes no guest."))
    if len(systems) > 1:
        raise BadAppliance(say("It holds %(count)d guests; only appliances of one are taken.", count=len(systems)))
    return systems[0]


def _line(text: str) -> str:
    plain = " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())
    return plain[:LONGEST]


def _product(system: etree._Element) -> str:
    section = child(system, "ProductSection")
    if section is None:
        return ""
    words = [text_of(child(section, name)) for name in ("Vendor", "Product", "Version")]
    return _line(" ".join(word for word in words if word))


def _systems(system: etree._Element, product: str) -> list[str]:
    section = child(system, "OperatingSystemSection")
    words = []
    if section is not None:
        words = [
            attribute(section, "osType"),
            text_of(child(section, "OSType")),
            text_of(child(section, "Description")),
        ]
    machine = child(system, "Machine")
    words += [attribute(machine, "OSType")] if machine is not None else []
    return [line for word in (*words, product) if (line := _line(word))]


def _firmware(system: etree._Element) -> str:
    """As VMware and VirtualBox say it, each in a way of its own."""
    found = "bios"
    for one in system.iter():
        if local(one) in ("Config", "ExtraConfig"):
            key, value = attribute(one, "key"), attribute(one, "value").lower()
            if key == "firmware" and value == "efi" and found == "bios":
                found = "efi"
            if key in ("bootOptions.efiSecureBootEnabled", "uefi.secureBoot.enabled") and value == "true":
                found = "secure"
        elif local(one) == "Firmware" and attribute(one, "type").upper().startswith("EFI") and found == "bios":
            found = "efi"
    return found


def _plain(found: Described, items: list[Item]) -> None:
    """Processors, memory and cards."""
    for item in items:
        if item.type == PROCESSOR and item.count is not None:
            found.vcpus += item.count
        elif item.type == MEMORY:
            size = amount(item.quantity, item.units, 2**20)
            if size is None:
                found.notes.append(say("How much memory it wants is not understood: %(words)s.", words=_said(item)))
            found.memory += size or 0
        elif item.type == CARD:
            found.cards.append(Card(_line(item.connection), _line(item.subtype)))
    if len(found.cards) > MOST_DEVICES:
        raise BadAppliance(say("It has more than %(most)d network cards.", most=MOST_DEVICES))


def _said(item: Item) -> str:
    return _line(f"{item.quantity} {item.units}")[:60]


def _disks(root: etree._Element, items: list[Item], notes: list[str]) -> list[Disk]:
    files = _files(root)
    known = {
        attribute(disk, "diskId"): disk for part in children(root, "DiskSection") for disk in children(part, "Disk")
    }
    controllers = {item.id: (number, item) for number, item in enumerate(items) if item.type in BUSES}
    placed = []
    for item in items:
        if item.type != DISK:
            continue
        number, parent = controllers.get(item.parent, (len(items), None))
        bus = BUSES[parent.type] if parent is not None else ""
        disk = _disk(item, known, files, bus, _line(parent.subtype) if parent is not None else "")
        placed.append(((number, item.address), disk))
    if not placed:
        notes.append(say("It has no disk."))
    if len(placed) > MOST_DEVICES:
        raise BadAppliance(say("It has more than %(most)d disks.", most=MOST_DEVICES))
    taken = [disk.file for _place, disk in placed if disk.file]
    if len(set(taken)) != len(taken):
        raise BadAppliance(say("Two of its disks are the same file."))
    return [disk for _place, disk in sorted(placed, key=lambda one: one[0])]


def _files(root: etree._Element) -> dict[str, etree._Element]:
    return {attribute(file, "id"): file for part in children(root, "References") for file in children(part, "File")}


def _disk(item: Item, known: dict[str, etree._Element], files: dict[str, etree._Element], bus: str, kind: str) -> Disk:
    where = item.resource.removeprefix("ovf:")
    disk = known.get(where.removeprefix("/disk/")) if where.startswith("/disk/") else None
    if disk is None:
        raise BadAppliance(say("A disk is not described: “%(name)s”.", name=_line(item.resource)[:80]))
    if attribute(disk, "parentRef"):
        raise BadAppliance(say("A disk holds only what differs from another one, which is not taken."))
    capacity = amount(attribute(disk, "capacity"), attribute(disk, "capacityAllocationUnits"), 1)
    if capacity is None:
        raise BadAppliance(
            say("How large a disk is cannot be told: “%(words)s”.", words=_line(attribute(disk, "capacity"))[:60])
        )
    populated = amount(attribute(disk, "populatedSize"), "", 1) or 0
    reference = attribute(disk, "fileRef")
    if not reference:
        return Disk("", capacity, populated, bus, kind)
    file = files.get(reference)
    if file is None:
        raise BadAppliance(say("A disk lies in a file that is not named: “%(name)s”.", name=_line(reference)[:80]))
    return Disk(_file_name(file), capacity, populated, bus, kind)


def _file_name(file: etree._Element) -> str:
    name = _line(attribute(file, "href")).removeprefix("./")
    if attribute(file, "chunkSize"):
        raise BadAppliance(say("“%(name)s” is cut into pieces (chunkSize), which is not taken.", name=name))
    compression = attribute(file, "compression")
    if compression not in ("", "identity"):
        raise BadAppliance(
            say(
                "“%(name)s” is compressed (%(how)s): pack the appliance without.",
                name=name,
                how=_line(compression)[:40],
            )
        )
    if not name or "/" in name or "\\" in name or name == "..":
        raise BadAppliance(say("A disk lies outside of the appliance: “%(name)s”.", name=name[:80]))
    return name


def _left_out(found: Described, items: list[Item], root: etree._Element, system: etree._Element) -> None:
    """Name what the guest will not have, or what was not understood."""
    kinds = {LEFT_OUT[item.type] for item in items if item.type in LEFT_OUT}
    if "CD" in kinds:
        found.notes.append(say("Its CD drives are left out; add one when the guest needs it."))
    if "floppy" in kinds:
        found.notes.append(say("Its floppy drives are left out."))
    if "sound" in kinds:
        found.notes.append(say("Its sound cards are left out."))
    plain = {PROCESSOR, MEMORY, CARD, DISK, *PASSED_OVER, *LEFT_OUT}
    for item in [item for item in items if item.type not in plain][:MOST_DEVICES]:
        name = _line(item.name or item.type)[:80]
        found.notes.append(say("A device is not understood and left out: “%(name)s”.", name=name))
    if child(system, "EulaSection") is not None or child(root, "EulaSection") is not None:
        found.notes.append(say("It comes with a licence agreement, which is in its descriptor."))
    settings = [
        attribute(one, "key") for section in children(system, "ProductSection") for one in children(section, "Property")
    ]
    if names := [_line(name)[:60] for name in settings if name]:
        found.notes.append(
            say("It expects settings that only its first home hands in: %(names)s.", names=", ".join(names[:8]))
        )
    for section in _unknown_sections(root, system):
        found.notes.append(say("A part of its descriptor is not understood: %(name)s.", name=_line(section)[:60]))


def _unknown_sections(*places: etree._Element) -> Iterator[str]:
    names = [local(one) for place in places for one in place if attribute(one, "required").lower() != "false"]
    yield from sorted({name for name in names if name not in SECTIONS})[:MOST_DEVICES]
