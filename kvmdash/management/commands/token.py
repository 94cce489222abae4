"""`manage.py token NAME --user admin`: make an API token."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone


class Command(BaseCommand):
    """Prints the token's text once; it is stored nowhere."""

    help = "Make an API token for a user and print it."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name")
        parser.add_argument("--user", required=True)
        parser.add_argument("--days", type=int, default=0, help="days until it expires (0: never)")

    def handle(self, *args: Any, **options: Any) -> None:
        from hosts import audit
        from hosts.models import ApiToken, User

        user = User.objects.filter(username=options["user"], is_active=True).first()
        if user is None:
            raise CommandError(f"There is no active user {options['user']!r}.")
        if options["days"] < 0:
            raise CommandError("--days is 0 or more.")
        expires = timezone.now() + timedelta(days=options["days"]) if options["days"] else None
        row, text = ApiToken.issue(user, options["name"][:80], expires)
        audit.record(audit.Actor(user, road="command"), "token.make", row.name)
        self.stdout.write(text)
