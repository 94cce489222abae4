"""An appliance read as a whole: what kind of guest it is, and where in the archive the bytes of its disks lie."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from vms.appliance import image, manifest, xml
from vms.appliance.archive import Member, Read, kept, members
from vms.appliance.descriptor import Card, Described, Disk, describe
from vms.appliance.errors import BadAppliance
from vms.definition.sentences import say


@dataclass(frozen=True, slots=True)
class Part:
    """A disk, and the bytes of the archive that hold it; ``size`` 0 is an empty disk. ``digest``: what they must have, or ''."""

    file: str
    offset: int
    size: int
    format: str
    capacity: int
    populated: int
    bus: str
    controller: str
    digest: str


@dataclass(frozen=True, slots=True)
class Appliance:
    """Everything that a guest is made from."""

    name: str
    product: str
    systems: list[str]
    vcpus: int
    memory: int
    firmware: str
    disks: list[Part]
    cards: list[Card]
    notes: list[str]

    def plain(self) -> dict[str, Any]:
        """As it is stored."""
        return asdict(self)


def of_plain(stored: Mapping[str, Any]) -> Appliance:
    """The reverse of :meth:`Appliance.plain`."""
    disks, cards = [Part(**one) for one in stored["disks"]], [Card(**one) for one in stored["cards"]]
    return Appliance(**{**stored, "disks": disks, "cards": cards})


def read(at: Read, length: int) -> Appliance:
    """Read what is ``length`` bytes long. Only headers, the descriptor, the manifest and the beginnings of disks are asked for.

    Raises BadAppliance with the reason why no guest can be made from it.
    """
    at = kept(at)
    files = {member.name: member for member in members(at, length)}
    descriptor = _only(files, ".ovf")
    data = _content(at, descriptor, xml.MOST_BYTES)
    found = describe(xml.parse(data))
    digests = _digests(at, files, descriptor, data, found)
    disks = [_part(at, disk, files, digests) for disk in found.disks]
    for name in sorted(files):
        if not name.lower().endswith((".ovf", ".mf", ".cert")) and name not in {disk.file for disk in found.disks}:
            found.notes.append(say("A file in it belongs to no disk and is passed over: “%(name)s”.", name=name))
    return Appliance(
        found.name,
        found.product,
        found.systems,
        found.vcpus,
        found.memory,
        found.firmware,
        disks,
        found.cards,
        found.notes,
    )


def _only(files: Mapping[str, Member], ending: str) -> Member:
    found = [member for name, member in files.items() if name.lower().endswith(ending)]
    if not found:
        raise BadAppliance(say("There is no descriptor (.ovf) in it: it is no appliance."))
    if len(found) > 1:
        raise BadAppliance(say("There is more than one descriptor (.ovf) in it."))
    return found[0]


def _content(at: Read, member: Member, most: int) -> bytes:
    if member.size > most:
        raise BadAppliance(say("“%(name)s” is larger than such a file ever is.", name=member.name))
    data = at(member.offset, member.size)
    if len(data) != member.size:
        raise BadAppliance(say("It ends in the middle of “%(name)s”: it is not whole.", name=member.name))
    return data


def _digests(
    at: Read, files: Mapping[str, Member], descriptor: Member, data: bytes, found: Described
) -> dict[str, str]:
    """What the manifest says; the descriptor is checked at once, disks while they are unpacked."""
    lists = [member for name, member in files.items() if name.lower().endswith(".mf")]
    if len(lists) > 1:
        raise BadAppliance(say("There is more than one manifest (.mf) in it."))
    if not lists:
        found.notes.append(say("It has no manifest (.mf): nothing shows whether its files are as they were packed."))
        return {}
    digests = manifest.parse(_content(at, lists[0], manifest.MOST_BYTES))
    if wanted := digests.get(descriptor.name):
        algorithm, _colon, digest = wanted.partition(":")
        if hashlib.new(algorithm, data, usedforsecurity=False).hexdigest() != digest:
            raise BadAppliance(
                say("“%(name)s” does not have the checksum that the manifest says.", name=descriptor.name)
            )
    if any(name.lower().endswith(".cert") for name in files):
        found.notes.append(say("It is signed; the signature is not looked at."))
    bare = [disk.file for disk in found.disks if disk.file and disk.file not in digests]
    if bare:
        found.notes.append(say("Its manifest has no checksum of “%(name)s”.", name=bare[0]))
    return digests


def _part(at: Read, disk: Disk, files: Mapping[str, Member], digests: Mapping[str, str]) -> Part:
    if not disk.file:
        return Part("", 0, 0, "", disk.capacity, 0, disk.bus, disk.controller, "")
    member = files.get(disk.file)
    if member is None:
        raise BadAppliance(say("The disk “%(name)s” is not in it.", name=disk.file))
    if not member.size:
        raise BadAppliance(say("The disk “%(name)s” is empty.", name=disk.file))
    head = at(member.offset, min(member.size, image.HEAD))
    form = image.format_of(head, disk.file)
    return Part(
        disk.file, member.offset, member.size, form, disk.capacity, disk.populated, disk.bus, disk.controller,
        digests.get(disk.file, ""),
    )  # fmt: skip
