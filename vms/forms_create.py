"""The form of a new guest, made for its road. It becomes the arguments of the kind, which checks again."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import Any

from django import forms
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from hosts.models import User
from vms.creation import choices
from vms.creation.hardware import BUSES, CARDS, FIRMWARES, MACHINES, PROCESSORS, VIDEOS, VIRTS
from vms.creation.placement import BEST
from vms.creation.wanted import SEED
from vms.forms_create_fields import CreateFields

Fields = tuple[str, ...]
PXE = "pxe"
#: the steps of the page: the fields of each road
SOURCE: dict[str, Fields] = {
    "cloud": ("image", "linked", "preset"),
    "install": ("iso", "preset", "drivers"),
    "import": ("image", "preset"),
    "ova": ("image", "preset"),
    "clone": ("source", "linked"),
}
PLACE: Fields = ("name", "host", "pool", "network")
HARDWARE: Fields = ("vcpus", "memory", "size")
DETAILS: Fields = ("firmware", "machine", "cpu", "bus", "card", "video", "virt", "tpm", "allocate")
FIRST_BOOT: Fields = ("hostname", "user", "password", "ssh_keys", "packages", "address", "gateway", "dns", "user_data")
AFTER: Fields = ("start", "autostart")
AS_SUGGESTED = gettext_lazy("as the system and the host suggest")


@dataclass(frozen=True, slots=True)
class Reading:
    """An appliance that was read: the volume (pool/volume), and the networks that it names."""

    image: str
    networks: list[str]


def _words(name: str, words: tuple[str, ...]) -> list[tuple[str, Any]]:
    labels = {
        "bios": _("BIOS"), "efi": _("UEFI"), "secure": _("UEFI with Secure Boot"), "host-model": _("like the host's (can move)"),
        "host-passthrough": _("the host's own (fastest)"), "maximum": _("all that there is"), "default": _("libvirt's default"),
        "kvm": _("KVM"), "qemu": _("emulation (slow)"),
    }  # fmt: skip
    return [("", AS_SUGGESTED), *[(word, labels.get(word, word)) for word in words]]


class CreateForm(CreateFields):
    """A new guest on one of the roads; an appliance is first read, and the form filled in with what was found (``reading``)."""

    def __init__(self, *args: Any, road: str, viewer: User, reading: Reading | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.road = road
        #: the field of each network of the appliance
        self.plugs: dict[str, str] = {}
        if reading is not None:
            self._add_plugs(reading)
        self._keep_only(road)
        self._choose("host", choices.hosts(viewer))
        self._choose("pool", [("", self._no_pool()), *choices.pools(viewer)])
        for name in ("network", *self.plugs):
            self._choose(name, [("", _("none: no network card")), *choices.networks(viewer)])
        if reading is not None:
            self._choose("image", [(reading.image, reading.image)])
            self.fields["image"].label = _("Appliance")
        elif "image" in self.fields:
            self._choose("image", [("", _("Choose an image")), *choices.volumes(viewer, iso=False)])
        if road == "install":
            isos = choices.volumes(viewer, iso=True)
            self._choose("iso", [("", _("Choose a CD image")), (PXE, _("the network (PXE)")), *isos])
            self._choose("drivers", [("", _("none")), *isos])
        if road == "clone":
            self._choose("source", [("", _("Choose a guest")), *choices.guests(viewer)])
            self.fields["linked"].label = _("Lie on the template's disks instead of copying them")
        if "preset" in self.fields:
            today = timezone.now().date().isoformat()
            self._choose("preset", [("", _("not said: common hardware")), *choices.systems(today)])
        for name, words in (
            ("firmware", FIRMWARES), ("machine", MACHINES), ("cpu", PROCESSORS), ("bus", BUSES), ("card", CARDS), ("video", VIDEOS),
            ("virt", VIRTS),
        ):  # fmt: skip
            if name in self.fields:
                self._choose(name, _words(name, words))
        self.initial.setdefault("host", BEST)
        self.initial.setdefault("start", True)

    def _add_plugs(self, reading: Reading) -> None:
        """A choice for each network that the appliance names."""
        for number, name in enumerate(reading.networks):
            field = f"net_{number}"
            self.plugs[field] = name
            self.fields[field] = forms.ChoiceField(
                label=_("Network for “%(name)s”") % {"name": name} if name else _("Network"), required=False,
                help_text=_("What the appliance's cards of that network are plugged into."),
            )  # fmt: skip

    def _no_pool(self) -> str:
        if self.road == "clone":
            return _("beside the disks of the first")
        return _("Choose a pool") if self.road != "import" else _("none: the image stays where it is")

    def _keep_only(self, road: str) -> None:
        has_seed = road in ("cloud", "clone")
        wanted = {*SOURCE[road], *PLACE, *AFTER, *self.plugs, *(FIRST_BOOT if has_seed else ())}
        if road == "clone":
            wanted = (wanted | {"with_seed"}) - {"network"}
        else:
            wanted |= {*HARDWARE, *DETAILS}
        if road == "ova":
            # Its cards and disks are as many and as large as it says.
            wanted -= {"network", "size"}
            self.fields["vcpus"].help_text = _("Left empty: as the appliance says.")
            self.fields["memory"].help_text = _("Such as 4 GiB. Left empty: as the appliance says.")
        for name in [name for name in self.fields if name not in wanted]:
            del self.fields[name]
        if "allocate" in self.fields and road != "install":
            del self.fields["allocate"]

    def _choose(self, name: str, found: Any) -> None:
        field = self.fields.get(name)
        if isinstance(field, forms.ChoiceField):
            field.choices = found

    def words(self, name: str, value: str) -> str:
        """What the list of a field calls that choice."""
        field = self.fields.get(name)
        if not isinstance(field, forms.ChoiceField):
            return value
        known: Any = field.choices
        return str(dict(known).get(value, value))

    def part(self, names: Fields) -> list[forms.BoundField]:
        """The fields of one step."""
        return [self[name] for name in names if name in self.fields]

    def steps(self) -> list[dict[str, Any]]:
        """The form as the page shows it, step by step."""
        found = [
            {"name": "source", "title": _("What it is made from"), "fields": self.part(SOURCE[self.road])},
            {"name": "place", "title": _("Name and place"), "fields": self.part((*PLACE, *self.plugs))},
            {"name": "hardware", "title": _("Hardware"), "fields": self.part(HARDWARE), "more": self.part(DETAILS)},
            {
                "name": "first-boot", "title": _("First boot"),
                "fields": self.part(("with_seed", *FIRST_BOOT[:4])), "more": self.part(FIRST_BOOT[4:]),
            },
        ]  # fmt: skip
        found = [step for step in found if step["fields"]]
        found[-1]["after"] = self.part(AFTER)
        return found

    def arguments(self) -> dict[str, Any]:
        """What is asked of the kind, as far as it is filled in rightly."""
        given = {name: value for name, value in self.cleaned_data.items() if value not in ("", None, False)}
        seed = {name: given.pop(name) for name in SEED if name in given}
        with_seed = given.pop("with_seed", False)
        plugged = {self.plugs[name]: given.pop(name) for name in self.plugs if name in given}
        found = given | {"road": self.road} | ({"networks": plugged} if plugged else {})
        found.pop("host", None)
        if found.get("iso") == PXE:
            found = {name: value for name, value in found.items() if name != "iso"} | {"pxe": True}
        if self.road == "cloud" or with_seed:
            found["seed"] = seed
        return found

    @property
    def host_name(self) -> str:
        """The host that was chosen, or “best”."""
        return str(self.cleaned_data.get("host") or BEST)

    def blame(self, field: str, message: str) -> None:
        """Take in what was said against an argument."""
        if field in ("network", "networks") and self.plugs:
            field = next(iter(self.plugs))
        self.add_error(field if field in self.fields else None, message)


def chosen_guest(text: str) -> str:
    """A guest's UUID as the address gives it; '' for anything else."""
    try:
        return str(uuid.UUID(text))
    except ValueError:
        return ""
