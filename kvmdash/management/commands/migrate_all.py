"""`manage.py migrate_all`: bring both databases up to date."""

from typing import Any

from django.core.management import call_command
from django.core.management.base import BaseCommand


class Command(BaseCommand):
    """Facts and metrics."""

    help = "Migrate the database and the metrics database."

    def handle(self, *args: Any, **options: Any) -> None:
        for database in ("default", "metrics"):
            call_command("migrate", database=database, interactive=False, verbosity=0)
