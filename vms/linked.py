"""What a guest's disks lie on, and which other guests' disks lie on them. Rows only."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from uuid import UUID

from django.utils.translation import gettext as _

from hosts.models import StorageVolume
from hosts.operations.storage_base import told
from hosts.storage_use import chain_of, use_of
from vms.disks import volume_of
from vms.models import VirtualMachine


@dataclass(frozen=True, slots=True)
class Base:
    """What the disk ``target`` lies on: a volume, or the path of what is in no pool; and the guest whose disk that is."""

    target: str
    name: str
    url: str = ""
    owner: UUID | None = None
    owner_name: str = ""


def volumes_of(vm: VirtualMachine) -> dict[str, StorageVolume]:
    """Target → volume, of the disks that it writes to."""
    disks = [disk for disk in vm.disks if disk["device"] == "disk" and not disk["readonly"] and disk["source"]]
    found = {disk["target"]: volume_of(vm, disk["source"]) for disk in disks}
    return {target: volume for target, volume in found.items() if volume is not None}


def bases_of(vm: VirtualMachine, volumes: dict[str, StorageVolume]) -> list[Base]:
    """What each disk lies on directly."""
    found = []
    for target, volume in volumes.items():
        if not volume.backing_path:
            continue
        below = next(iter(chain_of(volume)), volume.backing_path)
        if isinstance(below, str):
            found.append(Base(target, below))
            continue
        direct = [user for user in use_of([below])[below.pk].users if not user.through and user.owner != vm.uuid]
        owner = direct[0] if direct else None
        url = below.get_absolute_url()
        found.append(Base(target, below.name, url, owner.owner if owner else None, owner.name if owner else ""))
    return found


def clones_of(vm: VirtualMachine, volumes: Iterable[StorageVolume]) -> dict[UUID, str]:
    """UUID → name of the other guests whose disks lie on its disks."""
    uses = use_of(list(volumes)).values()
    users = [user for use in uses for user in use.users if user.through and user.owner != vm.uuid]
    return {user.owner: user.name for user in sorted(users, key=lambda user: user.name)}


def why_no_start(vm: VirtualMachine) -> str:
    """Why what it would write damages others; '' when it does not."""
    clones = clones_of(vm, volumes_of(vm).values())
    if not clones:
        return ""
    return _("Disks of other guests lie on its own, and would be damaged by what it writes: %(names)s.") % {
        "names": told(list(clones.values()))
    }
