"""The form of a network, made for its kind, and those of its changes. Each becomes arguments of its kind, which checks again."""

from __future__ import annotations

from typing import Any

from django import forms
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from hosts import network_checks, network_fields
from hosts.models import Network
from hosts.network_labels import LABELS
from hosts.network_modes import MACVTAP_MODES, QOS, Mode
from hosts.network_updates import Section
from hosts.operations.kind import InvalidArguments
from hosts.operations.network_stop import cards_of
from hosts.operations.storage_base import told
from hosts.storage_forms_pool import StorageForm

GROUPS: tuple[tuple[Any, tuple[str, ...]], ...] = (
    (gettext_lazy("Forwarding"), ("forward_dev", "nat_start", "nat_end", "nat_ipv6")),
    (gettext_lazy("IPv4"), ("ipv4", "ipv4_ranges", "ipv4_hosts")),
    (gettext_lazy("IPv6"), ("ipv6", "ipv6_ranges", "ipv6_hosts")),
    (gettext_lazy("DNS"), ("dns", "domain", "dns_forwarders", "dns_hosts")),
    (gettext_lazy("Limits for all guests together"), QOS),
)
#: what is typed one a line
LINES = ("ipv4_ranges", "ipv4_hosts", "ipv6_ranges", "ipv6_hosts", "dns_forwarders", "dns_hosts", "devices", "pci")
LONGEST = 200
LONGEST_LINES = 60_000


def field_for(name: str, *, required: bool = False) -> forms.Field:
    """The form's field of an argument."""
    label, text = LABELS[name]
    whole: dict[str, Any] = {"label": label, "help_text": text, "required": required}
    if name in network_fields.NUMBERS:
        least, most = network_fields.NUMBERS[name]
        return forms.IntegerField(min_value=least, max_value=most, **whole)
    if name in (*network_fields.FLAGS, "default"):
        return forms.BooleanField(**whole | {"required": False})
    if name == "macvtap_mode":
        return forms.ChoiceField(choices=[(one, one) for one in MACVTAP_MODES], **whole)
    if name in LINES:
        widget = forms.Textarea(attrs={"rows": 3, "class": "mono", "spellcheck": "false"})
        return forms.CharField(widget=widget, max_length=LONGEST_LINES, **whole)
    return forms.CharField(max_length=LONGEST, **whole)


def argument(name: str, value: Any) -> Any:
    """What was typed, as the argument; None for nothing."""
    if name in LINES:
        return [line for text in str(value or "").splitlines() if (line := text.strip())] or None
    if name == "vlans":
        words = str(value or "").replace(",", " ").split()
        return [int(word) if word.isascii() and word.isdecimal() else word for word in words] or None
    return value if value not in ("", None) else None


def typed(name: str, value: Any) -> Any:
    """An argument, as a person types it."""
    if name in LINES:
        return "\n".join(value)
    return ", ".join(map(str, value)) if name == "vlans" else value


class NetworkForm(forms.Form):
    """The fields of a network of one kind."""

    def __init__(
        self,
        data: Any = None,
        *,
        mode: Mode,
        known: dict[str, Any] | None = None,
        initial: dict[str, Any] | None = None,
    ) -> None:
        start = {name: typed(name, value) for name, value in (known or {}).items()}
        super().__init__(data, initial={"dns": True} | start | (initial or {}))
        self.mode = mode
        #: (network, who, their network) that are told before it is asked for
        self.overlaps: list[tuple[str, str, str]] = []
        for name in mode.fields:
            self.fields[name] = field_for(name, required=name in mode.required)

    def clean(self) -> dict[str, Any]:
        """All that is wrong with each field, and then with them together."""
        cleaned: dict[str, Any] = super().clean() or {}
        checked: dict[str, Any] = {"mode": self.mode.name}
        for name in self.mode.fields:
            if name in self.errors:
                continue
            try:
                checked |= _only(self.mode, name, argument(name, cleaned.get(name)))
            except InvalidArguments as error:
                self.blame(name, str(error))
        if not self.errors:
            for name, message in network_checks.troubles(checked):
                self.blame(name, message)
        self.checked = checked
        return cleaned

    def arguments(self) -> dict[str, Any]:
        """What is asked of the kind."""
        return dict(self.checked)

    def blame(self, field: str, message: str) -> None:
        """Take in what is said against an argument."""
        self.add_error(field if field in self.fields else None, message)

    def groups(self) -> list[dict[str, Any]]:
        """The fields by what they are about."""
        found: dict[str, list[Any]] = {"": []}
        for field in self.visible_fields():
            title = next((title for title, names in GROUPS if field.name in names), "")
            found.setdefault(str(title), []).append(field)
        return [{"title": title, "fields": fields} for title, fields in found.items()]


def _only(mode: Mode, name: str, value: Any) -> dict[str, Any]:
    """One field as it is checked by itself."""
    if value is None:
        return {}
    alone = Mode(mode.name, "", "", (name,))
    found = network_fields.clean_of(alone, {name: value})
    return {name: found[name]} if name in found else {}


class NetworkDefineForm(NetworkForm):
    """A new network."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        first = {"name": forms.CharField(label=_("Name"), max_length=LONGEST, strip=False)}
        first["name"].help_text = _("What the network is called on this host; guests name it.")
        self.fields = first | self.fields
        self.fields["start"] = forms.BooleanField(label=_("Start it now"), required=False, initial=True)
        self.fields["autostart"] = forms.BooleanField(label=_("Start it with the host"), required=False, initial=True)

    def arguments(self) -> dict[str, Any]:
        return super().arguments() | {name: self.cleaned_data[name] for name in ("name", "start", "autostart")}


class NetworkEditForm(NetworkForm):
    """Another definition for a network."""

    base = forms.CharField(widget=forms.HiddenInput, max_length=64)

    def arguments(self) -> dict[str, Any]:
        return super().arguments() | {"base": self.cleaned_data["base"]}


class NetworkConfirmForm(StorageForm):
    """Asks for the network's name where guests are connected to it."""

    confirm = forms.CharField(label=gettext_lazy("Type the network's name"), required=False, strip=False)
    running = False

    def __init__(self, *args: Any, row: Network, **kwargs: Any) -> None:
        super().__init__(*args, row=row, **kwargs)
        names = cards_of(row, running=self.running)
        if not names:
            del self.fields["confirm"]
            return
        words = (
            _("Running guests are connected to it and will be cut off: %(names)s.")
            if self.running
            else _("These guests have network cards in it and do not start without it: %(names)s.")
        )
        self.fields["confirm"].help_text = words % {"names": told(names)}


class NetworkStopForm(NetworkConfirmForm):
    """Only running guests lose something."""

    running = True


class NetworkUpdateForm(StorageForm):
    """One element of a section; ``command`` and ``section`` stand in the address."""

    def __init__(self, *args: Any, row: Network, section: Section, command: str, key: str = "", **kwargs: Any) -> None:
        super().__init__(*args, row=row, **kwargs)
        self.section, self.command = section, command
        names = (section.key,) if command == "delete" else section.fields
        for name in names:
            self.fields[name] = field_for(name, required=name == section.key)
        if key:
            self.fields[section.key].initial = key
            self.fields[section.key].widget.attrs["readonly"] = command == "delete"

    def arguments(self) -> dict[str, Any]:
        found = {name: argument(name, self.cleaned_data.get(name)) for name in self.fields}
        given = {name: value for name, value in found.items() if value not in (None, False)}
        return given | {"section": self.section.name, "command": self.command}


FORMS: dict[str, type[StorageForm]] = {"network-stop": NetworkStopForm, "network-delete": NetworkConfirmForm}
