"""A guest's snapshots as a tree, and what can be done with each."""

from __future__ import annotations

import hashlib
from typing import Any
from urllib.parse import urlencode

from django.urls import reverse
from django.utils.translation import gettext as _

from hosts import access
from hosts.models import StorageVolume, User
from hosts.operations.kind import Refused, registry
from vms import snapshots
from vms.models import VirtualMachine
from vms.operations.base import GuestKind
from vms.views import parts, schedules
from vms.views.actions import action, busy_reason
from vms.views.looks import look_of

#: deeper ones are drawn as deep as this
DEEPEST_DRAWN = 8
KINDS = ("snapshot-revert", "snapshot-delete", "snapshot-describe")


def context(vm: VirtualMachine, user: User) -> dict[str, Any]:
    """The tree, with buttons for those who may."""
    busy = busy_reason(parts.active(vm, user))
    found = snapshots.tree(snapshots.snapshots_of(vm))
    sizes = _sizes(vm, found)
    return {
        "vm": vm,
        "snapshots": [_row(vm, user, snapshot, busy, sizes) for snapshot in found],
        "take": action("snapshot-create", vm, user, busy),
        **schedules.context(vm, user),
        "depth": max((snapshot["depth"] + 1 for snapshot in found), default=0),
    }


def count(vm: VirtualMachine) -> int:
    """How many there are."""
    return len(snapshots.snapshots_of(vm))


def _sizes(vm: VirtualMachine, found: list[snapshots.Snapshot]) -> dict[str, int]:
    """What the files beside the images take, where a pool tells of them."""
    files = [file for snapshot in found for file in _files(snapshot)]
    rows = StorageVolume.objects.filter(pool__host=vm.host, path__in=files, absent_since=None) if files else []
    return {row.path: row.allocation for row in rows}


def _files(snapshot: snapshots.Snapshot) -> list[str]:
    return [disk["file"] for disk in snapshot["disks"] if disk["where"] == "external" and disk["file"]]


def _row(
    vm: VirtualMachine, user: User, snapshot: snapshots.Snapshot, busy: str, sizes: dict[str, int]
) -> dict[str, Any]:
    buttons = [_button(vm, user, name, snapshot, busy) for name in KINDS]
    return {
        **snapshot,
        "key": hashlib.sha256(snapshot["name"].encode()).hexdigest()[:12],
        "indent": min(snapshot["depth"], DEEPEST_DRAWN),
        "at": snapshots.taken_at(snapshot),
        "external": snapshots.is_external(snapshot),
        "files": [{"path": file, "size": sizes.get(file)} for file in _files(snapshot)],
        "held": [disk["target"] for disk in snapshot["disks"] if disk["where"] not in ("no", "")],
        "buttons": [button for button in buttons if button is not None],
    }


def _button(
    vm: VirtualMachine, user: User, name: str, snapshot: snapshots.Snapshot, busy: str
) -> dict[str, Any] | None:
    kind = registry[name]
    assert isinstance(kind, GuestKind)
    if not access.may(user, kind.verb, vm):
        return None
    reason = busy or _why_not(kind, vm, snapshot)
    look = look_of(kind)
    return {
        "label": _LABELS[name](),
        "url": f"{reverse('vms:act', args=[vm.uuid, name])}?{urlencode({'name': snapshot['name']})}",
        "icon": look.icon,
        "method": "dialog",
        "danger": look.danger,
        "disabled": bool(reason),
        "reason": reason,
    }


_LABELS = {
    "snapshot-revert": lambda: _("Go back"),
    "snapshot-delete": lambda: _("Delete"),
    "snapshot-describe": lambda: _("Describe"),
}


def _why_not(kind: GuestKind, vm: VirtualMachine, snapshot: snapshots.Snapshot) -> str:
    try:
        kind.check(kind.subject(vm), {"name": snapshot["name"], "children": False, "description": ""})
    except Refused as error:
        return str(error)
    return ""
