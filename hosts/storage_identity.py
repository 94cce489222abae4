"""Whether two hosts' pools are the same storage: by where their bytes come from, else by what lies in them. Plain data only."""

from __future__ import annotations

import hashlib
import posixpath
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime

from lxml import etree

_PARSER = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False)
#: device names that mean the same disk on every host
LASTING = ("/dev/disk/by-id/", "/dev/disk/by-uuid/", "/dev/disk/by-partuuid/", "/dev/mapper/3600")
LONGEST_KEY = 300


@dataclass(frozen=True, slots=True)
class Source:
    """Where a pool's bytes come from: ``words`` for people, ``key`` equal for the same storage ('' when it cannot be told)."""

    words: str
    key: str


@dataclass(frozen=True, slots=True)
class Contents:
    """What lies in a pool: its folder, and its volumes' sizes and times of last change."""

    path: str
    sizes: Mapping[str, int]
    modified: Mapping[str, datetime | None]


def source_of(definition: str) -> Source:
    """Read a ``<pool>``; nothing to tell of one that cannot be read."""
    try:
        pool = etree.fromstring(definition.encode(), _PARSER)
    except (etree.XMLSyntaxError, ValueError):
        return Source("", "")
    kind = pool.get("type", "")
    hosts: list[str] = sorted(_host(host) for host in pool.findall("source/host"))
    devices: list[str] = [str(device.get("path", "")) for device in pool.findall("source/device")]
    folder, name = _attribute(pool, "source/dir", "path"), (pool.findtext("source/name") or "").strip()
    if kind == "netfs" and hosts:
        where = f"{hosts[0]}:{posixpath.normpath(folder) if folder else '/'}"
        return _source(where, "netfs", where)
    if kind == "rbd":
        return _source(f"{','.join(hosts)}/{name}", "rbd", f"{','.join(hosts)}/{name}" if hosts else "")
    if kind in ("iscsi", "iscsi-direct") and hosts and devices:
        # Both speak to the same target; the usual port may be written or left out.
        where = f"{hosts[0].removesuffix(':3260')}/{devices[0]}"
        return _source(where, "iscsi", where)
    if kind == "gluster":
        where = f"{','.join(hosts)}/{name}{posixpath.normpath(f'/{folder}')}"
        return _source(where, "gluster", where if hosts else "")
    if kind == "vstorage":
        return _source(name, "vstorage", name)
    if kind in ("fs", "logical", "disk"):
        lasting = sorted(device for device in devices if device.startswith(LASTING))
        return _source(" ".join([name, *devices]).strip(), "device", " ".join(lasting) if devices else "")
    adapter = pool.find("source/adapter")
    words = " ".join(str(adapter.get(key)) for key in adapter.keys()) if adapter is not None else name  # noqa: SIM118
    return Source(words[:500], "")


def said_key(word: str) -> str:
    """The key of storage that a person calls the same."""
    return f"said:{word}"[:LONGEST_KEY]


def same_contents(one: Contents, other: Contents) -> bool:
    """Whether two hosts' folders are so alike that they are one: same path, same volumes, and times of change that agree.

    A folder that was copied has other times. Those that guests write to change between two looks, so that half must agree.
    """
    if one.path != other.path or not one.sizes or dict(one.sizes) != dict(other.sizes):
        return False
    agree = sum(time is not None and time == other.modified.get(name) for name, time in one.modified.items())
    return 2 * agree >= len(one.sizes) and agree > 0


def contradict(one: Contents, other: Contents) -> bool:
    """Whether pools that were one folder cannot be any more. One that was not refreshed lately may lack volumes."""
    if one.path != other.path:
        return True
    if not one.sizes or not other.sizes:
        return False
    return not any(other.sizes.get(name) == size for name, size in one.sizes.items())


def contents_key(path: str, names: Collection[str]) -> str:
    """A key for folders that were found to be one."""
    return "volumes:" + hashlib.sha256("\0".join([path, *sorted(names)]).encode()).hexdigest()


def _source(words: str, kind: str, key: str) -> Source:
    whole = f"{kind}:{key}"
    if len(whole) > LONGEST_KEY:
        whole = f"{kind}:{hashlib.sha256(key.encode()).hexdigest()}"
    return Source(words[:500], whole if key.strip("/,") else "")


def _host(host: etree._Element) -> str:
    port = host.get("port")
    return f"{host.get('name', '').lower()}{f':{port}' if port else ''}"


def _attribute(pool: etree._Element, place: str, name: str) -> str:
    found = pool.find(place)
    return str(found.get(name, "")) if found is not None else ""
