"""Forms for what the guest agent is asked to do."""

from __future__ import annotations

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy

from vms.form_base import KindForm


class PasswordForm(KindForm):
    """Whose password, and which."""

    user = forms.CharField(
        label=gettext_lazy("User in the guest"),
        max_length=100,
        initial="root",
        help_text=gettext_lazy("Somebody its own system knows; the agent makes no new ones."),
    )
    password = forms.CharField(
        label=gettext_lazy("New password"),
        max_length=500,
        strip=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
    )

    def arguments(self) -> dict[str, Any]:
        return dict(self.cleaned_data)


class FreezeForm(KindForm):
    """How long."""

    seconds = forms.IntegerField(
        label=gettext_lazy("For at most, in seconds"),
        min_value=1,
        max_value=600,
        initial=60,
        help_text=gettext_lazy("Then they go on by themselves, and at once when you stop it."),
    )
