"""The form of a schedule of snapshots."""

from __future__ import annotations

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy

from vms import snapshots
from vms.models import SnapshotSchedule, VirtualMachine
from vms.schedules import FIELDS, RANGES, weekdays


def _number(name: str, label: Any, help_text: Any = "") -> forms.IntegerField:
    least, most = RANGES[name]
    return forms.IntegerField(label=label, min_value=least, max_value=most, help_text=help_text)


class ScheduleForm(forms.Form):
    """When, how, and how many are kept. Fields of the rules that were not chosen are not shown, and not asked for."""

    every = forms.ChoiceField(label=gettext_lazy("Take one"), choices=SnapshotSchedule.Every.choices)
    hours = _number("hours", gettext_lazy("Every … hours"), gettext_lazy("Counted from midnight."))
    weekday = forms.TypedChoiceField(label=gettext_lazy("On"), coerce=int)
    day = _number("day", gettext_lazy("On day"), gettext_lazy("In months that are shorter, their last day."))
    at = forms.TimeField(label=gettext_lazy("At"), widget=forms.TimeInput(attrs={"type": "time"}, format="%H:%M"))
    where = forms.ChoiceField(label=gettext_lazy("Where"), choices=SnapshotSchedule.Where.choices)
    quiesce = forms.BooleanField(
        label=gettext_lazy("Freeze file systems where the agent answers"),
        required=False,
        help_text=gettext_lazy("For snapshots in files; those inside the images of a running guest hold its memory."),
    )
    keep = _number(
        "keep", gettext_lazy("Keep"), gettext_lazy("Older ones that this schedule took are merged away; others never.")
    )
    enabled = forms.BooleanField(label=gettext_lazy("Switched on"), required=False)

    def __init__(self, data: Any = None, *, vm: VirtualMachine, row: SnapshotSchedule | None = None) -> None:
        now = row or SnapshotSchedule(vm=vm)
        initial = {name: getattr(now, name) for name in FIELDS}
        fits = not snapshots.why_no_internal(vm)
        if row is None and not fits:
            initial["where"] = SnapshotSchedule.Where.EXTERNAL
        super().__init__(data, initial=initial)
        weekday = self.fields["weekday"]
        assert isinstance(weekday, forms.TypedChoiceField)
        weekday.choices = list(enumerate(weekdays()))
        for name in ("hours", "weekday", "day", "at"):
            self.fields[name].required = False

    def values(self) -> dict[str, Any]:
        """What was filled in."""
        return {name: value for name, value in self.cleaned_data.items() if value not in ("", None)}

    def blame(self, field: str, message: str) -> None:
        """Take in what was said against a field."""
        self.add_error(field if field in self.fields else None, message)
