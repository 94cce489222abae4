"""What the forms of a guest's hardware have in common: they begin with what it has, send what was changed, and notice others.

Each carries the digests of the definitions that it shows, and what it showed. When somebody else changed one meanwhile, it is
shown again with the other's changes, and with those that were made in it; nothing is asked for before it was seen so.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from django import forms
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from hosts import storage_names
from vms.form_base import KindForm
from vms.models import VirtualMachine
from vms.operations.define import conflict
from vms.operations.hardware import bases, seen

BASES = ("base", "live_base")
UNITS = ("B", "KiB", "MiB", "GiB", "TiB", "PiB")


class SizeField(forms.CharField):
    """A size as people write it, in bytes; None where nothing is written."""

    def clean(self, value: Any) -> Any:
        text = super().clean(value)
        try:
            return storage_names.size(text) if text else None
        except ValueError as error:
            raise forms.ValidationError(str(error)) from None


def size_text(size: int | None) -> str:
    """A size so that it is read again as the same: '512 MiB'."""
    if not size:
        return "" if size is None else "0 B"
    power = 0
    while size % 1024 == 0 and power + 1 < len(UNITS):
        size, power = size // 1024, power + 1
    return f"{size} {UNITS[power]}"


class HardwareForm(KindForm):
    """A change of hardware."""

    affect = forms.ChoiceField(
        label=gettext_lazy("When"),
        required=False,
        choices=[
            ("both", gettext_lazy("Now where the running guest takes it, and after every boot")),
            ("config", gettext_lazy("From the next boot on; the running guest stays as it is")),
            ("live", gettext_lazy("Now, until it is shut down")),
        ],
        widget=forms.RadioSelect,
        initial="both",
    )
    base = forms.CharField(widget=forms.HiddenInput, required=False, max_length=64)
    live_base = forms.CharField(widget=forms.HiddenInput, required=False, max_length=64)
    seen = forms.CharField(widget=forms.HiddenInput, required=False, max_length=100_000)
    #: whether a guest that runs can take it at all
    takes_live = True

    def __init__(
        self,
        data: Mapping[str, Any] | None = None,
        *,
        vms: Sequence[VirtualMachine] = (),
        initial: Mapping[str, Any] | None = None,
    ) -> None:
        self.vm = vms[0]
        self.now = seen(self.vm)
        self.given = data if data is not None else initial or {}
        self.conflict = ""
        own = self.build()
        #: what the guest has now, as the form's fields say it
        self.current = self.values()
        now = {**bases(self.vm), "seen": json.dumps(self.current)}
        sent = self._taken_up(data, now) if data is not None else None
        super().__init__(sent, vms=vms, initial={**self.current, **now, **(initial or {})})
        self.fields = {**own, **self.fields}
        if not self.now.live or not self.takes_live:
            del self.fields["affect"]
        elif not self.now.config:
            self.fields["affect"].choices = [("live", _("Now, until it is shut down"))]  # type: ignore[attr-defined]
            self.fields["affect"].initial = "live"

    def build(self) -> dict[str, forms.Field]:
        """The form's own fields."""
        raise NotImplementedError

    def values(self) -> dict[str, str]:
        """What they say of the guest as it is."""
        return {}

    def own_arguments(self) -> dict[str, Any]:
        """The kind's own arguments, of ``cleaned_data``."""
        raise NotImplementedError

    def _taken_up(self, data: Mapping[str, Any], now: dict[str, str]) -> dict[str, Any]:
        """What was sent, on top of how the guest is by now."""
        sent = {name: data[name] for name in data}
        moved = [name for name in BASES if sent.get(name) and sent[name] != now[name]]
        if not moved:
            return sent
        self.conflict = _("The running guest's hardware was changed since you began.")
        if "base" in moved:
            self.conflict = conflict(self.vm, sent["base"], self.now.config)
        try:
            shown = json.loads(sent.get("seen") or "{}")
        except ValueError:
            shown = {}
        shown = shown if isinstance(shown, dict) else {}
        mine = {name: sent[name] for name in self.current if name in sent and sent[name] != shown.get(name)}
        return {**sent, **self.current, **mine, **now}

    def clean(self) -> dict[str, Any]:
        if self.conflict:
            raise forms.ValidationError(
                [self.conflict, _("Below is how it is now, with your own changes. Look at it and ask again.")]
            )
        return super().clean() or {}

    def changed(self) -> dict[str, Any]:
        """The fields that say something else than the guest has, as cleaned."""
        sent = {name: str(self.data.get(name, "")) for name in self.current if name in self.fields}
        return {name: self.cleaned_data[name] for name, text in sent.items() if text != self.current[name]}

    def arguments(self) -> dict[str, Any]:
        common = {name: self.cleaned_data[name] for name in ("affect", *BASES) if self.cleaned_data.get(name)}
        return {**common, **self.own_arguments()}
