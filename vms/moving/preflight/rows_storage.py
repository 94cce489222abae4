"""What hosts store, for the preflight: pools, volumes, open files and servers, a fixed number of queries whatever their number."""

from __future__ import annotations

import re
from collections.abc import Iterable

from hosts.models import StorageClaim, StoragePool, StorageVolume
from vms.models import VirtualMachine
from vms.moving.preflight.facts import Machine, Pool

#: names that are asked for in one query; SQLite takes some thousands
MOST_NAMES = 5000
#: pools that libvirt mounts from a server: NFS, CIFS, GlusterFS
NETWORK_SHARE = "netfs"


def add_storage(machines: dict[int, Machine], paths: set[str], files: set[str]) -> None:
    """Pools; of volumes and open files only those of that name."""
    rows = StoragePool.objects.filter(host__in=machines, absent_since=None)
    pools: dict[int, list[Pool]] = {}
    for row in rows.defer("definition"):
        pool = Pool(row.name, row.type, row.path.rstrip("/"), row.shared_key, row.active, row.available)
        pools.setdefault(row.host_id, []).append(pool._replace(seen_shared=row.type == NETWORK_SHARE))
        if row.active and row.type in ("netfs", "rbd", "iscsi", "iscsi-direct", "gluster"):
            server = re.split(r"[:/,]", row.source, maxsplit=1)[0].lower()
            machines[row.host_id].servers |= {server}
    for host, known in pools.items():
        machines[host].pools = tuple(_with_file_system(pool, known) for pool in known)
    for part in _parts(paths):
        volumes = StorageVolume.objects.filter(path__in=part, absent_since=None, pool__host__in=machines)
        for host, path, capacity in volumes.values_list("pool__host_id", "path", "capacity"):
            machines[host].volumes[path] = capacity
    for part in _parts(files):
        claims = StorageClaim.objects.filter(path__in=part, active=True, host__in=machines)
        for host, opened in grouped(claims.values_list("host_id", "path").distinct()).items():
            machines[host].opened |= opened


def _with_file_system(pool: Pool, known: list[Pool]) -> Pool:
    """libvirt does not tell which file system a folder is on; one in the folder of a mounted network share is on that."""
    if pool.type != "dir":
        return pool
    is_inside = any(
        one.seen_shared and one.active and one.path and f"{pool.path}/".startswith(f"{one.path}/") for one in known
    )
    return pool._replace(seen_shared=is_inside)


def _parts(names: set[str]) -> Iterable[list[str]]:
    known = sorted(names)
    return (known[start : start + MOST_NAMES] for start in range(0, len(known), MOST_NAMES))


def add_servers(machines: dict[int, Machine]) -> None:
    """Servers that running guests have disks on: their host reaches them."""
    rows = VirtualMachine.objects.filter(host__in=machines, absent_since=None, power_state="running")
    for host, disks in rows.exclude(disks=[]).values_list("host_id", "disks"):
        for disk in disks:
            if disk.get("type") == "network" and "://" in disk.get("source", ""):
                where = disk["source"].partition("://")[2].partition("/")[0]
                server = where.rpartition(":")[0] or where or disk["source"].partition("://")[0]
                machines[host].servers |= {server.lower()}


def grouped(pairs: Iterable[tuple[int, str]]) -> dict[int, set[str]]:
    """Values by key."""
    found: dict[int, set[str]] = {}
    for key, value in pairs:
        found.setdefault(key, set()).add(value)
    return found
