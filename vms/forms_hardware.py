"""The forms of a guest's processors, memory and media."""

from __future__ import annotations

from typing import Any

from django import forms
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from vms.definition.devices.disk import Disk
from vms.definition.domain import Definition
from vms.definition.nodes import UnknownProperty
from vms.forms_hardware_base import HardwareForm, SizeField, size_text
from vms.hardware import editing, images
from vms.operations.hardware import Now


def definition_of(now: Now) -> Definition:
    """The definition that a form shows: the stored one, else that of the running guest."""
    return Definition.parse(now.config or now.live)


class VcpusForm(HardwareForm):
    """How many processors."""

    def build(self) -> dict[str, forms.Field]:
        return {
            "count": forms.IntegerField(
                label=gettext_lazy("Processors"), min_value=1, max_value=65535, help_text=self._running()
            ),
            "maximum": forms.IntegerField(
                label=gettext_lazy("Room for"),
                min_value=1,
                max_value=65535,
                help_text=gettext_lazy(
                    "Up to so many it can have while it runs. Another number holds from the next boot on."
                ),
            ),
        }

    def _running(self) -> str:
        if not self.now.live:
            return _("Each is a thread of the host.")
        live = Definition.parse(self.now.live)
        most = live.vcpu.count or 1
        numbers = {"n": live.vcpu.current or most, "most": most}
        return _("It runs with %(n)d and can have up to %(most)d without a restart.") % numbers

    def values(self) -> dict[str, str]:
        vcpu = definition_of(self.now).vcpu
        most = vcpu.count or 1
        return {"count": str(vcpu.current or most), "maximum": str(most)}

    def own_arguments(self) -> dict[str, Any]:
        data = self.cleaned_data
        more = {"maximum": data["maximum"]} if "maximum" in self.changed() else {}
        return {"count": data["count"], **more}


class MemoryForm(HardwareForm):
    """How much memory."""

    def build(self) -> dict[str, forms.Field]:
        return {
            "memory": SizeField(label=gettext_lazy("Memory"), max_length=40, help_text=self._running()),
            "maximum": SizeField(
                label=gettext_lazy("Room for"),
                max_length=40,
                help_text=gettext_lazy(
                    "Up to so much its balloon can give it while it runs. Another size holds from the next boot on."
                ),
            ),
        }

    def _running(self) -> str:
        if not self.now.live:
            return _("Such as 2 GiB or 512 MiB.")
        live = Definition.parse(self.now.live)
        sizes = {"n": size_text(live.current_memory or live.memory), "most": size_text(live.memory)}
        return _("It runs with %(n)s and can have up to %(most)s without a restart.") % sizes

    def values(self) -> dict[str, str]:
        definition = definition_of(self.now)
        memory = definition.current_memory or definition.memory
        return {"memory": size_text(memory), "maximum": size_text(definition.memory)}

    def own_arguments(self) -> dict[str, Any]:
        data = self.cleaned_data
        more = {"maximum": data["maximum"]} if "maximum" in self.changed() else {}
        return {"memory": data["memory"], **more}


class MediaForm(HardwareForm):
    """What is in a drive."""

    asked_by_address = ("device",)

    def build(self) -> dict[str, forms.Field]:
        drive = self._drive()
        where = drive.where if drive is not None else ""
        found = [(images.source_of(volume), f"{volume.pool.name}: {volume.name}") for volume in self._images()]
        choices = [("", _("Nothing: eject")), *found]
        if where and where not in dict(choices):
            choices.insert(1, (where, where))
        fields: dict[str, forms.Field] = {
            "device": forms.CharField(widget=forms.HiddenInput, max_length=300),
            "source": forms.ChoiceField(label=gettext_lazy("Medium"), required=False, choices=choices),
            "path": forms.CharField(
                label=gettext_lazy("Or a path on the host"),
                required=False,
                max_length=2000,
                help_text=gettext_lazy("An image outside the pools; for administrators."),
            ),
        }
        if self.now.live:
            fields["force"] = forms.BooleanField(
                label=gettext_lazy("Even if the guest has locked the drive"),
                required=False,
                help_text=gettext_lazy("As with a pin in the hole: what the guest reads just now fails."),
            )
        return fields

    def _drive(self) -> Disk | None:
        try:
            found = editing.find(definition_of(self.now), str(self.given.get("device", "")))
        except UnknownProperty:
            return None
        return found if isinstance(found, Disk) else None

    def _images(self) -> list[Any]:
        rows = images.volumes_of(self.vm).order_by("pool__name", "name")
        return [volume for volume in rows[: images.MOST] if volume.is_iso or volume.format == "raw"]

    def values(self) -> dict[str, str]:
        drive = self._drive()
        return {"source": drive.where if drive is not None else ""}

    def own_arguments(self) -> dict[str, Any]:
        data = self.cleaned_data
        force = {"force": True} if data.get("force") else {}
        return {"device": data["device"], "source": data["path"].strip() or data["source"], **force}
