"""`make messages`: Django's command with this project's ways (docs/translating.md)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.commands import makemessages

IGNORED = ("node_modules", ".venv", "var", "static", "tests", "lab", "bench", "deploy", "build")
#: where the API's own texts stand while the messages are gathered; xgettext reads sources only
API_TEXTS = settings.BASE_DIR / "kvmdash" / "api_texts.py"


class Command(makemessages.Command):
    """Finds ``say`` (hosts.hypervisor.sentences), ``sentence`` (vms.moving.preflight) and the API's texts; its diffs are small."""

    xgettext_options = [*makemessages.Command.xgettext_options, "--keyword=say", "--keyword=sentence"]
    #: no guesses: what is new is empty until somebody translates it
    msgmerge_options = [*makemessages.Command.msgmerge_options, "--no-fuzzy-matching"]

    def handle(self, *args: Any, **options: Any) -> None:
        options["locale"] = options["locale"] or ["vi"]
        options["add_location"] = options["add_location"] or "file"
        options["no_wrap"] = options["no_obsolete"] = True
        options["ignore_patterns"] = [*options["ignore_patterns"], *IGNORED]
        with _api_texts():
            super().handle(*args, **options)

    def write_po_file(self, potfile: str, locale: str) -> None:
        """Without the time of making, which would be in everybody's way at every merge."""
        super().write_po_file(potfile, locale)
        for path in settings.LOCALE_PATHS:
            catalogue = Path(path) / locale / "LC_MESSAGES" / f"{self.domain}.po"
            lines = catalogue.read_text().splitlines(keepends=True)
            catalogue.write_text("".join(line for line in lines if not line.startswith('"POT-Creation-Date:')))


@contextmanager
def _api_texts() -> Iterator[None]:
    """What the API says of itself in docstrings and schemas, as a source that xgettext reads."""
    from kvmdash.api import api
    from kvmdash.api_docs import texts

    calls = "".join(f"gettext_noop({text!r})\n" for text in texts(api.get_openapi_schema()))
    API_TEXTS.write_text(calls)
    try:
        yield
    finally:
        API_TEXTS.unlink()
