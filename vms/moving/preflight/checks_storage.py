"""The guest's disks: whether the target sees the same bytes, or they can be copied to it."""

from __future__ import annotations

import posixpath

from vms.moving.preflight.facts import Disk, Guest, Hosts, Machine, Pool
from vms.moving.preflight.finding import Finding, no, ok, sentence, unknown, warning

Need = tuple[tuple[Disk, ...], int | None]
#: cache modes with which nothing of the disk stays in the source's memory
SAFE_CACHES = ("none", "directsync")
#: from here on QEMU drops what it holds in memory before the target opens the disk
DROPS_CACHE = (3, 0, 0)
#: pools that are one host's own unless a key says otherwise
OWN_TYPES = ("logical", "disk", "zfs", "fs")

COPY = sentence("Tick “Copy the disks too”, or move them to storage that both hosts see.")
SAY_SHARED = sentence("libvirt may not see that it is shared; then tick “The storage is shared”.")


def needs(guest: Guest) -> Need:
    """Its disks, and where they are now."""
    return guest.disks, guest.host


NO_DISKS = ok(sentence("It has no disks that the target must see."))


def disks(need: Need, host: Machine, hosts: Hosts) -> Finding:
    """The worst of the disks."""
    guest_disks, source_id = need
    source = hosts.get(source_id) if source_id is not None else None
    found = [_disk(disk, host, source) for disk in guest_disks]
    if not found:
        return NO_DISKS
    if len(found) == 1:
        return found[0]
    return max(found, key=lambda one: (one.verdict, not is_copyable(one)))


def _disk(disk: Disk, host: Machine, source: Machine | None) -> Finding:
    words = {"disk": disk.target, "host": host.name, "path": disk.path or f"{disk.pool}/{disk.volume}"}
    if disk.server:
        return _served(disk, host, words)
    pool = _pool_of(disk, source)
    there = _pool_there(disk, pool, host)
    if pool is not None and pool.key and there is not None and there.key == pool.key:
        return _shared(disk, pool, there, words)
    if disk.readonly:
        return _read_only(disk, host, words)
    return _local(disk, pool, there, host, source, words)


def _pool_of(disk: Disk, host: Machine | None) -> Pool | None:
    """The pool of ``host`` that the disk lies in."""
    if host is None:
        return None
    if disk not in host.pool_of:
        host.pool_of[disk] = _find_pool(disk, host)
    return host.pool_of[disk]


def _find_pool(disk: Disk, host: Machine) -> Pool | None:
    if disk.pool:
        return next((pool for pool in host.pools if pool.name == disk.pool), None)
    folders = [pool for pool in host.pools if pool.path and disk.path.startswith(pool.path.rstrip("/") + "/")]
    return max(folders, key=lambda pool: len(pool.path), default=None)


def _pool_there(disk: Disk, pool: Pool | None, host: Machine) -> Pool | None:
    if pool is not None and pool.key:
        other = None
        for one in host.pools:
            if one.key == pool.key:
                if one.name == disk.pool if disk.pool else one.path == pool.path:
                    return one
                other = one
        if other is not None:
            return other
    return _pool_of(disk, host)


def _shared(disk: Disk, pool: Pool, there: Pool, words: dict[str, str]) -> Finding:
    words["pool"], words["where"], words["here"] = there.name, there.path, pool.path
    if disk.pool and there.name != disk.pool:
        text = sentence("%(disk)s: the storage is pool %(pool)s on %(host)s, and the definition names another pool.")
        return no(text, sentence("Give the pool the same name on both hosts."), **words)
    if not disk.pool and there.path != pool.path:
        text = sentence(
            "%(disk)s: %(host)s has the same storage under %(where)s, and the guest looks for it under %(here)s."
        )
        return no(text, sentence("Give it the same path on both hosts."), **words)
    if not there.active:
        text = sentence("%(disk)s: the pool %(pool)s is off on %(host)s.")
        return (no if disk.pool or pool.type != "dir" else warning)(text, sentence("Start the pool there."), **words)
    if pool.seen_shared and there.seen_shared:
        return ok(sentence("%(disk)s: in the shared pool %(pool)s, on a network file system."), **words)
    if pool.type == "dir" and not disk.readonly:
        return warning(sentence("%(disk)s: in the shared pool %(pool)s, which is a folder."), SAY_SHARED, **words)
    return ok(sentence("%(disk)s: in the shared pool %(pool)s."), **words)


