"""Sentences that were stored in English, in the language of whoever reads them.

What a host, a test or an operation said is stored once and read by people of several languages. It is therefore stored in English;
the catalogue of translations (docs/translating.md) knows the sentence, or the pattern with ``%(name)s`` that it was made from.
"""

from __future__ import annotations

import gettext
import re
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

from django.conf import settings
from django.utils import translation

KEPT_IN = "en"
#: longer texts are no sentences of ours but what libvirt or a program printed
LONGEST = 2000
#: patterns with fewer letters of their own than this would fit anything
FEWEST_LETTERS = 10
#: values of these names are words of ours too: states, reasons, sentences within sentences
WORDS = frozenset({"state", "needs", "why", "text", "source", "target"})
_PLACEHOLDER = re.compile(r"%\((\w+)\)[#0-9.+-]*[a-zA-Z]")
_END = re.compile(r"(?<=[.!?]) ")
_BETWEEN_WORDS = re.compile(r"(: | or )")


@dataclass(frozen=True, slots=True)
class Pattern:
    """A sentence with placeholders: what it looks like filled in, and its translation."""

    shape: re.Pattern[str]
    translated: str


@dataclass(frozen=True, slots=True)
class Catalogue:
    """The sentences of one language: those without placeholders by their English, and the others, the most telling first."""

    whole: dict[str, str]
    patterns: list[Pattern]


def said(text: str) -> str:
    """``text`` in the language that is active now; as it is where the catalogue does not know it."""
    language = (translation.get_language() or KEPT_IN).partition("-")[0]
    if language == KEPT_IN or not text or len(text) > LONGEST:
        return text
    return _translated(text, language)


def kept() -> translation.override:
    """Around what makes sentences that will be stored: they are made in English, whoever asked."""
    return translation.override(KEPT_IN)


@lru_cache(maxsize=8192)
def _translated(text: str, language: str) -> str:
    """Sentence by sentence, as many at once as the catalogue knows together."""
    catalogue = _catalogue(language)
    ends = [found.end() for found in _END.finditer(text)]
    done, begin = [], 0
    while begin < len(text):
        later = [end for end in ends if end > begin]
        for end in (len(text), *reversed(later)):
            known = _sentence(text[begin:end].rstrip(), catalogue)
            if known is not None:
                break
        else:
            end = later[0] if later else len(text)
            known = text[begin:end].rstrip()
        done.append(known)
        begin = end
    return " ".join(done)


def _sentence(text: str, catalogue: Catalogue) -> str | None:
    if text in catalogue.whole:
        return catalogue.whole[text]
    for pattern in catalogue.patterns:
        found = pattern.shape.fullmatch(text)
        if found is not None:
            return pattern.translated % {
                name: _words(value, catalogue) if name in WORDS else value for name, value in found.groupdict().items()
            }
    return None


def _words(value: str, catalogue: Catalogue) -> str:
    """A value that is a sentence, a word of ours, or several (“kvm1: paused”, “running or paused”)."""
    known = _sentence(value, catalogue)
    if known is not None:
        return known
    return "".join(catalogue.whole.get(part, part) for part in _BETWEEN_WORDS.split(value))


@cache
def _catalogue(language: str) -> Catalogue:
    plain = {
        english: text
        for english, text in _messages(language).items()
        if isinstance(english, str) and isinstance(text, str) and english and text and "\x04" not in english
    }
    patterns = [english for english in plain if _PLACEHOLDER.search(english) and _letters(english) >= FEWEST_LETTERS]
    patterns.sort(key=_letters, reverse=True)
    return Catalogue(
        {english: text for english, text in plain.items() if not _PLACEHOLDER.search(english)},
        [Pattern(_shape(english), _of_words(plain[english])) for english in patterns],
    )


def _messages(language: str) -> dict[Any, Any]:
    """Our own compiled catalogue; empty where there is none."""
    found: dict[Any, Any] = {}
    for path in settings.LOCALE_PATHS:
        file = gettext.find("django", str(path), [translation.to_locale(language)])
        if file is not None:
            with Path(file).open("rb") as handle:
                compiled: Any = gettext.GNUTranslations(handle)
            # There is no public way to all messages of a language; Django's JavaScriptCatalog takes this one, too.
            found |= compiled._catalog
    return found


def _of_words(translated: str) -> str:
    """The translation for values that are text by now, whatever they were."""
    return _PLACEHOLDER.sub(r"%(\1)s", translated)


def _letters(english: str) -> int:
    return sum(character.isalpha() for character in _PLACEHOLDER.sub("", english))


def _shape(english: str) -> re.Pattern[str]:
    """What the sentence looks like filled in; a name that stands twice is the same twice."""
    parts, seen = [], set()
    for number, part in enumerate(_PLACEHOLDER.split(english)):
        if number % 2 == 0:
            parts.append(re.escape(part.replace("%%", "%")))
        elif part in seen:
            parts.append(f"(?P={part})")
        else:
            seen.add(part)
            parts.append(f"(?P<{part}>.+?)")
    return re.compile("".join(parts), re.DOTALL)
