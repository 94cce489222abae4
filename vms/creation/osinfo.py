"""Operating systems as osinfo-db knows them: names, ends of support, what they need, which devices they have drivers for.

Read from the folder of the Debian package ``osinfo-db``, or from a newer tarball that an administrator brought, which is read
as it lies: nothing of it is unpacked onto a disk.
"""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from functools import lru_cache
from pathlib import Path

import structlog
from lxml import etree

log = structlog.get_logger(__name__)

FOLDERS = ("/usr/local/share/osinfo", "/usr/share/osinfo")
#: a tarball has a thousand small files; one that has many more, or large ones, is none of theirs
MOST_FILES, MOST_BYTES, MOST_TOTAL = 20_000, 2 * 2**20, 200 * 2**20
#: what the architecture of a system's figures is called when they hold for all
ALL = ("all", "x86_64", "i686")
VIRTIO_BLOCK = frozenset({"1af4/1001", "1af4/1042"})
VIRTIO_NET = frozenset({"1af4/1000", "1af4/1041"})
VIRTIO_GPU = frozenset({"1af4/1050"})


class BadDatabase(ValueError):
    """What was brought is no osinfo-db; the message says why."""


@dataclass(frozen=True, slots=True)
class Needs:
    """Resources; bytes, None where nothing is said."""

    cpus: int | None = None
    memory: int | None = None
    storage: int | None = None


@dataclass(frozen=True, slots=True)
class System:
    """One operating system. ``devices`` are those that it has drivers for, as PCI numbers ("1af4/1041")."""

    id: str
    short_id: str
    name: str
    family: str = ""
    vendor: str = ""
    version: str = ""
    released: str = ""
    #: the end of its support, '' while that is not known
    ended: str = ""
    minimum: Needs = field(default_factory=Needs)
    recommended: Needs = field(default_factory=Needs)
    devices: frozenset[str] = frozenset()
    #: firmware → whether it boots with it; what is not there is not said
    firmwares: Mapping[str, bool] = field(default_factory=dict)
    #: addresses of its installation media and of its disk images
    media: tuple[str, ...] = ()
    images: tuple[str, ...] = ()

    @property
    def is_windows(self) -> bool:
        """Whether it is a Windows of the NT line."""
        return self.family == "winnt"

    @property
    def is_macos(self) -> bool:
        """Whether Apple makes it."""
        return self.family == "darwin"

    def is_over(self, on: date) -> bool:
        """Whether its support has ended by then."""
        return bool(self.ended) and self.ended < on.isoformat()


@dataclass(frozen=True, slots=True)
class Database:
    """All systems by their short name, and which osinfo-db they come from."""

    version: str
    systems: Mapping[str, System]


def installed() -> Database:
    """What is installed beside us; empty where nothing is."""
    for folder in FOLDERS:
        place = Path(folder) / "os"
        if place.is_dir():
            return _of_folder(folder, place.stat().st_mtime_ns)
    return Database("", {})


@lru_cache(maxsize=2)
def _of_folder(folder: str, _changed: int) -> Database:
    place = Path(folder)
    version = (place / "VERSION").read_text(errors="replace").strip() if (place / "VERSION").is_file() else ""
    return Database(version, _read(path.read_bytes() for path in sorted((place / "os").rglob("*.xml"))))


def of_archive(data: bytes) -> Database:
    """What is in a tarball, as libosinfo publishes them. Raises BadDatabase."""
    version, total, texts = "", 0, []
    try:
        with tarfile.open(fileobj=io.BytesIO(data), mode="r:*") as archive:
            for number, member in enumerate(archive):
                total += max(0, member.size)
                if number > MOST_FILES or member.size > MOST_BYTES or total > MOST_TOTAL:
                    raise BadDatabase("too many files, or too large ones")
                parts = member.name.removeprefix("./").split("/")
                if not member.isfile() or ".." in parts:
                    continue
                if parts[-1] == "VERSION" and len(parts) <= 2:
                    version = _content(archive, member).decode(errors="replace").strip()[:60]
                elif "os" in parts[:2] and parts[-1].endswith(".xml"):
                    texts.append(_content(archive, member))
    except (tarfile.TarError, EOFError, OSError, ValueError) as error:
        raise BadDatabase(str(error)) from error
    found = Database(version, _read(iter(texts)))
    if not found.systems:
        raise BadDatabase("there is no operating system in it")
    return found


