"""Forms for changes that need more than a yes. Each becomes the arguments of its kind, which checks again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django import forms
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from hosts.models import Host
from hosts.operations.presenter import size
from vms.form_base import KindForm
from vms.forms_agent import FreezeForm, PasswordForm
from vms.forms_boot import BootForm
from vms.forms_delete import UndefineForm
from vms.forms_devices import DeviceAddForm, DeviceChangeForm, DeviceRemoveForm
from vms.forms_disks import BlockCopyForm, BlockResizeForm
from vms.forms_hardware import MediaForm, MemoryForm, VcpusForm
from vms.forms_snapshots import DeleteForm, DescribeForm, ManySnapshotsForm, RevertForm, SnapshotForm
from vms.models import Sighting, VirtualMachine
from vms.moving.wanted import MOST_BANDWIDTH, MOST_PAUSE, MOST_TIMEOUT, NUMBERS


@dataclass(frozen=True, slots=True)
class Target:
    """A host to move to; ``reason`` says why it cannot be, ``note`` what is worth knowing when it can."""

    host: Host
    reason: str = ""
    note: str = ""


def targets_for(vms: Sequence[VirtualMachine]) -> list[Target]:
    """All hosts, with the reason against each that will not do for any of ``vms``."""
    hosts = list(Host.objects.order_by("name"))
    running: dict[int, int] = {}
    left: dict[int, int] = {}
    there = Sighting.objects.filter(vm__in=[vm.pk for vm in vms], absent_since=None)
    for host_id, state in there.values_list("host_id", "power_state"):
        counted = running if state == VirtualMachine.PowerState.RUNNING else left
        counted[host_id] = counted.get(host_id, 0) + 1
    return [
        Target(host, _against(host, vms, running.get(host.pk, 0)), _note(host, vms, left.get(host.pk, 0)))
        for host in hosts
    ]


def _against(host: Host, vms: Sequence[VirtualMachine], running: int) -> str:
    if all(vm.host_id == host.pk for vm in vms):
        return _("already there") if len(vms) == 1 else _("all of them are there already")
    if not host.enabled:
        return _("disabled")
    if not host.is_connected:
        return host.state_words or str(host.get_state_display())
    arch = {vm.arch for vm in vms if vm.arch and host.arch and vm.arch != host.arch}
    if arch:
        return _("its processors are %(host)s, the guest needs %(guest)s") % {"host": host.arch, "guest": min(arch)}
    if running >= len(vms):
        return _("a guest of the same UUID runs there; settle that first")
    return ""


def _note(host: Host, vms: Sequence[VirtualMachine], left: int) -> str:
    notes = []
    wanted = sum(vm.memory for vm in vms if vm.host_id != host.pk)
    if host.memory_used is not None:
        free = host.memory - host.memory_used
        notes.append(_("%(free)s memory free") % {"free": size(free)})
        if free < wanted:
            notes.append(_("less than the %(wanted)s needed") % {"wanted": size(wanted)})
    models = {vm.host.cpu_model for vm in vms if vm.host is not None and vm.host.cpu_model != host.cpu_model}
    if models and host.cpu_model:
        notes.append(_("other processor (%(model)s)") % {"model": host.cpu_model})
    if left and not any(vm.host_id == host.pk for vm in vms):
        notes.append(_("a definition left behind there will be replaced"))
    return " · ".join(notes)


class MigrateForm(KindForm):
    """Where to, and how."""

    host = forms.ChoiceField(label=gettext_lazy("Move to"), error_messages={"required": gettext_lazy("Choose a host.")})
    copy_storage = forms.BooleanField(
        label=gettext_lazy("Copy the disks too"),
        required=False,
        help_text=gettext_lazy(
            "For disks that only the source host can see. Their bytes are sent along, which takes long; "
            "the target needs volumes of the same name and size."
        ),
    )
    unsafe = forms.BooleanField(
        label=gettext_lazy("The storage is shared – I know it"),
        required=False,
        help_text=gettext_lazy(
            "Skips libvirt's own check. Only when both hosts see the same disks: otherwise the guest's data is damaged."
        ),
    )
    auto_converge = forms.BooleanField(
        label=gettext_lazy("Slow the guest down if it must be"),
        required=False,
        help_text=gettext_lazy(
            "Auto-converge: brakes a guest that changes its memory faster than it can be sent, so that the move ends."
        ),
    )
    persist = forms.BooleanField(
        label=gettext_lazy("Define it on the target"),
        required=False,
        initial=True,
        help_text=gettext_lazy(
            "The target keeps the definition when the guest is off; without it, it is forgotten then."
        ),
    )
    undefine_source = forms.BooleanField(
        label=gettext_lazy("Remove the definition at the source"),
        required=False,
        initial=True,
        help_text=gettext_lazy("So that nobody starts the old copy by mistake. Disks are not touched."),
    )
    bandwidth = forms.IntegerField(
        label=gettext_lazy("Bandwidth"),
        required=False,
        min_value=0,
        max_value=MOST_BANDWIDTH,
        help_text=gettext_lazy("How fast it may send, so that other traffic is spared. Empty or 0 is no limit."),
    )

    max_downtime = forms.IntegerField(
        label=gettext_lazy("Longest pause"),
        required=False,
        min_value=0,
        max_value=MOST_PAUSE,
        help_text=gettext_lazy(
            "In milliseconds. At the end the guest stands still for the last of its memory. "
            "Empty is QEMU's own 300; more lets busy guests end."
        ),
    )
    timeout = forms.IntegerField(
        label=gettext_lazy("Give up after"),
        required=False,
        min_value=0,
        max_value=MOST_TIMEOUT,
        help_text=gettext_lazy("What is done then is chosen below. Empty or 0 waits for ever."),
    )
    on_timeout = forms.ChoiceField(
        label=gettext_lazy("Then"),
        required=False,
        choices=[
            ("abort", gettext_lazy("stop the move; the guest runs on where it is")),
            ("suspend", gettext_lazy("pause the guest until it has arrived")),
        ],
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.targets = targets_for(self.vms)
        self.fitting = [target.host.name for target in self.targets if not target.reason]
        host = self.fields["host"]
        assert isinstance(host, forms.ChoiceField)
        host.choices = [(name, name) for name in self.fitting]

    @property
    def chosen(self) -> str:
        """The host that is ticked: as sent, else the only one there is."""
        return str(self["host"].value() or (self.fitting[0] if len(self.fitting) == 1 else ""))

    def arguments(self) -> dict[str, Any]:
        numbers = {name: self.cleaned_data.get(name) or 0 for name in NUMBERS}
        return self.cleaned_data | numbers | {"on_timeout": self.cleaned_data.get("on_timeout") or "abort"}


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
