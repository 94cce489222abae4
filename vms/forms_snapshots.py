"""Forms for changes of snapshots."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django import forms
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from vms import snapshots
from vms.form_base import KindForm
from vms.models import VirtualMachine

NAME_FORMAT = "snap-%Y%m%d-%H%M%S"
ACTIVE = (VirtualMachine.PowerState.RUNNING, VirtualMachine.PowerState.PAUSED)


class SnapshotForm(KindForm):
    """A snapshot to be taken; what is not possible is not offered, and its reason is told."""

    name = forms.CharField(
        label=gettext_lazy("Name"),
        max_length=63,
        help_text=gettext_lazy("Letters, digits, dots, colons, dashes and underscores."),
    )
    description = forms.CharField(
        label=gettext_lazy("Description"),
        required=False,
        max_length=2000,
        widget=forms.Textarea(attrs={"rows": 3}),
        help_text=gettext_lazy("Why it is taken, for whoever has to choose one to go back to."),
    )
    where = forms.ChoiceField(label=gettext_lazy("Where"), widget=forms.RadioSelect)
    memory = forms.BooleanField(
        label=gettext_lazy("With memory"),
        required=False,
        help_text=gettext_lazy(
            "Going back to it goes on at that moment; without it the guest boots, as after a power cut."
        ),
    )
    quiesce = forms.BooleanField(
        label=gettext_lazy("Freeze file systems"),
        required=False,
        help_text=gettext_lazy(
            "The guest agent writes out and holds still what the guest has in mind; for snapshots without memory."
        ),
    )

    def __init__(self, *args: Any, vms: Sequence[VirtualMachine] = (), **kwargs: Any) -> None:
        first = {"name": timezone.now().strftime(NAME_FORMAT), "memory": vms[0].power_state in ACTIVE}
        super().__init__(*args, vms=vms, initial={**first, **kwargs.pop("initial", {})}, **kwargs)
        field = self.fields["where"]
        assert isinstance(field, forms.ChoiceField)
        whys = {"internal": snapshots.why_no_internal(vms[0]), "external": snapshots.why_no_external(vms[0])}
        labels = {"internal": _("Inside the qcow2 images"), "external": _("In files beside the images")}
        fitting = [where for where, why in whys.items() if not why]
        field.choices = [(where, labels[where]) for where in fitting] or list(labels.items())
        field.initial = fitting[0] if fitting else "internal"
        field.help_text = " ".join(why for why in whys.values() if why)
        if vms[0].power_state not in ACTIVE:
            del self.fields["memory"]
        if vms[0].agent_connected is not True:
            del self.fields["quiesce"]


class ManySnapshotsForm(KindForm):
    """The same snapshot of many guests: inside their images, those that run with their memory."""

    name = forms.CharField(
        label=gettext_lazy("Name"),
        max_length=63,
        help_text=gettext_lazy("Letters, digits, dots, colons, dashes and underscores."),
    )
    description = forms.CharField(label=gettext_lazy("Description"), required=False, max_length=2000)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["name"].initial = timezone.now().strftime(NAME_FORMAT)


class NamedForm(KindForm):
    """A change of one snapshot, whose name comes with the address."""

    asked_by_address = ("name",)
    name = forms.CharField(widget=forms.HiddenInput, max_length=63)

    def __init__(self, *args: Any, vms: Sequence[VirtualMachine] = (), **kwargs: Any) -> None:
        super().__init__(*args, vms=vms, **kwargs)
        self.snapshot = snapshots.find(vms[0], str(self["name"].value() or ""))


class ConfirmedForm(NamedForm):
    """One that is confirmed by typing the snapshot's name."""

    confirm = forms.CharField(label=gettext_lazy("Type its name to confirm"), max_length=63)

    def clean(self) -> dict[str, Any]:
        data: dict[str, Any] = super().clean() or {}
        if data.get("confirm") != data.get("name"):
            self.add_error("confirm", _("That is not its name."))
        return data

    def arguments(self) -> dict[str, Any]:
        return {name: value for name, value in self.cleaned_data.items() if name != "confirm"}


class RevertForm(ConfirmedForm):
    """Back to a snapshot."""

    def __init__(self, *args: Any, vms: Sequence[VirtualMachine] = (), **kwargs: Any) -> None:
        super().__init__(*args, vms=vms, **kwargs)
        self.fields["confirm"].help_text = self._loses(vms[0])

    def _loses(self, vm: VirtualMachine) -> str:
        text = _("Everything that its disks were told since then is lost.")
        if vm.power_state in ACTIVE:
            text += " " + _("What it is doing now ends at once.")
        if self.snapshot is not None and self.snapshot["memory"] == "no" and self.snapshot["state"] != "shutoff":
            text += " " + _("The snapshot holds no memory: the guest will be off.")
        return text


class DeleteForm(ConfirmedForm):
    """A snapshot less."""

    children = forms.BooleanField(
        label=gettext_lazy("With all that stand on it"),
        required=False,
        help_text=gettext_lazy("Else those are kept, and what this one holds is merged into them."),
    )


class DescribeForm(NamedForm):
    """Other words."""

    description = forms.CharField(
        label=gettext_lazy("Description"), required=False, max_length=2000, widget=forms.Textarea(attrs={"rows": 3})
    )

    def __init__(self, *args: Any, vms: Sequence[VirtualMachine] = (), **kwargs: Any) -> None:
        super().__init__(*args, vms=vms, **kwargs)
        if self.snapshot is not None:
            self.fields["description"].initial = self.snapshot["description"]

    def arguments(self) -> dict[str, Any]:
        return dict(self.cleaned_data)
