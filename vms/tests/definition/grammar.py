"""Definitions made up from libvirt's own RELAX NG grammar: whatever the grammar can say, in any order it allows."""

from __future__ import annotations

import random
from functools import lru_cache
from pathlib import Path

from lxml import etree

from vms.definition.domain import Definition
from vms.definition.nodes import Node
from vms.tests.definition.patterns import sample

FOLDER = Path("/usr/share/libvirt/schemas")
RNG = "{http://relaxng.org/ns/structure/1.0}"
#: libvirt's own validator (libxml2) takes three times as long for each optional attribute beyond ten
MOST_ATTRIBUTES = 10
#: spoken by no definition that people have, and endless
LEFT_OUT = {"metadata", "privateDataDeviceDisk", "privateDataStorageSource", "diskMirror"}


@lru_cache(maxsize=1)
def defines() -> dict[str, list[etree._Element]]:
    """Every named piece of the grammar; one that is defined again is a choice of both."""
    found: dict[str, list[etree._Element]] = {}
    for name in (
        "domainoverrides",
        "domaincommon",
        "basictypes",
        "storagecommon",
        "networkcommon",
        "cputypes",
        "nwfilter_params",
    ):
        for define in etree.parse(str(FOLDER / f"{name}.rng")).getroot().iterchildren(RNG + "define"):
            found.setdefault(define.get("name"), []).append(define)
    return found


class NotAllowedError(Exception):
    """The grammar has nothing to say here."""


