"""The forms that add, change and remove a device: made of the fields of its type and of the properties behind them."""

from __future__ import annotations

from typing import Any

from django import forms
from django.utils.translation import gettext as _

from hosts.models import Network, StoragePool
from hosts.operations.presenter import size
from hosts.storage_types import type_of as pool_type
from hosts.storage_use import use_of
from vms.definition.devices.interface import fresh_mac
from vms.definition.domain import Definition
from vms.definition.nodes import Node, UnknownProperty
from vms.definition.place import Property
from vms.forms_hardware import definition_of
from vms.forms_hardware_base import HardwareForm, SizeField, size_text
from vms.hardware import editing, images
from vms.hardware.catalogue import TYPES, Type, property_at, type_of
from vms.hardware.fields import Field
from vms.operations.device_add import IMAGES

#: fields that stand folded
FOLDED = ("iotune.", "bandwidth.")
FORMATS = ("qcow2", "raw")
YES_NO = {"yes": True, "no": False}


class DeviceForm(HardwareForm):
    """A device with the fields of its type."""

    fields_template = "vms/_device_fields.html"
    #: which fields are asked: those that are not of the "old" or "new" alone
    other = ""

    def type_of_it(self) -> Type | None:
        """The type that is asked for; None where there is no such thing."""
        raise NotImplementedError

    def asked(self) -> list[Field]:
        """The fields of the type that are asked here."""
        type_ = self.type_of_it()
        return [one for one in type_.fields if one.only != self.other] if type_ is not None else []

    def build(self) -> dict[str, forms.Field]:
        type_ = self.type_of_it()
        return {one.path: self._field(type_, one) for one in self.asked()} if type_ is not None else {}

    def _field(self, type_: Type, one: Field) -> forms.Field:
        words = {"label": one.label, "help_text": self._help(one), "required": one.required}
        declared = _declared(type_, one)
        if one.path == "source.network":
            return forms.ChoiceField(choices=self._with_own(one, self._networks()), **words)
        if declared is None:
            return forms.CharField(max_length=200, **words)
        if declared.form == "presence":
            return forms.ChoiceField(choices=[("", _("no")), ("yes", _("yes"))], **words)
        if declared.form == "flag":
            yes_no = [("yes", _("yes")), ("no", _("no"))]
            return forms.ChoiceField(choices=[("", _("as libvirt has it")), *yes_no], **words)
        choices = one.choices or tuple(getattr(declared, "choices", ()))
        if choices:
            empty = [] if one.required or one.first else [("", _("as libvirt has it"))]
            return forms.ChoiceField(choices=self._with_own(one, [*empty, *((c, c) for c in choices)]), **words)
        if declared.form == "integer":
            least, most = getattr(declared, "minimum", 0), getattr(declared, "maximum", None)
            return forms.IntegerField(min_value=least, max_value=most, **words)
        return (SizeField if declared.form == "size" else forms.CharField)(max_length=1000, **words)

    def _help(self, one: Field) -> str:
        if not self.now.live or self.other != "new":
            return str(one.help)
        when = _("Changes at once.") if one.live else _("Changes at the next boot.")
        return f"{one.help} {when}"

    def _with_own(self, one: Field, choices: list[tuple[str, Any]]) -> list[tuple[str, Any]]:
        """What it has now can stay, whatever it is."""
        own = self.values().get(one.path, "")
        return choices if not own or own in dict(choices) else [*choices, (own, own)]

    def _networks(self) -> list[tuple[str, Any]]:
        rows = Network.objects.filter(host=self.vm.host, absent_since=None).order_by("name")
        return [
            ("", "–"),
            *((row.name, row.name if row.active else _("%(name)s (off)") % {"name": row.name}) for row in rows),
        ]

    @property
    def main_fields(self) -> list[Any]:
        """What is seen at once."""
        return [
            field for field in self.visible_fields() if not field.name.startswith(FOLDED) and field.name != "affect"
        ]

    @property
    def folded_fields(self) -> list[Any]:
        """Limits, which few want."""
        return [field for field in self.visible_fields() if field.name.startswith(FOLDED)]

    @property
    def is_open(self) -> bool:
        """Whether the folded ones say something."""
        return any(field.value() or field.errors for field in self.folded_fields)

    def natives(self, names: list[str]) -> dict[str, Any]:
        """The values of these fields as properties take them; None for nothing."""
        return {name: _native(self.cleaned_data[name]) for name in names if name in self.cleaned_data}


