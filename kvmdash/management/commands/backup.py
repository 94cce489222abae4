"""`manage.py backup FOLDER`: copies of the SQLite databases, taken while kvmdash runs."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser


class Command(BaseCommand):
    """Whole and consistent whatever is being written meanwhile. PostgreSQL has pg_dump."""

    help = "Copy the SQLite databases into FOLDER, which must not hold any yet. Keep the encryption keys elsewhere."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("folder")
        parser.add_argument("--no-metrics", action="store_true", help="leave the history of figures out")

    def handle(self, *args: Any, **options: Any) -> None:
        from django.conf import settings

        folder = Path(options["folder"])
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise CommandError(str(error)) from error
        for alias in ("default",) if options["no_metrics"] else ("default", "metrics"):
            database = settings.DATABASES[alias]
            if database["ENGINE"] != "django.db.backends.sqlite3":
                raise CommandError(f"The database '{alias}' is not SQLite: use pg_dump.")
            self.stdout.write(str(copy(Path(str(database["NAME"])), folder)))


def copy(source: Path, folder: Path) -> Path:
    """The copy of a database file, for its owner's eyes alone. Raises CommandError."""
    target = folder / source.name
    try:
        os.close(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        read, write = sqlite3.connect(f"file:{source}?mode=ro", uri=True), sqlite3.connect(target)
        with read, write:
            read.backup(write)
        read.close()
        write.close()
    except (OSError, sqlite3.Error) as error:
        raise CommandError(f"{target}: {error}") from error
    return target
