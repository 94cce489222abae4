"""The form of the boot order."""

from __future__ import annotations

from typing import Any

from django import forms
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from vms.definition.nodes import Node
from vms.forms_hardware import definition_of
from vms.forms_hardware_base import HardwareForm
from vms.hardware import editing
from vms.operations.boot_order import KINDS

#: kinds that the firmware is told, one after the other
PLACES = ("first", "second", "third")


class BootForm(HardwareForm):
    """A number for each device, or kinds of devices."""

    takes_live = False

    def build(self) -> dict[str, forms.Field]:
        words = {
            "hd": _("Disk"),
            "cdrom": _("CD-ROM drive"),
            "network": _("Network"),
            "fd": _("Floppy drive"),
        }
        kinds = [("", "–"), *((kind, words[kind]) for kind in KINDS)]
        labels = {"first": _("First kind"), "second": _("Second kind"), "third": _("Third kind")}
        how = forms.ChoiceField(
            label=gettext_lazy("Order of"),
            choices=[("devices", _("devices, by their numbers")), ("firmware", _("kinds of devices"))],
            widget=forms.RadioSelect,
            help_text=gettext_lazy(
                "Numbers say exactly what is tried; kinds leave the choice among several to the firmware."
            ),
        )
        numbers = {
            path: forms.IntegerField(label=label, required=False, min_value=1, max_value=100)
            for path, label in self._labels().items()
        }
        chosen = {name: forms.ChoiceField(label=labels[name], required=False, choices=kinds) for name in PLACES}
        menu = forms.ChoiceField(
            label=gettext_lazy("Menu"),
            required=False,
            choices=[("", _("as libvirt has it")), ("yes", _("yes")), ("no", _("no"))],
            help_text=gettext_lazy("Whether the firmware offers to choose at each start."),
        )
        return {"how": how, **numbers, **chosen, "menu": menu}

    def _bootable(self) -> list[tuple[str, Node]]:
        found = editing.devices(definition_of(self.now))
        return [(path, node) for path, node in found if "boot_order" in node.properties]

    def _labels(self) -> dict[str, str]:
        return {path: _said(path, node) for path, node in self._bootable()}

    def values(self) -> dict[str, str]:
        definition = definition_of(self.now)
        numbers = {path: str(node.get("boot_order") or "") for path, node in self._bootable()}
        kinds = dict.fromkeys(PLACES, "") | dict(zip(PLACES, definition.os.boot_devices, strict=False))
        menu = {True: "yes", False: "no"}.get(definition.os.boot_menu, "")  # type: ignore[arg-type]
        how = "devices" if any(numbers.values()) or not any(kinds.values()) else "firmware"
        return {"how": how, **numbers, **kinds, "menu": menu}

    def clean(self) -> dict[str, Any]:
        data = super().clean()
        numbers = [data[path] for path, _node in self._bootable() if data.get(path)]
        if data.get("how") == "devices" and len(set(numbers)) != len(numbers):
            raise forms.ValidationError(_("Two devices have the same number."))
        return data

    def own_arguments(self) -> dict[str, Any]:
        data = self.cleaned_data
        menu = {"menu": data["menu"] == "yes"} if data.get("menu") else {}
        if data["how"] == "firmware":
            return {"firmware": list(dict.fromkeys(data[name] for name in PLACES if data.get(name))), **menu}
        numbered = sorted((data[path], path) for path, _node in self._bootable() if data.get(path))
        return {"devices": [path for _number, path in numbered], **menu}


def _said(path: str, node: Node) -> str:
    """A device and what tells people which one it is."""
    where = getattr(node, "where", "") or (node.get("source.network") if "interfaces" in path else "") or ""
    return f"{path} {where}".strip()