def _content(archive: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    file = archive.extractfile(member)
    return file.read(MOST_BYTES) if file is not None else b""


def _read(texts: Iterator[bytes]) -> dict[str, System]:
    """The systems by short name. One may stand in several files: what distributions and sites add comes later."""
    elements: dict[str, list[etree._Element]] = {}
    # Neither entities nor addresses are followed: it is data from elsewhere.
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False)
    for text in texts:
        try:
            root = etree.fromstring(text, parser)
        except etree.XMLSyntaxError as error:
            log.warning("a file of osinfo-db could not be read", error=str(error))
            continue
        for element in root.findall("os"):
            elements.setdefault(element.get("id", ""), []).append(element)
    return {
        system.short_id: system
        for identity in elements
        if (system := _system(identity, elements)) is not None and system.family
    }


def _system(identity: str, elements: Mapping[str, list[etree._Element]]) -> System | None:
    own = elements[identity]
    short = _text(own, "short-id")
    if not short:
        return None
    return System(
        id=identity,
        short_id=short,
        name=_text(own, "name") or short,
        family=_text(own, "family") or _inherited(identity, elements, "family"),
        vendor=_text(own, "vendor"),
        version=_text(own, "version"),
        released=_text(own, "release-date"),
        ended=_text(own, "eol-date"),
        minimum=_needs(own, "minimum"),
        recommended=_needs(own, "recommended"),
        devices=_devices(identity, elements, frozenset()),
        firmwares=_firmwares(own),
        media=_addresses(own, "media"),
        images=_addresses(own, "image"),
    )


def _text(own: list[etree._Element], tag: str) -> str:
    """The text that is in no language of its own."""
    for element in own:
        for child in element.findall(tag):
            if not child.keys() and (child.text or "").strip():
                return str(child.text).strip()
    return ""


def _parents(identity: str, elements: Mapping[str, list[etree._Element]]) -> list[str]:
    found = [
        child.get("id", "")
        for element in elements.get(identity, ())
        for tag in ("derives-from", "clones")
        for child in element.findall(tag)
    ]
    return [parent for parent in found if parent in elements]


def _inherited(identity: str, elements: Mapping[str, list[etree._Element]], tag: str) -> str:
    seen, waiting = {identity}, _parents(identity, elements)
    while waiting:
        one = waiting.pop(0)
        if one in seen:
            continue
        seen.add(one)
        if text := _text(elements[one], tag):
            return text
        waiting += _parents(one, elements)
    return ""


def _devices(identity: str, elements: Mapping[str, list[etree._Element]], below: frozenset[str]) -> frozenset[str]:
    """With what it has from those it derives from."""
    if identity in below:
        return frozenset()
    found: set[str] = set()
    for parent in _parents(identity, elements):
        found |= _devices(parent, elements, below | {identity})
    for element in elements[identity]:
        for device in element.findall("devices/device"):
            number = device.get("id", "").partition("/pci/")[2]
            if number and device.get("supported") == "false":
                found.discard(number)
            elif number:
                found.add(number)
    return frozenset(found)


def _needs(own: list[etree._Element], which: str) -> Needs:
    """Those for our architecture before those for all."""
    found: dict[str, int] = {}
    for arch in ALL:
        for element in own:
            for place in element.findall(f"resources[@arch='{arch}']/{which}"):
                numbers = {child.tag: int(child.text) for child in place if (child.text or "").strip().isdecimal()}  # type: ignore[arg-type]
                if arch != "i686" or not found:
                    found |= numbers
    return Needs(found.get("n-cpus"), found.get("ram"), found.get("storage"))


def _firmwares(own: list[etree._Element]) -> dict[str, bool]:
    return {
        place.get("type", ""): place.get("supported", "true") == "true"
        for element in own
        for place in element.findall("firmware")
        if place.get("arch") == "x86_64"
    }


def _addresses(own: list[etree._Element], tag: str) -> tuple[str, ...]:
    places = [place for element in own for place in element.findall(f"{tag}[@arch='x86_64']")]
    return tuple(dict.fromkeys(url for place in places if (url := (place.findtext("url") or "").strip())))
