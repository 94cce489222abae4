"""What is different on the target: looked up in the rows, and written into the definitions."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping
from typing import Any

from django.utils.translation import gettext as _

from hosts.models import Host, HostInterfaces, Network, StorageClaim, StoragePool, StorageVolume
from hosts.operations.storage_base import NotNow
from vms.models import VirtualMachine
from vms.moving.target_definition import DoesNotFit, edited

#: pools whose volumes are files in a folder
OF_FILES = ("dir", "fs", "netfs", "gluster", "vstorage")


def for_target(arguments: Mapping[str, Any], target: Host, live: str, stored: str) -> tuple[str, str]:
    """Both definitions as the move's arguments want them on ``target``; '' stays ''. Raises NotNow."""
    folders = {disk: _folder(target, pool) for disk, pool in arguments["disks"].items() if pool}
    collapse = not arguments["incremental"]
    try:
        changed = [text and edited(text, arguments["networks"], folders, collapse=collapse) for text in (live, stored)]
    except DoesNotFit as error:
        words = {
            "networks": _("No network card of the guest is on %(name)s."),
            "disks": _("%(name)s is no disk of the guest that lies in a file."),
        }
        raise NotNow(error.field, words[error.field] % {"name": error.name}) from None
    return changed[0], changed[1]


def check(arguments: Mapping[str, Any], target: Host) -> None:
    """Look, by the rows, whether the target has what the arguments name. Raises NotNow."""
    for pool in set(filter(None, arguments["disks"].values())):
        _folder(target, pool)
    wanted = set(arguments["networks"].values())
    if not wanted:
        return
    known, all_told = networks_of(target)
    for name in wanted - known:
        if all_told:
            raise NotNow("networks", _("%(host)s has no network or bridge %(name)s.") % {"host": target, "name": name})


def check_disks(vm: VirtualMachine, source: Host, target: Host) -> None:
    """Look, by the rows, whether the target sees the guest's disks where the source does. Raises NotNow."""
    claims = StorageClaim.objects.filter(host=source, owner=vm.pk, depth=0, device="disk").exclude(path="")
    paths = set(claims.values_list("path", flat=True))
    volumes = StorageVolume.objects.filter(absent_since=None, path__in=paths).exclude(pool__shared_key="")
    by_host = {
        host: {(v.path, v.pool.shared_key) for v in volumes.filter(pool__host=host).select_related("pool")}
        for host in (source, target)
    }
    alone = paths - {path for path, _key in by_host[source] & by_host[target]}
    if alone:
        raise NotNow(
            "unsafe",
            _(
                "%(disk)s is not known to be the same on %(host)s. Tick that the storage is shared if you know that it is."
            )
            % {"disk": min(alone), "host": target},
        )


def copied_volumes(arguments: Mapping[str, Any], uuid: str, source: Host) -> list[list[Any]]:
    """The volumes at the source that stay there when the move has copied them: [host's key, pool's UUID, name] of each."""
    if not arguments["copy_storage"]:
        return []
    wanted = arguments["disks"]
    disks = VirtualMachine.objects.get(pk=uuid).disks
    paths = {str(one["source"]) for one in disks if not one["readonly"] and (not wanted or one["target"] in wanted)}
    rows = StorageVolume.objects.filter(pool__host=source, path__in=paths, absent_since=None).select_related("pool")
    return [[source.pk, str(volume.pool.uuid), volume.name] for volume in rows]


def volumes_to_make(arguments: Mapping[str, Any], uuid: str, target: Host) -> list[tuple[StoragePool, str]]:
    """Where libvirt makes the volumes that disks are copied into: (the target's pool, the volume's name) of each."""
    if not arguments["copy_storage"] or arguments["incremental"]:
        return []
    wanted = arguments["disks"]
    pools = StoragePool.objects.filter(host=target, active=True, absent_since=None, type__in=OF_FILES).exclude(path="")
    by_name, by_folder = {pool.name: pool for pool in pools}, {pool.path: pool for pool in pools}
    found = []
    for disk in VirtualMachine.objects.get(pk=uuid).disks:
        if disk["readonly"] or (wanted and disk["target"] not in wanted):
            continue
        folder, name = posixpath.split(str(disk["source"]))
        pool = by_name.get(wanted.get(disk["target"], "")) or by_folder.get(folder)
        if pool is not None and name:
            found.append((pool, name))
    return found


def networks_of(host: Host) -> tuple[set[str], bool]:
    """Names of its networks that are on and of its bridges, and whether it told of its bridges."""
    networks = Network.objects.filter(host=host, absent_since=None, active=True)
    told = HostInterfaces.objects.filter(host=host, trouble="").first()
    bridges = (
        {str(one["name"]) for one in told.interfaces if one.get("kind") == "bridge"} if told is not None else set()
    )
    return {*networks.values_list("name", flat=True), *bridges}, told is not None


def _folder(target: Host, name: str) -> str:
    pool = StoragePool.objects.filter(host=target, name=name, absent_since=None).first()
    if pool is None or not pool.active:
        raise NotNow("disks", _("%(host)s has no pool %(name)s that is on.") % {"host": target, "name": name})
    if pool.type not in OF_FILES or not pool.path:
        raise NotNow("disks", _("Pool %(name)s of %(host)s does not hold files.") % {"host": target, "name": name})
    return pool.path
