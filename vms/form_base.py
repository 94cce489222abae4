"""What the forms of all kinds have in common."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from django import forms

from vms.models import VirtualMachine


class KindForm(forms.Form):
    """The arguments of one kind, for one guest or many."""

    #: fields that the address of the dialog fills in (``?name=…``); such a kind has no button of its own in menus
    asked_by_address: ClassVar[tuple[str, ...]] = ()
    #: fields that it fills in too, of a kind that has its button all the same
    filled_by_address: ClassVar[tuple[str, ...]] = ()
    #: the template of its fields, where these are not just one below the other
    fields_template: ClassVar[str] = ""
    #: what of the guest it is about, where that is not the whole of it
    part: str = ""
    #: why it cannot be asked for, besides what the guest's state says
    reason: str = ""

    def __init__(self, *args: Any, vms: Sequence[VirtualMachine] = (), **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.vms = list(vms)

    def arguments(self) -> dict[str, Any]:
        """What is asked of the kind."""
        return {name: value for name, value in self.cleaned_data.items() if value not in ("", None)}

    def blame(self, field: str, message: str) -> None:
        """Take in what the kind said against an argument."""
        self.add_error(field if field in self.fields else None, message)
