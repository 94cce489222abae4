"""The fields of the form of a new guest: what each is called, and the line that teaches what it does."""

from __future__ import annotations

from typing import Any

from django import forms
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy

from hosts import storage_names
from hosts.forms import SecretInput
from vms.creation.seed import MOST_PASSWORD, MOST_USER_DATA


class OptionalSize(forms.CharField):
    """A size as people write it, in bytes; nothing for what is left to the system."""

    def clean(self, value: Any) -> Any:
        text = super().clean(value)
        try:
            return storage_names.size(text) if text else None
        except ValueError as error:
            raise forms.ValidationError(str(error)) from None


class SystemSelect(forms.Select):
    """Hundreds of systems, written in one go: a template for each would cost a tenth of a second."""

    def render(self, name: str, value: Any, attrs: Any = None, renderer: Any = None) -> SafeString:
        whole = self.build_attrs(self.attrs, attrs)
        words = format_html_join("", ' {}="{}"', sorted(whole.items()))
        options = format_html_join("", "{}", ((self._group(label, rows, value),) for label, rows in self.choices))
        return format_html('<select name="{}"{}>{}</select>', name, words, options)

    def _group(self, label: Any, rows: Any, value: Any) -> SafeString:
        if isinstance(rows, str):
            return format_html('<option value="{}">{}</option>', label, rows)
        chosen = SafeString(" selected")
        options = format_html_join(
            "", '<option value="{}"{}>{}</option>', ((key, chosen if key == value else "", text) for key, text in rows)
        )
        return format_html('<optgroup label="{}">{}</optgroup>', label, options)


def _area(rows: int, **attrs: Any) -> forms.Textarea:
    return forms.Textarea(attrs={"rows": rows, "class": "mono", "spellcheck": "false", "autocomplete": "off", **attrs})


