"""Which storage a domain definition names: its disks with what they lie on, and the files its firmware and kernel come from."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from lxml import etree

#: attributes of ``<source>`` that are paths on the host
PATHS = ("file", "dev", "dir")
#: protocols whose volumes libvirt names like the disk's source
NAMED = ("rbd", "gluster", "sheepdog")
#: files outside ``<devices>``
FILES = {"nvram": "os/nvram", "loader": "os/loader", "kernel": "os/kernel", "initrd": "os/initrd", "dtb": "os/dtb"}
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
    for disk in domain.findall("devices/disk"):
        yield from _of_disk(disk)
    for device, place in FILES.items():
        element = domain.find(place)
        if element is None:
            continue
        path = (element.text or "").strip()
        claim = Claim(path=_tidy(path)) if path else _source(element.find("source"))
        if claim is not None:
            yield replace(claim, device=device, readonly=device != "nvram")


def _of_disk(disk: etree._Element) -> Iterator[Claim]:
    target = disk.find("target")
    readonly = disk.find("readonly") is not None or disk.get("device") == "cdrom"
    whole = {"device": disk.get("device", "disk"), "target": target.get("dev", "") if target is not None else ""}
    for element in (disk, disk.find("mirror")):
        depth = 0
        while element is not None and depth < MOST_DEEP:
            claim = _source(element.find("source"))
            if claim is not None:
                yield replace(claim, depth=depth, readonly=readonly or depth > 0, **whole)
            element, depth = element.find("backingStore"), depth + 1


def _source(source: etree._Element | None) -> Claim | None:
    if source is None:
        return None
    for name in PATHS:
        if source.get(name):
            return Claim(path=_tidy(str(source.get(name))))
    if source.get("volume"):
        return Claim(pool=str(source.get("pool", "")), volume=str(source.get("volume")))
    if source.get("protocol") in NAMED and source.get("name"):
        return Claim(path=str(source.get("name")))
    return None


def _tidy(path: str) -> str:
    """Without ``//`` and ``..``, as libvirt writes the paths of volumes."""
    return posixpath.normpath(path) if path.startswith("/") else path
