"""Forms for changes of one disk, whose target comes with the address."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django import forms
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from hosts.operations.presenter import size
from hosts.storage_forms_volume import SizeField
from vms import disks
from vms.form_base import KindForm
from vms.models import VirtualMachine

ACTIVE = (VirtualMachine.PowerState.RUNNING, VirtualMachine.PowerState.PAUSED)


class DiskForm(KindForm):
    """A change of one disk."""

    asked_by_address = ("target",)
    target = forms.CharField(widget=forms.HiddenInput, max_length=40)

    def __init__(self, *args: Any, vms: Sequence[VirtualMachine] = (), **kwargs: Any) -> None:
        super().__init__(*args, vms=vms, **kwargs)
        self.vm = vms[0]
        self.part = str(self["target"].value() or "")
        self.disk = disks.find(self.vm, self.part) or {}
        self.volume = disks.volume_of(self.vm, self.disk["source"]) if self.disk.get("source") else None


class BlockResizeForm(DiskForm):
    """Another size."""

    capacity = SizeField(label=gettext_lazy("New size"), max_length=30)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["capacity"].help_text = self._help()

    def _help(self) -> str:
        within = _("The guest sees it at once; its own partitions and file systems are made larger in the guest.")
        if self.volume is None:
            return within
        return (
            _("%(disk)s is %(size)s now.")
            % {
                "disk": self.disk["target"],
                "size": size(self.volume.capacity),
            }
            + f" {within}"
        )


class BlockCopyForm(DiskForm):
    """Where to."""

    pool = forms.ChoiceField(label=gettext_lazy("To pool"), error_messages={"required": gettext_lazy("Choose a pool.")})
    format = forms.ChoiceField(
        label=gettext_lazy("Format"),
        choices=[("qcow2", "qcow2"), ("raw", "raw")],
        help_text=gettext_lazy("qcow2 grows, has snapshots and can lie on another image; raw is plain and fast."),
    )
    name = forms.CharField(
        label=gettext_lazy("Name of the new volume"),
        max_length=300,
        strip=False,
    )
    bandwidth = forms.IntegerField(
        label=gettext_lazy("Bandwidth"),
        required=False,
        min_value=0,
        max_value=1024 * 1024,
        help_text=gettext_lazy(
            "In MiB a second, so that the guest's own reading and writing is spared. Empty is no limit."
        ),
    )
    delete_source = forms.BooleanField(
        label=gettext_lazy("Delete the old volume afterwards"),
        required=False,
        help_text=gettext_lazy("Otherwise it stays as it was at the end of the move, and takes its space."),
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        pools = disks.pools_for(self.vm)
        here = self.volume.pool.name if self.volume is not None else ""
        field = self.fields["pool"]
        assert isinstance(field, forms.ChoiceField)
        field.choices = [(pool.name, self._label(pool, here)) for pool in pools]
        first = next((pool for pool in pools if pool.name != here), pools[0] if pools else None)
        if first is None:
            self.reason = _("Its host has no pool that takes new volumes.")
            return
        form = self.disk.get("format") or "qcow2"
        form = form if form in disks.formats_of(first) else disks.formats_of(first)[0]
        field.initial, self.fields["format"].initial = first.name, form
        self.fields["name"].initial = disks.free_name(self.vm, first, self.disk.get("target", ""), form)
        if self.vm.power_state not in ACTIVE:
            del self.fields["bandwidth"]

    def _label(self, pool: Any, here: str) -> str:
        free = _("%(free)s free") % {"free": size(pool.available)}
        return f"{pool.name} · {free}" + (" · " + _("it lies there now") if pool.name == here else "")
