"""Catalogues compiled for tests, pages found by following links, and the words on them that nobody marked for translation."""

from __future__ import annotations

import gettext
import json
import re
import subprocess
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import urljoin, urlsplit

from django.conf import settings
from django.test import Client
from django.utils.translation import trans_real

from hosts import said

PROJECT = Path(__file__).resolve().parents[2]
CATALOGUE = PROJECT / "kvmdash" / "locale" / "vi" / "LC_MESSAGES" / "django.po"
#: what a translation must hold just as its English does
PLACEHOLDER = re.compile(r"%\(\w+\)[sd]|\{\w+\}|</?\w+>")
SPOKEN = {"title", "aria-label", "placeholder", "alt", "data-confirm", "data-confirm-title", "data-confirm-do"}
QUIET = {"script", "style", "code", "pre", "kbd", "svg", "textarea"}
#: names that are the same in every language
NAMES = re.compile(
    r"\bvirsh [^)]*|\b(Backspace|Control|Ctrl|Alt|Del|Esc|Tab|Enter|Shift|Super|English|Debian|Linux|Windows)\b"
)
#: a sentence, or a word that begins like one
ENGLISH = re.compile(r"\b[A-Z][a-z]{2,}\b|\b[a-z]{2,} [a-z]{2,}\b")
BRACKETS = re.compile(r"⟦[^⟦⟧]*⟧")


def messages(compiled: Path) -> dict[str, str]:
    """English → translation; of a plural, the form for one."""
    with compiled.open("rb") as handle:
        found: dict[Any, str] = gettext.GNUTranslations(handle)._catalog  # type: ignore[attr-defined]
    return {key[0] if isinstance(key, tuple) else key: text for key, text in found.items() if key}


def compile_to(source: Path, folder: Path) -> Path:
    """A folder for LOCALE_PATHS with ``source`` as its Vietnamese."""
    target = folder / "vi" / "LC_MESSAGES" / "django.mo"
    target.parent.mkdir(parents=True)
    subprocess.run(["msgfmt", "--check-format", "-o", target, source], check=True)
    return folder


def bracketed(source: Path, folder: Path) -> Path:
    """As :func:`compile_to`, but every message is its own English in brackets: what has none is not translatable."""
    folder.mkdir()
    known = messages(compile_to(source, folder / "known") / "vi" / "LC_MESSAGES" / "django.mo")
    entries = ['msgid ""\nmsgstr "Content-Type: text/plain; charset=UTF-8\\nPlural-Forms: nplurals=1; plural=0;\\n"']
    plural = set(re.findall(r'^msgid (".*")\nmsgid_plural', source.read_text(), re.MULTILINE))
    for key in known:
        context, _, english = key.rpartition("\x04")
        text, shown = _quoted(english), _quoted(f"⟦{english}⟧")
        lines = [f"msgctxt {_quoted(context)}"] if context else []
        lines += [f"msgid {text}", f"msgid_plural {text}", f"msgstr[0] {shown}"] if text in plural else []
        lines += [] if text in plural else [f"msgid {text}", f"msgstr {shown}"]
        entries.append("\n".join(lines))
    path = folder / "bracketed.po"
    path.write_text("\n\n".join(entries) + "\n")
    return compile_to(path, folder / "bracketed")


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def forget() -> None:
    """Read the catalogues of LOCALE_PATHS anew."""
    trans_real._translations.clear()  # type: ignore[attr-defined]
    said._catalogue.cache_clear()
    said._translated.cache_clear()


def pages(client: Client, first: str = "/", most: int = 90) -> Iterator[tuple[str, str]]:
    """(address, HTML) of every page that links lead to, one of each kind of address."""
    waiting, seen, kinds = [first], {first}, {first}
    while waiting and most:
        address = waiting.pop(0)
        response = client.get(address, follow=True)
        if response.status_code != 200 or not response.headers["Content-Type"].startswith("text/html"):
            continue
        most -= 1
        html = response.content.decode()
        yield address, html
        for link in re.findall(r'(?:href|data-dialog|hx-get)="([^"#]+)', html):
            found = urljoin(address, link.replace("&amp;", "&")).partition("#")[0]
            kind = re.sub(r"[0-9a-f-]{36}|/(kvm|web|db|old)\d|\?.*", "*", found)
            if found in seen or urlsplit(found).netloc or "logout" in found or kind in kinds:
                continue
            seen.add(found)
            kinds.add(kind)
            waiting.append(found)


class _Words(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self._open: list[str] = []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        if tag in QUIET:
            self._open.append(tag)
        self.found += [value for name, value in attributes if name in SPOKEN and value]

    def handle_endtag(self, tag: str) -> None:
        if tag in QUIET and tag in self._open:
            self._open.remove(tag)

    def handle_data(self, data: str) -> None:
        if not self._open:
            self.found.append(data)


def english(html: str) -> list[str]:
    """The English that is written in HTML (or in a template whose tags were taken out), without names."""
    words = _Words()
    words.feed(html)
    return [" ".join(text.split()) for text in words.found if text.isascii() and ENGLISH.search(NAMES.sub("", text))]


def unmarked(html: str) -> list[str]:
    """What a page in the bracketed language says outside of brackets."""
    while BRACKETS.search(html):
        html = BRACKETS.sub("", html)
    return english(html)


def unmarked_in_template(text: str) -> list[str]:
    """What a template says outside of translation tags."""
    text = re.sub(
        r"{%\s*blocktranslate.*?endblocktranslate\s*%}|{#.*?#}|{%\s*comment.*?endcomment\s*%}", "", text, flags=re.S
    )
    text = re.sub(r"{%.*?%}|{{.*?}}", "", text, flags=re.S)
    # Some hold attributes only.
    return english(text if "<" in text else f"<p {text}>")


def locale_path() -> list[Path]:
    """Where the catalogues of the program itself are."""
    return [Path(path) for path in settings.LOCALE_PATHS]
