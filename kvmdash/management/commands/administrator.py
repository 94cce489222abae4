"""`manage.py administrator NAME`: make an administrator, or let one who locked themselves out in again."""

from __future__ import annotations

import os
import secrets
from typing import Any

from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser


class Command(BaseCommand):
    """For whoever has the machine: the page asks administrators only."""

    help = (
        "Make NAME an administrator who may log in, with a new password: KVMDASH_ADMIN_PASSWORD, or a random one, "
        "which is printed once. Drops the second factor and ends NAME's sessions."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name")

    def handle(self, *args: Any, **options: Any) -> None:
        given = os.environ.get("KVMDASH_ADMIN_PASSWORD", "")
        password = given or secrets.token_urlsafe(12)
        try:
            validate_password(password)
        except ValidationError as error:
            raise CommandError(f"KVMDASH_ADMIN_PASSWORD: {' '.join(error.messages)}") from error
        make(options["name"], password)
        self.stdout.write(f"{options['name']} is an administrator.")
        if not given:
            self.stdout.write(f"Password: {password}")


def make(name: str, password: str) -> None:
    """Write the row. Raises CommandError for what is no user name."""
    from allauth.mfa.models import Authenticator
    from django.db import transaction

    from hosts import audit, people
    from hosts.models import User

    with transaction.atomic():
        person = User.objects.filter(username=name).first() or User(username=name)
        person.role, person.is_active = User.Role.ADMINISTRATOR, True
        person.set_password(password)
        try:
            person.full_clean()
        except ValidationError as error:
            raise CommandError("; ".join(error.messages)) from error
        person.save()
        Authenticator.objects.filter(user=person).delete()
        people.drop_sessions(person)
        audit.record(audit.Actor(None, road="command"), "people.administrator", name)
