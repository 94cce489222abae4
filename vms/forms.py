"""Forms for changes that need more than a yes. Each becomes the arguments of its kind, which checks again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django import forms
from django.utils.translation import gettext_lazy

from vms.form_base import KindForm
from vms.forms_agent import FreezeForm, PasswordForm
from vms.forms_boot import BootForm
from vms.forms_delete import UndefineForm
from vms.forms_devices import DeviceAddForm, DeviceChangeForm, DeviceRemoveForm
from vms.forms_disks import BlockCopyForm, BlockResizeForm
from vms.forms_hardware import MediaForm, MemoryForm, VcpusForm
from vms.forms_move import MigrateForm
from vms.forms_snapshots import DeleteForm, DescribeForm, ManySnapshotsForm, RevertForm, SnapshotForm
from vms.models import VirtualMachine


class NotesForm(KindForm):
    """What people write on a guest."""

    title = forms.CharField(
        label=gettext_lazy("Title"),
        required=False,
        max_length=255,
        help_text=gettext_lazy("One line in people's words, such as “Web shop, front end”."),
    )
    description = forms.CharField(
        label=gettext_lazy("Description"),
        required=False,
        max_length=8192,
        widget=forms.Textarea(attrs={"rows": 5}),
        help_text=gettext_lazy("Whatever the next person should know."),
    )
    tags = forms.CharField(
        label=gettext_lazy("Tags"),
        required=False,
        max_length=2000,
        help_text=gettext_lazy("Words divided by commas; lists can be filtered by them."),
    )
    folder = forms.CharField(
        label=gettext_lazy("Folder"),
        required=False,
        max_length=200,
        help_text=gettext_lazy("Where it belongs, such as shop/front."),
    )

    def __init__(self, *args: Any, vms: Sequence[VirtualMachine] = (), **kwargs: Any) -> None:
        vm = vms[0]
        own = {"title": vm.title, "description": vm.description, "folder": vm.folder}
        own["tags"] = ", ".join(tag.name for tag in vm.tags.all())
        super().__init__(*args, vms=vms, initial=own, **kwargs)

    def arguments(self) -> dict[str, Any]:
        return {name: self.cleaned_data[name] for name in self.changed_data}


class ManyNotesForm(KindForm):
    """Tags and folder of many guests; what is left empty stays as it is."""

    add_tags = forms.CharField(
        label=gettext_lazy("Add tags"), required=False, max_length=2000, help_text=gettext_lazy("Divided by commas.")
    )
    remove_tags = forms.CharField(label=gettext_lazy("Remove tags"), required=False, max_length=2000)
    folder = forms.CharField(
        label=gettext_lazy("Folder"),
        required=False,
        max_length=200,
        help_text=gettext_lazy("Such as shop/front. Empty leaves each where it is, / takes it out of its folder."),
    )


class ShutdownForm(KindForm):
    """How long to wait."""

    wait = forms.IntegerField(
        label=gettext_lazy("Wait, in seconds"),
        min_value=1,
        max_value=3600,
        initial=120,
        help_text=gettext_lazy("A guest that has not shut down by then is reported; nothing is forced."),
    )


class AutostartForm(KindForm):
    """On or off."""

    enabled = forms.ChoiceField(
        label=gettext_lazy("When the host boots"),
        choices=[("true", gettext_lazy("Start with the host")), ("false", gettext_lazy("Do not start with the host"))],
        widget=forms.RadioSelect,
        initial="true",
    )


class ProtectForm(KindForm):
    """On or off."""

    enabled = forms.ChoiceField(
        label=gettext_lazy("Deleting them"),
        choices=[("true", gettext_lazy("Protect from deletion")), ("false", gettext_lazy("Take the protection away"))],
        widget=forms.RadioSelect,
        initial="true",
    )


class TemplateForm(KindForm):
    """On or off."""

    enabled = forms.ChoiceField(
        label=gettext_lazy("Use them as"),
        choices=[("true", gettext_lazy("Templates")), ("false", gettext_lazy("Guests"))],
        widget=forms.RadioSelect,
        initial="true",
    )


#: kinds whose button opens a dialog
FORMS: dict[str, type[KindForm]] = {
    "migrate": MigrateForm,
    "set-metadata": NotesForm,
    "snapshot-create": SnapshotForm,
    "snapshot-revert": RevertForm,
    "snapshot-delete": DeleteForm,
    "snapshot-describe": DescribeForm,
    "undefine": UndefineForm,
    "vcpus": VcpusForm,
    "memory": MemoryForm,
    "media": MediaForm,
    "boot-order": BootForm,
    "restart": ShutdownForm,
    "block-copy": BlockCopyForm,
    "block-resize": BlockResizeForm,
    "fs-freeze": FreezeForm,
    "set-user-password": PasswordForm,
    "device-add": DeviceAddForm,
    "device-change": DeviceChangeForm,
    "device-remove": DeviceRemoveForm,
}
#: what is asked when they are done to many
MANY_FORMS: dict[str, type[KindForm]] = {
    "migrate": MigrateForm,
    "set-metadata": ManyNotesForm,
    "shutdown": ShutdownForm,
    "autostart": AutostartForm,
    "protect": ProtectForm,
    "template": TemplateForm,
    "snapshot-create": ManySnapshotsForm,
}