class DeviceAddForm(DeviceForm):
    """A new device of the type that the address says."""

    @property
    def part(self) -> str:  # type: ignore[override]
        """What is added."""
        type_ = self.type_of_it()
        return str(type_.label) if type_ is not None else ""

    asked_by_address = ("type",)
    other = "old"

    def type_of_it(self) -> Type | None:
        return TYPES.get(str(self.given.get("type", "")))

    def build(self) -> dict[str, forms.Field]:
        type_ = self.type_of_it()
        fields: dict[str, forms.Field] = {"type": forms.CharField(widget=forms.HiddenInput, max_length=40)}
        own = super().build()
        if type_ is not None and "type" in own:
            own["own_type"] = own.pop("type")
        if type_ is not None and type_.name in IMAGES:
            fields |= self._image_fields(type_)
        # The kind of an interface or a channel stands first.
        return fields | {name: own[name] for name in sorted(own, key=lambda name: name != "own_type")}

    def _image_fields(self, type_: Type) -> dict[str, forms.Field]:
        is_disk = type_.name == "disk"
        first = ("", _("A new volume, as below") if is_disk else _("Nothing: an empty drive"))
        fields: dict[str, forms.Field] = {
            "image": forms.ChoiceField(
                label=_("Image") if is_disk else _("Medium"),
                required=False,
                choices=[first, *self._volumes(is_disk)],
                help_text=_("Volumes of pools of its host that nobody uses.") if is_disk else "",
            )
        }
        if is_disk:
            pools = StoragePool.objects.filter(host=self.vm.host, active=True, absent_since=None).order_by("name")
            fitting = [pool for pool in pools if pool_type(pool.type).creates]
            names = [(pool.name, f"{pool.name} ({size(pool.available)})") for pool in fitting]
            fields |= {
                "new_pool": forms.ChoiceField(label=_("Pool of the new volume"), required=False, choices=names),
                "new_name": forms.CharField(label=_("Its name"), required=False, max_length=200),
                "new_size": SizeField(
                    label=_("Its size"), required=False, max_length=40, help_text=_("Such as 20 GiB.")
                ),
                "new_format": forms.ChoiceField(
                    label=_("Its format"), required=False, choices=[(one, one) for one in FORMATS]
                ),
            }
        return fields

    def _volumes(self, is_disk: bool) -> list[tuple[str, str]]:
        rows = list(images.volumes_of(self.vm).order_by("pool__name", "name")[: images.MOST])
        used = use_of(rows) if is_disk else {}
        rows = [row for row in rows if row.is_iso != is_disk and not used.get(row.pk)]
        return [(images.source_of(row), f"{row.pool.name}: {row.name} ({size(row.capacity)})") for row in rows]

    def values(self) -> dict[str, str]:
        type_ = self.type_of_it()
        if type_ is None:
            return {}
        first = {("own_type" if one.path == "type" else one.path): one.first for one in self.asked()}
        if type_.name == "interface":
            first["mac"] = fresh_mac()
            first["source.network"] = next((name for name, _label in self._networks() if name), "")
        if type_.name in ("cdrom", "disk"):
            first["target.bus"] = _bus_of(definition_of(self.now), type_)
        if type_.name == "disk":
            first |= {"image": "", "new_pool": "", "new_name": f"{self.vm.name}-data.qcow2", "new_size": "10 GiB"}
            first["new_format"] = "qcow2"
        return first

    def _with_own(self, one: Field, choices: list[tuple[str, Any]]) -> list[tuple[str, Any]]:
        return choices

    def own_arguments(self) -> dict[str, Any]:
        type_, data = self.type_of_it(), self.cleaned_data
        names = [one.path for one in self.asked() if one.path != "type"]
        values = {name: value for name, value in self.natives(names).items() if value is not None}
        if data.get("own_type"):
            values = {"type": data["own_type"], **values}
        for one in self.asked():
            path, fitting = one.when
            if path and values.get(path) not in fitting:
                values.pop(one.path, None)
        found = {"type": type_.name if type_ is not None else "", "set": values}
        if data.get("image"):
            return {**found, "source": data["image"]}
        if type_ is not None and type_.name == "disk":
            names = ["pool", "name", "format"]
            new = {name: data.get(f"new_{name}") or "" for name in names}
            return {**found, "new_volume": {**new, "capacity": data.get("new_size") or 0}}
        return found

    def blame(self, field: str, message: str) -> None:
        moved = {
            "name": "new_name",
            "capacity": "new_size",
            "format": "new_format",
            "pool": "new_pool",
            "source": "image",
        }
        super().blame(moved.get(field, field), message)


