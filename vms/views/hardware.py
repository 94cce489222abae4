"""A guest's hardware for its page: each device with what can be done to it, and what the next boot will bring."""

from __future__ import annotations

import hashlib
from typing import Any
from urllib.parse import urlencode

from django.urls import reverse
from django.utils.translation import gettext as _

from hosts import access
from hosts.models import User
from hosts.operations.kind import Kind, Refused, registry
from vms import history
from vms.definition.changes import Difference
from vms.hardware import reading
from vms.hardware.catalogue import TYPES
from vms.hardware.reading import Device, Hardware
from vms.models import VirtualMachine
from vms.operations.base import GuestKind
from vms.operations.hardware import seen
from vms.views.looks import look_of

Item = dict[str, Any]


class Buttons:
    """What a user may ask of a guest's hardware now."""

    def __init__(self, vm: VirtualMachine, user: User, busy: str) -> None:
        self.vm, self.user, self.busy = vm, user, busy
        self._reasons: dict[str, str] = {}

    def one(self, name: str, label: str = "", **query: str) -> Item | None:
        """A button that opens the dialog of a kind; None where the user may not."""
        kind = registry.get(name)
        if not isinstance(kind, GuestKind) or not access.may(self.user, kind.verb, self.vm):
            return None
        look, reason = look_of(kind), self.busy or self._why_not(kind)
        address = reverse("vms:act", args=[self.vm.uuid, name])
        return {
            "label": label or str(kind.label),
            "url": f"{address}?{urlencode(query)}" if query else address,
            "icon": look.icon,
            "method": "dialog",
            "danger": look.danger,
            "disabled": bool(reason),
            "reason": reason,
        }

    def _why_not(self, kind: Kind) -> str:
        if kind.name not in self._reasons:
            try:
                GuestKind.check(kind, kind.subject(self.vm), {})  # type: ignore[arg-type]
                self._reasons[kind.name] = ""
            except Refused as error:
                self._reasons[kind.name] = str(error)
        return self._reasons[kind.name]

    def of(self, device: Device) -> list[Item]:
        """What can be done to a device. Others add theirs to a disk's here."""
        if device.type is None:
            return []
        path, drive = device.path, device.type.name in ("cdrom", "floppy")
        found = [
            self.one("media", device=path) if drive else None,
            self.one("device-change", _("Change…"), device=path),
        ]
        if device.type.name == "disk" and (target := device.words.get("target")):
            found += [self.one(name, target=target) for name in ("block-resize", "block-copy")]
        if device.type.removable:
            found.append(self.one("device-remove", _("Remove…"), device=path))
        return [item for item in found if item is not None]

    def adds(self) -> list[Item]:
        """A menu of what can be added."""
        found = []
        for type_ in TYPES.values():
            item = self.one("device-add", str(type_.label), type=type_.name) if type_.name != "memballoon" else None
            found += [{**item, "icon": type_.icon}] if item is not None else []
        return found


def context(vm: VirtualMachine, user: User, busy: str) -> dict[str, Any]:
    """All of it."""
    now = seen(vm)
    hardware = reading.read(now.live, now.config)
    buttons = Buttons(vm, user, busy)
    return {
        "hardware": hardware,
        "rows": [_row(device, buttons, hardware) for device in hardware.devices],
        "pending": [told(change) for change in hardware.pending],
        "machine": hardware.machine,
        "machine_buttons": [
            item for name in ("vcpus", "memory", "boot-order") if (item := buttons.one(name)) is not None
        ],
        "adds": buttons.adds(),
        "restart": buttons.one("restart", _("Apply by restart…")) if hardware.pending else None,
    }


def _row(device: Device, buttons: Buttons, hardware: Hardware) -> dict[str, Any]:
    return {
        **device.words,
        "tag": device.tag,
        "path": device.path,
        "id": f"vm-device-{hashlib.sha256(device.path.encode()).hexdigest()[:12]}",
        "when": _when(device, hardware),
        "items": buttons.of(device),
    }


def _when(device: Device, hardware: Hardware) -> str:
    if not hardware.running or (device.live and device.next):
        return ""
    return _("until it is shut down") if device.live else _("from the next boot on")


def told(change: Difference) -> dict[str, str]:
    """A difference as a line of the table: what, running, then."""
    path, before, after = change
    return {"what": history.place_words(path), "running": _value(path, before), "then": _value(path, after)}


def _value(path: str, value: str | None) -> str:
    if value is None:
        return "–"
    return _("there") if history.is_element(value) else history.value_words(path, value)
