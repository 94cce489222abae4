"""What one check found. The words are put together only when somebody reads them: most of a big table is never read."""

from __future__ import annotations

from typing import Any, NamedTuple

from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from hosts.operations.presenter import size

OK, WARNING, UNKNOWN, NO = range(4)
#: as the API and the style sheets call them
VERDICTS = ("ok", "warning", "unknown", "no")
#: words that are sizes
SIZES = frozenset({"wanted", "free", "whole"})


class Finding(NamedTuple):
    """``verdict`` with a reason and what would mend it, both still English formats for ``words``."""

    verdict: int
    text: str
    words: dict[str, Any] = {}
    mend: str = ""

    @property
    def name(self) -> str:
        """ok, warning, unknown or no."""
        return VERDICTS[self.verdict]

    @property
    def reason(self) -> str:
        """Why, in the reader's language."""
        return _(self.text) % self._words()

    @property
    def remedy(self) -> str:
        """What would mend it; '' where nothing has to be or nothing can."""
        return _(self.mend) % self._words() if self.mend else ""

    @property
    def told(self) -> str:
        """Reason and remedy in one."""
        return f"{self.reason} {self.remedy}".strip()

    def _words(self) -> dict[str, Any]:
        return {key: size(value) if key in SIZES else value for key, value in self.words.items()}


def ok(text: str, **words: Any) -> Finding:
    """It may."""
    return Finding(OK, text, words)


def warning(text: str, mend: str = "", **words: Any) -> Finding:
    """It may, and somebody should know."""
    return Finding(WARNING, text, words, mend)


def unknown(text: str, mend: str = "", **words: Any) -> Finding:
    """It cannot be told."""
    return Finding(UNKNOWN, text, words, mend)


def no(text: str, mend: str = "", **words: Any) -> Finding:
    """It may not."""
    return Finding(NO, text, words, mend)


def worst(found: list[Finding], otherwise: Finding) -> Finding:
    """The one that weighs most of several; ``otherwise`` when there are none."""
    return max(found, key=lambda one: one.verdict, default=otherwise)


def listed(names: Any, most: int = 6) -> str:
    """Some names in one line."""
    known = sorted(str(name) for name in names)
    return ", ".join(known[:most]) + (f" … (+{len(known) - most})" if len(known) > most else "")


#: marks a text for the catalogue
sentence = gettext_noop
