"""The form that deletes a guest: what goes, which disks, and its name typed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django import forms
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from hosts.operations.presenter import size
from vms import deleting
from vms.form_base import KindForm
from vms.models import VirtualMachine

OFF = (VirtualMachine.PowerState.SHUTOFF, VirtualMachine.PowerState.CRASHED)


class UndefineForm(KindForm):
    """Which disks go, and the guest's name."""

    fields_template = "vms/_undefine_fields.html"
    disks = forms.MultipleChoiceField(
        label=gettext_lazy("Delete these disks too"), required=False, widget=forms.CheckboxSelectMultiple,
        help_text=gettext_lazy("What is on them is lost. Those that are not ticked stay where they are."),
    )  # fmt: skip
    force = forms.BooleanField(
        label=gettext_lazy("Pull its plug first"), required=False,
        help_text=gettext_lazy("It runs. What it has not written to its disks is lost."),
    )  # fmt: skip
    confirm = forms.CharField(label=gettext_lazy("Type its name to confirm"), required=False, max_length=255)

    def __init__(self, *args: Any, vms: Sequence[VirtualMachine] = (), **kwargs: Any) -> None:
        super().__init__(*args, vms=vms, **kwargs)
        vm = vms[0]
        disks = deleting.disks_of(vm)
        self.parts = deleting.parts_of(vm)
        self.kept = [disk for disk in disks if disk.why]
        going = [disk for disk in disks if not disk.why]
        field = self.fields["disks"]
        assert isinstance(field, forms.MultipleChoiceField)
        field.choices = [(disk.source, f"{disk.target} · {disk.source} · {size(disk.size or 0)}") for disk in going]
        # A seed is of use to nobody else; everything else is somebody's data.
        field.initial = [disk.source for disk in going if disk.source.endswith(deleting.SEED)]
        if not going:
            del self.fields["disks"]
        if vm.power_state in OFF:
            del self.fields["force"]
        if vm.protected:
            self.reason = _("It is protected from deletion; take the protection away first.")

    def arguments(self) -> dict[str, Any]:
        return dict(self.cleaned_data)