def _served(disk: Disk, host: Machine, words: dict[str, str]) -> Finding:
    words = words | {"server": disk.server}
    if disk.server in host.servers:
        return ok(sentence("%(disk)s: served by %(server)s, which %(host)s uses too."), **words)
    text = sentence("%(disk)s: served by %(server)s; whether %(host)s can reach that is not known.")
    return unknown(text, sentence("Try it from there, and see that no firewall is in between."), **words)


def _read_only(disk: Disk, host: Machine, words: dict[str, str]) -> Finding:
    if disk.path in host.volumes:
        return ok(sentence("%(disk)s: %(host)s has a file of that path; it is only read."), **words)
    mend = sentence("Put the same file there, or take the medium out.")
    if _is_mirrored(disk, host):
        # Of a folder that hosts share the others hear of a new file only when they look at it again.
        return no(sentence("%(disk)s: %(host)s has no %(path)s."), mend, **words, local="yes")
    return unknown(sentence("%(disk)s: whether %(host)s has %(path)s is not known."), mend, **words)


def _is_mirrored(disk: Disk, host: Machine) -> bool:
    """Whether a look at the host's pools would have shown the file."""
    folder = posixpath.dirname(disk.path)
    return any(pool.active and pool.path == folder for pool in host.pools)


def _local(
    disk: Disk, pool: Pool | None, there: Pool | None, host: Machine, source: Machine | None, words: dict[str, str]
) -> Finding:
    words = words | {"local": "yes"}
    size = source.volumes.get(disk.path, 0) if source is not None else 0
    if pool is None and there is None and disk.path not in host.volumes:
        text = sentence("%(disk)s: %(path)s is in no pool; whether %(host)s sees the same file is not known.")
        return unknown(text, sentence("Make its folder a pool on both hosts."), **words)
    if disk.path and disk.path in host.volumes:
        text = sentence("%(disk)s: %(host)s has a file %(path)s too; whether it is the same one is not known.")
        return unknown(text, sentence("Say on the pool's page that the hosts share it, or copy the disk."), **words)
    more = {"wanted": size, "pool": there.name if there is not None else ""}
    if there is None:
        text = sentence(
            "%(disk)s: only the source is known to have %(path)s; %(host)s has no pool there to copy it to."
        )
        if pool is not None and pool.type in OWN_TYPES:
            return no(text, sentence("Make a pool of that path there."), **words)
        return unknown(text, sentence("Make a pool of that path there."), **words)
    if not there.active:
        return no(
            sentence("%(disk)s: the pool %(pool)s is off on %(host)s."),
            sentence("Start the pool there."),
            **words,
            **more,
        )
    if size > there.available:
        text = sentence("%(disk)s: not shared, and a copy (%(wanted)s) does not fit into %(pool)s (%(free)s free).")
        return no(text, sentence("Make room there."), **words, **more, free=there.available)
    return no(sentence("%(disk)s: not shared; it can be copied to %(pool)s (%(wanted)s)."), COPY, **words, **more)


def is_copyable(finding: Finding) -> bool:
    """Whether a disk's no becomes a yes when disks are copied."""
    return finding.mend is COPY


def is_local(finding: Finding) -> bool:
    """Whether what is found holds only while the storage is not shared."""
    return "local" in finding.words


def cache_needs(guest: Guest) -> tuple[tuple[tuple[str, str], ...], int | None]:
    """Its writable disks' cache modes."""
    return tuple((disk.target, disk.cache) for disk in guest.disks if not disk.readonly), guest.host


def cache(need: tuple[tuple[tuple[str, str], ...], int | None], _host: Machine, hosts: Hosts) -> Finding:
    """What the source's kernel holds of a shared disk must not hide what the other side writes."""
    modes, source_id = need
    risky = [target for target, mode in modes if mode not in SAFE_CACHES]
    source = hosts.get(source_id) if source_id is not None else None
    if not risky:
        return ok(sentence("Nothing of its disks stays in a host's memory."))
    if source is None or not source.qemu:
        return unknown(sentence("Which QEMU runs it is not known."))
    if source.qemu >= DROPS_CACHE:
        return ok(sentence("Its QEMU drops what it holds of disks before the target opens them."))
    text = sentence("%(disk)s is cached by the host, and its QEMU is too old to drop that: data may be damaged.")
    return warning(text, sentence("Set cache to none and start it anew."), disk=risky[0])