class Speaker:
    """Says one thing after the other, by chance."""

    def __init__(self, chance: random.Random, eager: float = 0.35) -> None:
        self.chance, self.eager = chance, eager

    def definition(self, hypervisor: str = "kvm") -> str:
        """A domain with a few devices."""
        root = etree.Element("domain", type=hypervisor)
        for name, often in SECTIONS.items():
            if self.chance.random() < often:
                self.refer(name, root, 0)
        devices = root.find("devices")
        devices = etree.SubElement(root, "devices") if devices is None else devices
        for name in self.chance.sample(DEVICES, self.chance.randint(1, 4)):
            self.refer(name, devices, 0)
        in_order(root, Definition)
        return etree.tostring(root, encoding="unicode")

    def refer(self, name: str, parent: etree._Element, depth: int) -> None:
        """What a name stands for."""
        if name in LEFT_OUT:
            return
        candidates = [define for define in defines()[name] if define.find(RNG + "notAllowed") is None]
        if not candidates:
            raise NotAllowedError(name)
        self.all_of(self.chance.choice(candidates), parent, depth)

    def all_of(self, pattern: etree._Element, parent: etree._Element, depth: int) -> None:
        """Every child, one after the other."""
        for inner in pattern:
            if isinstance(inner.tag, str):
                getattr(self, f"say_{inner.tag.removeprefix(RNG)}")(inner, parent, depth + 1)

    say_group = all_of

    def say_interleave(self, pattern: etree._Element, parent: etree._Element, depth: int) -> None:
        self.all_of(pattern, parent, depth)

    def say_ref(self, pattern: etree._Element, parent: etree._Element, depth: int) -> None:
        self.refer(pattern.get("name"), parent, depth)

    def say_optional(self, pattern: etree._Element, parent: etree._Element, depth: int) -> None:
        if self.chance.random() < self.eager and depth < 60:
            self.attempt(pattern, parent, depth)

    def say_zeroOrMore(self, pattern: etree._Element, parent: etree._Element, depth: int) -> None:  # noqa: N802
        for _ in range(self.chance.choice((0, 0, 1, 2)) if depth < 60 else 0):
            self.attempt(pattern, parent, depth)

    def say_oneOrMore(self, pattern: etree._Element, parent: etree._Element, depth: int) -> None:  # noqa: N802
        self.all_of(pattern, parent, depth)

    def say_choice(self, pattern: etree._Element, parent: etree._Element, depth: int) -> None:
        ways = [inner for inner in pattern if isinstance(inner.tag, str)]
        self.chance.shuffle(ways)
        for way in ways:
            if self.attempt([way], parent, depth):
                return
        raise NotAllowedError

    def attempt(self, pattern, parent, depth) -> bool:
        """Say it, or take everything back that was said."""
        attributes, children, text = dict(parent.attrib), list(parent), parent.text
        try:
            self.all_of(pattern, parent, depth)
        except NotAllowedError:
            parent.attrib.clear()
            parent.attrib.update(attributes)
            parent[:], parent.text = children, text
            return False
        return True

    def say_element(self, pattern: etree._Element, parent: etree._Element, depth: int) -> None:
        name = pattern.get("name")
        if name is None:
            raise NotAllowedError
        uri = pattern.get("ns")
        element = etree.SubElement(parent, f"{{{uri}}}{name}" if uri else name)
        self.all_of(pattern, element, depth)

    def say_attribute(self, pattern: etree._Element, parent: etree._Element, depth: int) -> None:
        name = pattern.get("name")
        if name is None or (len(parent.attrib) >= MOST_ATTRIBUTES and pattern.getparent().tag == RNG + "optional"):
            raise NotAllowedError
        holder = etree.Element("holder")
        self.all_of(pattern, holder, depth)
        parent.set(name, holder.text or ("words" if not len(pattern) else ""))

    def say_value(self, pattern: etree._Element, parent: etree._Element, _depth: int) -> None:
        parent.text = pattern.text

    def say_text(self, _pattern: etree._Element, parent: etree._Element, _depth: int) -> None:
        parent.text = self.chance.choice(("words", "some words", "x"))

    def say_empty(self, _pattern: etree._Element, _parent: etree._Element, _depth: int) -> None:
        """Nothing to say."""

    def say_notAllowed(self, _pattern: etree._Element, _parent: etree._Element, _depth: int) -> None:  # noqa: N802
        raise NotAllowedError

    def say_data(self, pattern: etree._Element, parent: etree._Element, _depth: int) -> None:
        limits = {param.get("name"): param.text for param in pattern.iterchildren(RNG + "param")}
        kind = pattern.get("type")
        if kind == "dateTime":
            parent.text = "2030-01-31T12:00:00"
        elif kind == "NCName":
            parent.text = "name"
        elif kind == "string":
            parent.text = sample(limits["pattern"].strip(), self.chance) if "pattern" in limits else "words"
        else:
            least = int(limits.get("minInclusive", 1 if kind == "positiveInteger" else 0))
            most = int(limits.get("maxInclusive", least + 60))
            parent.text = str(self.chance.randint(least, most))


def in_order(element: etree._Element, kind: type[Node]) -> None:
    """Children as libvirt writes them: its validator (libxml2) loses its way when pieces of nested interleaves are scattered."""
    element[:] = sorted(element, key=lambda child: kind.ranks.get(child.tag, 99))
    below = {place.path: place.kind for place in [*kind.parts.values(), *kind.lists.values()]}
    for child in element:
        if child.tag in below:
            in_order(child, below[child.tag])


#: what a domain is made of, and how often it is said
SECTIONS = {
    "ids": 1.0, "title": 0.3, "description": 0.3, "guestcpu": 0.5, "sysinfo": 0.3, "oshvm": 1.0, "clock": 0.5,
    "resources": 1.0, "features": 0.6, "events": 0.5, "pm": 0.3, "perf": 0.1, "seclabel": 0.3, "qemucmdline": 0.3,
    "launchSecurity": 0.2, "keywrap": 0.1,
}  # fmt: skip
DEVICES = [
    "disk", "disk", "controller", "lease", "filesystem", "interface", "interface", "input", "sound", "audio", "hostdev",
    "graphic", "video", "console", "parallel", "serial", "channel", "smartcard", "hub", "redirdev", "redirfilter", "rng",
    "tpm", "shmem", "memorydev", "watchdog", "memballoon", "nvram", "panic", "iommu", "vsock",
]  # fmt: skip
