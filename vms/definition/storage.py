"""Which storage a domain definition names: its disks with what they lie on, and the files its firmware and kernel come from."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from lxml import etree

from vms.definition.summary import children

#: attributes of ``<source>`` that are paths on the host
PATHS = ("file", "dev", "dir")
#: protocols whose volumes libvirt names like the disk's source
NAMED = ("rbd", "gluster", "sheepdog")
#: files in ``<os>``
FILES = ("nvram", "loader", "kernel", "initrd", "dtb")
MOST_DEEP = 200


@dataclass(frozen=True, slots=True)
class Claim:
    """One piece of storage. ``depth`` is 0 for what the guest itself sees, and counts from there to what that lies on."""

    path: str = ""
    pool: str = ""
    volume: str = ""
    device: str = "disk"
    target: str = ""
    depth: int = 0
    readonly: bool = False


def claims_of(domains: Iterable[etree._Element]) -> list[Claim]:
    """What the definitions of one domain (as it runs, as it will start) name, each piece once, where it is nearest to the guest."""
    found: dict[tuple[str, str, str], Claim] = {}
    for domain in domains:
        for claim in _claims(domain):
            key = (claim.path, claim.pool, claim.volume)
            known = found.get(key)
            if known is None or claim.depth < known.depth:
                found[key] = claim
            elif known.readonly and not claim.readonly:
                found[key] = replace(known, readonly=False)
    return list(found.values())


def _claims(domain: etree._Element) -> Iterator[Claim]:
    for devices in (part for part in domain if part.tag == "devices"):
        for device in devices:
            if device.tag == "disk":
                yield from _of_disk(device)
    os = children(domain).get("os")
    if os is not None:
        yield from _of_files(os)


def _of_files(os: etree._Element) -> Iterator[Claim]:
    parts = children(os)
    for device in FILES:
        element = parts.get(device)
        if element is None:
            continue
        path = (element.text or "").strip()
        where = (_tidy(path), "", "") if path else _source(children(element).get("source"))
        if where is not None:
            yield Claim(*where, device=device, readonly=device != "nvram")


def _of_disk(disk: etree._Element) -> Iterator[Claim]:
    parts = children(disk)
    device, target = disk.get("device", "disk"), parts.get("target")
    readonly = "readonly" in parts or device == "cdrom"
    name = target.get("dev", "") if target is not None else ""
    for element in (disk, parts.get("mirror")):
        depth = 0
        while element is not None and depth < MOST_DEEP:
            layer = children(element)
            where = _source(layer.get("source"))
            if where is not None:
                yield Claim(*where, device=device, target=name, depth=depth, readonly=readonly or depth > 0)
            element, depth = layer.get("backingStore"), depth + 1


def _source(source: etree._Element | None) -> tuple[str, str, str] | None:
    """Path, pool and volume of a claim."""
    if source is None:
        return None
    for name in PATHS:
        if source.get(name):
            return _tidy(str(source.get(name))), "", ""
    if source.get("volume"):
        return "", str(source.get("pool", "")), str(source.get("volume"))
    if source.get("protocol") in NAMED and source.get("name"):
        return str(source.get("name")), "", ""
    return None


def _tidy(path: str) -> str:
    """Without ``//`` and ``..``, as libvirt writes the paths of volumes."""
    return posixpath.normpath(path) if path.startswith("/") else path