class DeviceChangeForm(DeviceForm):
    """What a device says, to be changed."""

    asked_by_address = ("device",)
    other = "new"

    @property
    def part(self) -> str:  # type: ignore[override]
        """Which device it is."""
        return str(self.given.get("device", ""))

    def node(self) -> Node | None:
        """The device as it will boot, else as it runs."""
        path = str(self.given.get("device", ""))
        for text in (self.now.config, self.now.live):
            try:
                if text:
                    return editing.find(Definition.parse(text), path)
            except UnknownProperty:
                continue
        return None

    def type_of_it(self) -> Type | None:
        node = self.node()
        return type_of(str(self.given.get("device", "")), node) if node is not None else None

    def build(self) -> dict[str, forms.Field]:
        device = forms.CharField(widget=forms.HiddenInput, max_length=300)
        return {"device": device, **super().build()}

    def values(self) -> dict[str, str]:
        node, type_ = self.node(), self.type_of_it()
        if node is None or type_ is None:
            return {}
        return {one.path: _text(editing.says(node, one.path), _declared(type_, one)) for one in self.asked()}

    def clean(self) -> dict[str, Any]:
        data = super().clean()
        if self.type_of_it() is None:
            raise forms.ValidationError(_("The guest has no such device any more."))
        if not self.errors and not self.changed():
            raise forms.ValidationError(_("Nothing is changed."))
        return data

    def own_arguments(self) -> dict[str, Any]:
        return {"device": self.cleaned_data["device"], "set": self.natives(list(self.changed()))}


class DeviceRemoveForm(HardwareForm):
    """A device less."""

    @property
    def part(self) -> str:  # type: ignore[override]
        """Which device it is."""
        return str(self.given.get("device", ""))

    asked_by_address = ("device",)

    def build(self) -> dict[str, forms.Field]:
        return {"device": forms.CharField(widget=forms.HiddenInput, max_length=300)}

    def own_arguments(self) -> dict[str, Any]:
        return {"device": self.cleaned_data["device"]}


def _declared(type_: Type, one: Field) -> Property[Any] | None:
    return None if one.path == "device" else property_at(type_.node, one.path)


def _native(value: Any) -> Any:
    if value in ("", None):
        return None
    return YES_NO.get(value, value) if isinstance(value, str) else value


def _text(value: Any, declared: Property[Any] | None) -> str:
    """A value as the form says it."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return size_text(value) if declared is not None and declared.form == "size" else str(value)


def _bus_of(definition: Definition, type_: Type) -> str:
    """The bus that suits the machine best."""
    if type_.name == "disk":
        return next(
            (disk.target.bus for disk in definition.devices.disks if disk.device == "disk" and disk.target.bus),
            "virtio",
        )
    return "sata" if "q35" in (definition.os.machine or "") else "ide"
