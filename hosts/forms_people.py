"""Forms for people and their tokens. What they ask for is checked again in hosts.people."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django import forms
from django.contrib.auth.password_validation import password_validators_help_text_html, validate_password
from django.contrib.auth.validators import UnicodeUsernameValidator
from django.utils import timezone
from django.utils.functional import lazy
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from hosts.models import User
from hosts.people import Profile

PASSWORD_HELP = lazy(password_validators_help_text_html, str)()


class ProfileForm(forms.Form):
    """What an administrator decides about a person."""

    full_name = forms.CharField(label=_("Full name"), max_length=150, required=False)
    role = forms.ChoiceField(
        label=_("Role"),
        choices=User.Role.choices,
        initial=User.Role.OPERATOR,
        help_text=_("Administrators do everything; operators act on machines; viewers look."),
    )
    may_watch_consoles = forms.BooleanField(
        label=_("May watch consoles"),
        required=False,
        help_text=_("Lets a viewer open consoles, without keyboard or mouse."),
    )

    def profile(self, is_active: bool = True) -> Profile:
        """The cleaned values."""
        data = self.cleaned_data
        return Profile(data["role"], data["full_name"], data["may_watch_consoles"], is_active)


class AddPersonForm(ProfileForm):
    """A new person."""

    username = forms.CharField(
        label=_("User name"),
        max_length=150,
        validators=[UnicodeUsernameValidator()],
        widget=forms.TextInput(attrs={"autocomplete": "off", "autocapitalize": "none", "spellcheck": "false"}),
        help_text=_("Stands in every record of what this person does; it cannot be changed later."),
    )
    password = forms.CharField(
        label=_("First password"),
        max_length=200,
        strip=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
        help_text=PASSWORD_HELP,
    )
    field_order = ("username", "full_name", "role", "may_watch_consoles", "password")

    def clean(self) -> dict[str, Any]:
        data = super().clean() or self.cleaned_data
        if "password" in data:
            _check_password(self, data["password"], User(username=data.get("username", "")))
        return data


class PersonForm(ProfileForm):
    """A person who is there already."""

    is_active = forms.BooleanField(
        label=_("May log in"),
        required=False,
        help_text=_("Without it the person is logged out at once, and tokens of theirs open nothing."),
    )

    @staticmethod
    def initial_of(person: User) -> dict[str, Any]:
        """The form as the person is now."""
        return {
            "full_name": person.get_full_name(),
            "role": person.role,
            "may_watch_consoles": person.may_watch_consoles,
            "is_active": person.is_active,
        }


class PasswordForm(forms.Form):
    """Another password for a person."""

    password = forms.CharField(
        label=_("New password"),
        max_length=200,
        strip=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
        help_text=PASSWORD_HELP,
    )

    def __init__(self, *args: Any, person: User, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.person = person

    def clean(self) -> dict[str, Any]:
        data = super().clean() or self.cleaned_data
        if "password" in data:
            _check_password(self, data["password"], self.person)
        return data


class TokenForm(forms.Form):
    """A new API token."""

    name = forms.CharField(
        label=_("Name"),
        max_length=80,
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
        help_text=_("What it is for, such as “backup script”."),
    )
    days = forms.TypedChoiceField(
        label=_("Expires"),
        coerce=int,
        initial=90,
        choices=[
            (7, _("in 7 days")),
            (30, _("in 30 days")),
            (90, _("in 90 days")),
            (365, _("in a year")),
            (0, pgettext_lazy("expires", "never")),
        ],
    )

    def expires_at(self) -> datetime | None:
        """The moment it stops working."""
        days = self.cleaned_data["days"]
        return timezone.now() + timedelta(days=days) if days else None


def _check_password(form: forms.Form, password: str, person: User) -> None:
    try:
        validate_password(password, person)
    except forms.ValidationError as error:
        form.add_error("password", error)
