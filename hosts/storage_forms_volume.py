"""Forms of volumes. Each becomes the arguments of its kind, which checks again."""

from __future__ import annotations

from typing import Any

from django import forms
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from hosts import fillings, storage_names
from hosts.models import StoragePool, StorageVolume
from hosts.operations.presenter import size
from hosts.operations.storage_base import told
from hosts.operations.volume_base import use
from hosts.operations.volume_wipe import ALGORITHMS
from hosts.storage_forms_pool import POOL_FORMS, StorageForm
from hosts.storage_selection import IMAGES, ISO
from hosts.storage_types import type_of

#: images offered to lie on
MOST_IMAGES = 300


class SizeField(forms.CharField):
    """A size as people write it, in bytes."""

    def clean(self, value: Any) -> Any:
        text = super().clean(value)
        try:
            return storage_names.size(text)
        except ValueError as error:
            raise forms.ValidationError(str(error)) from None


class VolumeCreateForm(StorageForm):
    """A new volume in the pool ``row``."""

    name = forms.CharField(
        label=gettext_lazy("Name"), max_length=300, strip=False,
        help_text=gettext_lazy("Files are best named after guest and format, such as web-1.qcow2."),
    )  # fmt: skip
    capacity = SizeField(
        label=gettext_lazy("Size"), max_length=30, initial="20 GiB",
        help_text=gettext_lazy("What the guest sees: 20 GiB, 512 MiB …"),
    )  # fmt: skip
    format = forms.ChoiceField(
        label=gettext_lazy("Format"),
        help_text=gettext_lazy("qcow2 grows, has snapshots and can lie on another image; raw is plain and fast."),
    )
    allocate = forms.BooleanField(
        label=gettext_lazy("Take the whole size now"), required=False,
        help_text=gettext_lazy("Otherwise it takes what is written to it, and the pool may fill up under running guests."),
    )  # fmt: skip
    backing = forms.ChoiceField(
        label=gettext_lazy("Lies on"), required=False,
        help_text=gettext_lazy("It then holds only what differs from that image, which must not be changed any more."),
    )  # fmt: skip

    def __init__(self, *args: Any, row: StoragePool, **kwargs: Any) -> None:
        super().__init__(*args, row=row, **kwargs)
        formats = type_of(row.type).creates
        self._choices("format", [(one, one) for one in formats])
        if "qcow2" not in formats:
            for name in ("backing", "allocate"):
                del self.fields[name]
            return
        images = StorageVolume.objects.filter(pool__host=row.host, pool__active=True, absent_since=None).exclude(ISO)
        images = fillings.whole_only(images)
        rows = images.filter(format__in=IMAGES).select_related("pool").order_by("pool__name", "name")[:MOST_IMAGES]
        self._choices("backing", [("", _("nothing")), *[(one.path, f"{one.pool.name}: {one.name}") for one in rows]])

    def _choices(self, name: str, choices: list[tuple[str, str]]) -> None:
        field = self.fields[name]
        assert isinstance(field, forms.ChoiceField)
        field.choices = choices


class VolumeFetchForm(StorageForm):
    """Where it lies."""

    url = forms.CharField(
        label=gettext_lazy("Address"), max_length=2000,
        help_text=gettext_lazy("https:// or http://. Servers on private networks must be allowed in the settings."),
    )  # fmt: skip
    name = forms.CharField(
        label=gettext_lazy("Name"), max_length=300, strip=False, required=False,
        help_text=gettext_lazy("Left empty, it is called as the file is."),
    )  # fmt: skip
    checksum = forms.CharField(
        label=gettext_lazy("Checksum"), max_length=2000, required=False,
        help_text=gettext_lazy("SHA-256 or SHA-512, or the address of a list such as SHA256SUMS. What does not fit it is deleted."),
    )  # fmt: skip


class VolumeCloneForm(StorageForm):
    """The copy's name."""

    name = forms.CharField(label=gettext_lazy("Name of the copy"), max_length=300, strip=False)

    def __init__(self, *args: Any, row: StorageVolume, **kwargs: Any) -> None:
        super().__init__(*args, row=row, **kwargs)
        stem, dot, end = row.name.rpartition(".")
        self.initial["name"] = f"{stem}-copy{dot}{end}" if dot else f"{row.name}-copy"


class VolumeResizeForm(StorageForm):
    """Another size."""

    capacity = SizeField(label=gettext_lazy("New size"), max_length=30)
    confirm = forms.CharField(
        label=gettext_lazy("Type its name to make it smaller"), required=False, strip=False,
        help_text=gettext_lazy("What lies beyond the new end is lost. Shrink the file systems in it first."),
    )  # fmt: skip

    def __init__(self, *args: Any, row: StorageVolume, **kwargs: Any) -> None:
        super().__init__(*args, row=row, **kwargs)
        self.fields["capacity"].help_text = _(
            "It is %(size)s now. The guest's own file system is made larger in the guest."
        ) % {"size": size(row.capacity)}


class VolumeWipeForm(StorageForm):
    """How, and its name."""

    algorithm = forms.ChoiceField(
        label=gettext_lazy("How"), choices=[(one, one) for one in ALGORITHMS], required=False,
        help_text=gettext_lazy("“zero” will do; “trim” tells the disk that the space is free. The others overwrite several times."),
    )  # fmt: skip
    confirm = forms.CharField(label=gettext_lazy("Type its name"), strip=False, required=False)


class VolumeDeleteForm(StorageForm):
    """Its name, when it is used."""

    confirm = forms.CharField(label=gettext_lazy("Type its name"), strip=False, required=False)

    def __init__(self, *args: Any, row: StorageVolume, **kwargs: Any) -> None:
        super().__init__(*args, row=row, **kwargs)
        names = use(row).names
        if not names:
            del self.fields["confirm"]
            return
        self.fields["confirm"].help_text = _("It is used by %(names)s, which will not work without it.") % {
            "names": told(names)
        }


#: every kind on storage that needs more than a yes
FORMS: dict[str, type[StorageForm]] = {
    **POOL_FORMS,
    "volume-create": VolumeCreateForm,
    "volume-fetch": VolumeFetchForm,
    "volume-clone": VolumeCloneForm,
    "volume-resize": VolumeResizeForm,
    "volume-wipe": VolumeWipeForm,
    "volume-delete": VolumeDeleteForm,
}
