"""The form of a pool, made for its type, and those of its changes. Each becomes the arguments of its kind, which checks again."""

from __future__ import annotations

from typing import Any

from django import forms
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from hosts.forms import SecretInput
from hosts.models import StoragePool
from hosts.operations.pool_stop import STAYS
from hosts.operations.storage_base import open_by, told
from hosts.storage_types import PoolType, type_of

LABELS: dict[str, tuple[Any, Any]] = {
    "host": (gettext_lazy("Server"), gettext_lazy("Name or address, as the host sees it.")),
    "hosts": (gettext_lazy("Monitors"), gettext_lazy("Ceph monitors, one a line, with a port where it is not the usual one.")),
    "port": (gettext_lazy("Port"), gettext_lazy("Leave it empty for the usual one.")),
    "folder": (gettext_lazy("Folder on the server"), gettext_lazy("Such as /export/vms.")),
    "device": (gettext_lazy("Device"), gettext_lazy("A name that lasts, such as /dev/disk/by-id/…, is the same after a restart.")),
    "devices": (gettext_lazy("Devices"), gettext_lazy("One a line. Only to build a new one of them: what is on them is lost.")),
    "target": (gettext_lazy("Target"), gettext_lazy("The target's name, such as iqn.2026-01.com.example:disk1.")),
    "initiator": (gettext_lazy("Initiator"), gettext_lazy("How the host calls itself, where the target wants to know.")),
    "source_name": (gettext_lazy("Name there"), gettext_lazy("Of the volume group, the Ceph, Gluster or ZFS pool, the cluster.")),
    "adapter": (gettext_lazy("Adapter"), gettext_lazy("Such as host2: see virsh nodedev-list --cap scsi_host.")),
    "wwnn": (gettext_lazy("World wide node name"), gettext_lazy("Instead of an adapter: of a Fibre Channel port.")),
    "wwpn": (gettext_lazy("World wide port name"), gettext_lazy("Together with the node name.")),
    "format": (gettext_lazy("Format"), gettext_lazy("What it is formatted as; “auto” lets the host find out.")),
    "username": (gettext_lazy("User"), gettext_lazy("Where the server wants to know who asks.")),
    "password": (gettext_lazy("Password or key"), gettext_lazy("Kept by the host's libvirt as a secret, and not by kvmdash.")),
    "path": (gettext_lazy("Path on the host"), gettext_lazy("Where its volumes appear on the host.")),
}  # fmt: skip
LISTS = ("hosts", "devices")


class PoolDefineForm(forms.Form):
    """A pool of one type."""

    def __init__(self, *args: Any, kind: PoolType, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.kind = kind
        self.fields["name"] = forms.CharField(
            label=_("Name"), max_length=200, strip=False, help_text=_("What the pool is called on this host.")
        )
        for name in kind.fields:
            self.fields[name] = self._field(name)
        if kind.builds:
            self.fields["build"] = forms.BooleanField(
                label=_("Build it"), required=False,
                help_text=_("Makes the folder, the file system or the group. Never over something that is there."),
            )  # fmt: skip
        self.fields["start"] = forms.BooleanField(label=_("Start it now"), required=False, initial=True)
        self.fields["autostart"] = forms.BooleanField(label=_("Start it with the host"), required=False, initial=True)

    def _field(self, name: str) -> forms.Field:
        label, text = LABELS[name]
        whole: dict[str, Any] = {"label": label, "help_text": text, "required": name in self.kind.required}
        if name == "format":
            return forms.ChoiceField(choices=[("", _("not said")), *[(one, one) for one in self.kind.formats]], **whole)
        if name == "port":
            return forms.IntegerField(min_value=1, max_value=65535, **whole)
        if name in LISTS:
            return forms.CharField(widget=forms.Textarea(attrs={"rows": 3, "class": "mono"}), max_length=4000, **whole)
        if name == "password":
            return forms.CharField(widget=SecretInput(), max_length=1000, strip=False, **whole)
        return forms.CharField(max_length=500, initial=self.kind.path if name == "path" else None, **whole)

    def arguments(self) -> dict[str, Any]:
        """What is asked of pool-define."""
        found = {name: value for name, value in self.cleaned_data.items() if value not in ("", None)}
        for name in LISTS:
            if name in found:
                found[name] = [line.strip() for line in found[name].splitlines() if line.strip()]
        return found | {"type": self.kind.name}

    def blame(self, field: str, message: str) -> None:
        """Take in what the kind said against an argument."""
        self.add_error(field if field in self.fields else None, message)


class StorageForm(forms.Form):
    """The arguments of a kind on a pool or a volume (``row``)."""

    def __init__(self, *args: Any, row: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.row = row

    def arguments(self) -> dict[str, Any]:
        """What is asked of the kind."""
        return {name: value for name, value in self.cleaned_data.items() if value not in ("", None)}

    def blame(self, field: str, message: str) -> None:
        """Take in what the kind said against an argument."""
        self.add_error(field if field in self.fields else None, message)


class PoolStopForm(StorageForm):
    """Asks for the pool's name where guests have volumes of it open."""

    confirm = forms.CharField(label=gettext_lazy("Type the pool's name"), required=False, strip=False)

    def __init__(self, *args: Any, row: StoragePool, **kwargs: Any) -> None:
        super().__init__(*args, row=row, **kwargs)
        names = [] if row.type in STAYS or not row.active else open_by(row)
        if names:
            self.fields["confirm"].help_text = _(
                "These guests have volumes of it open and will lose them: %(names)s."
            ) % {"names": told(names)}
        else:
            del self.fields["confirm"]


class PoolDeleteForm(PoolStopForm):
    """Whether the storage goes too."""

    delete_storage = forms.BooleanField(
        label=gettext_lazy("Delete the storage itself, too"),
        required=False,
        help_text=gettext_lazy(
            "Without it the pool is only forgotten by libvirt, and what lies in it stays. "
            "A folder is deleted only when it is empty."
        ),
    )

    def __init__(self, *args: Any, row: StoragePool, **kwargs: Any) -> None:
        super().__init__(*args, row=row, **kwargs)
        if not type_of(row.type).deletes:
            del self.fields["delete_storage"]
            return
        if "confirm" not in self.fields:
            self.fields["confirm"] = forms.CharField(label=_("Type the pool's name"), required=False, strip=False)
            self.fields["confirm"].help_text = _("Needed when the storage is deleted.")


POOL_FORMS: dict[str, type[StorageForm]] = {"pool-stop": PoolStopForm, "pool-delete": PoolDeleteForm}