class CreateFields(forms.Form):
    """Every field that some road has."""

    name = forms.CharField(
        label=gettext_lazy("Name"), max_length=80, strip=False,
        help_text=gettext_lazy("What the guest is called on its host. For several at once: web-{1..3}."),
    )  # fmt: skip
    host = forms.ChoiceField(
        label=gettext_lazy("Host"),
        help_text=gettext_lazy(
            "The machine that it runs on. The best is the one with most memory left where all fits."
        ),
    )
    pool = forms.ChoiceField(
        label=gettext_lazy("Storage pool"), required=False, help_text=gettext_lazy("Where its disk is kept.")
    )
    network = forms.ChoiceField(
        label=gettext_lazy("Network"), required=False, help_text=gettext_lazy("What its network card is plugged into.")
    )
    image = forms.ChoiceField(label=gettext_lazy("Disk image"))
    linked = forms.BooleanField(
        label=gettext_lazy("Lie on the image instead of copying it"), required=False,
        help_text=gettext_lazy("Made at once and small, but the image must stay and never change again."),
    )  # fmt: skip
    iso = forms.ChoiceField(
        label=gettext_lazy("Install from"),
        help_text=gettext_lazy("The CD image of an installer, or a server in the network."),
    )
    drivers = forms.ChoiceField(
        label=gettext_lazy("Second CD"), required=False,
        help_text=gettext_lazy("For Windows: virtio-win, so that its installer finds the fast virtio disk."),
    )  # fmt: skip
    source = forms.ChoiceField(
        label=gettext_lazy("Guest to copy"),
        help_text=gettext_lazy("It must be off. The copy gets its own name, UUID, MAC addresses and disks."),
    )
    preset = forms.ChoiceField(
        label=gettext_lazy("Operating system"), required=False, widget=SystemSelect(),
        help_text=gettext_lazy("It decides the firmware, devices and sizes that it knows how to use."),
    )  # fmt: skip
    vcpus = forms.IntegerField(
        label=gettext_lazy("Processors"), required=False, min_value=1, max_value=4096,
        help_text=gettext_lazy("Left empty: as the system recommends."),
    )  # fmt: skip
    memory = OptionalSize(
        label=gettext_lazy("Memory"), required=False, max_length=30,
        help_text=gettext_lazy("Such as 4 GiB. Left empty: as the system recommends."),
    )  # fmt: skip
    size = OptionalSize(
        label=gettext_lazy("Disk size"), required=False, max_length=30,
        help_text=gettext_lazy("Such as 40 GiB. Left empty: as the system recommends. Never smaller than the image."),
    )  # fmt: skip
    firmware = forms.ChoiceField(label=gettext_lazy("Firmware"), required=False)
    virt = forms.ChoiceField(
        label=gettext_lazy("Runs by"), required=False,
        help_text=gettext_lazy("KVM uses the host's own processors; emulation is slow and runs everywhere."),
    )  # fmt: skip
    machine = forms.ChoiceField(label=gettext_lazy("Machine type"), required=False)
    cpu = forms.ChoiceField(label=gettext_lazy("Processor model"), required=False)
    bus = forms.ChoiceField(label=gettext_lazy("Disk bus"), required=False)
    card = forms.ChoiceField(label=gettext_lazy("Network card"), required=False)
    video = forms.ChoiceField(label=gettext_lazy("Video card"), required=False)
    tpm = forms.BooleanField(
        label=gettext_lazy("TPM 2.0"), required=False,
        help_text=gettext_lazy("An emulated chip for keys; Windows 11 has one in any case."),
    )  # fmt: skip
    allocate = forms.BooleanField(
        label=gettext_lazy("Take the whole disk size now"), required=False,
        help_text=gettext_lazy("Otherwise it takes what is written to it, and the pool may fill up under running guests."),
    )  # fmt: skip
    with_seed = forms.BooleanField(
        label=gettext_lazy("Tell cloud-init who it is"), required=False,
        help_text=gettext_lazy("Renews the host name inside, where cloud-init is installed in the guest that is copied."),
    )  # fmt: skip
    hostname = forms.CharField(
        label=gettext_lazy("Host name"),
        required=False,
        max_length=253,
        help_text=gettext_lazy("Left empty: the guest's name."),
    )
    user = forms.CharField(
        label=gettext_lazy("User"), required=False, max_length=32,
        help_text=gettext_lazy("An account that may do everything with sudo."),
    )  # fmt: skip
    password = forms.CharField(
        label=gettext_lazy("Password"), required=False, max_length=MOST_PASSWORD, strip=False, widget=SecretInput(),
        help_text=gettext_lazy("Kept only as a hash, until the guest is made. Keys are safer."),
    )  # fmt: skip
    ssh_keys = forms.CharField(
        label=gettext_lazy("SSH keys"), required=False, max_length=60_000, widget=_area(3),
        help_text=gettext_lazy("Public keys, one a line, such as the text in ~/.ssh/id_ed25519.pub."),
    )  # fmt: skip
    packages = forms.CharField(
        label=gettext_lazy("Packages"), required=False, max_length=10_000, widget=_area(2),
        help_text=gettext_lazy("Installed at the first boot, one a line."),
    )  # fmt: skip
    address = forms.CharField(
        label=gettext_lazy("Address"), required=False, max_length=60,
        help_text=gettext_lazy("Such as 192.0.2.7/24. Left empty: the network gives it one (DHCP)."),
    )  # fmt: skip
    gateway = forms.CharField(label=gettext_lazy("Gateway"), required=False, max_length=60)
    dns = forms.CharField(
        label=gettext_lazy("Name servers"), required=False, max_length=2000, widget=_area(2),
        help_text=gettext_lazy("Addresses, one a line."),
    )  # fmt: skip
    user_data = forms.CharField(
        label=gettext_lazy("Own user-data"), required=False, max_length=MOST_USER_DATA, widget=_area(6),
        help_text=gettext_lazy(
            "Instead of user, password, keys and packages: a document that begins with #cloud-config. It is checked before."
        ),
    )  # fmt: skip
    start = forms.BooleanField(label=gettext_lazy("Start it as soon as it is made"), required=False)
    autostart = forms.BooleanField(label=gettext_lazy("Start it with the host"), required=False)
