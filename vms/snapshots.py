"""The snapshots of a guest as its rows tell them: the tree, and what cannot be done and why. Pure, but for one query."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from django.utils.translation import gettext as _

from vms.models import Sighting, VirtualMachine

Snapshot = dict[str, Any]
#: the first libvirt that goes back to a snapshot whose disks are files of their own (libvirt's news of 9.9.0)
REVERTS_EXTERNAL = (9, 9, 0)
#: the first libvirt that merges one away (libvirt's news of 9.0.0)
DELETES_EXTERNAL = (9, 0, 0)


def snapshots_of(vm: VirtualMachine) -> list[Snapshot]:
    """What the guest's host told at the last look, oldest first."""
    if vm.host is None:
        return []
    found = Sighting.objects.filter(vm=vm, host=vm.host).values_list("snapshots", flat=True).first()
    return sorted(found or [], key=lambda snapshot: (snapshot["created"], snapshot["name"]))


def find(vm: VirtualMachine, name: str) -> Snapshot | None:
    """The snapshot of that name."""
    return next((snapshot for snapshot in snapshots_of(vm) if snapshot["name"] == name), None)


def is_external(snapshot: Snapshot) -> bool:
    """Whether any part of it is a file of its own beside the images."""
    return snapshot["memory"] == "external" or any(disk["where"] == "external" for disk in snapshot["disks"])


def taken_at(snapshot: Snapshot) -> datetime | None:
    """When it was taken, by the host's clock."""
    return datetime.fromtimestamp(snapshot["created"], UTC) if snapshot["created"] else None


def tree(snapshots: list[Snapshot]) -> list[Snapshot]:
    """In the order in which the tree is drawn: parents before children, with ``depth``; a parent that is gone makes a root."""
    names = {snapshot["name"] for snapshot in snapshots}
    children: dict[str, list[Snapshot]] = {}
    for snapshot in snapshots:
        parent = snapshot["parent"] if snapshot["parent"] in names else ""
        children.setdefault(parent, []).append(snapshot)
    drawn: list[Snapshot] = []
    waiting = [(snapshot, 0) for snapshot in reversed(children.get("", []))]
    while waiting:
        snapshot, depth = waiting.pop()
        drawn.append({**snapshot, "depth": depth, "children": len(children.get(snapshot["name"], []))})
        waiting += [(child, depth + 1) for child in reversed(children.get(snapshot["name"], []))]
    return drawn


def writable_disks(vm: VirtualMachine) -> list[dict[str, Any]]:
    """The disks that a snapshot has to hold."""
    return [disk for disk in vm.disks if disk["device"] == "disk" and not disk["readonly"]]


def why_no_internal(vm: VirtualMachine) -> str:
    """Why a snapshot inside the images is not possible; '' when it is."""
    disks = writable_disks(vm)
    if not disks:
        return _("%(name)s has no disk that it writes to.") % {"name": vm.name}
    other = [disk["target"] for disk in disks if disk["format"] != "qcow2"]
    if other:
        return _("Only qcow2 images hold snapshots; these disks are not: %(disks)s.") % {"disks": ", ".join(other)}
    if any(is_external(snapshot) for snapshot in snapshots_of(vm)):
        return _("It has snapshots in files of their own; mixing the two is not possible.")
    return ""


def why_no_external(vm: VirtualMachine) -> str:
    """Why a snapshot in files beside the images is not possible; '' when it is."""
    disks = writable_disks(vm)
    if not disks:
        return _("%(name)s has no disk that it writes to.") % {"name": vm.name}
    other = [disk["target"] for disk in disks if disk["type"] != "file"]
    if other:
        return _("Files beside the images are made for disks that are files; these are not: %(disks)s.") % {
            "disks": ", ".join(other)
        }
    if any(not is_external(snapshot) for snapshot in snapshots_of(vm)):
        return _("It has snapshots inside its images; mixing the two is not possible.")
    return ""


def version_of(vm: VirtualMachine) -> tuple[int, ...]:
    """The libvirt of the guest's host; (0,) while it is not known."""
    text = vm.host.libvirt_version if vm.host is not None else ""
    return tuple(int(part) for part in text.split(".") if part.isdigit()) or (0,)
