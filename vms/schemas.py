"""libvirt's schema of definitions, where it is installed beside us: what it has against a definition, and where.

The schema is of the libvirt on this machine; the one that counts is the host's, which is asked when the definition is stored.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import NamedTuple

import structlog
from lxml import etree

from vms.definition import schema
from vms.definition.xml import parse_to_edit

log = structlog.get_logger(__name__)

FOLDERS = ("/usr/share/libvirt/schemas", "/usr/local/share/libvirt/schemas", "/opt/homebrew/share/libvirt/schemas")
NAME = "domain.rng"
#: validations that are spent on finding the very place
MOST_TRIES, MOST_SECONDS = 400, 1.0
#: findings that are told
MOST = 20
Culprit = tuple[etree._Element, str]


class Finding(NamedTuple):
    """One thing that the schema does not allow, at ``line`` and ``column`` (0: unknown) in the element ``path``."""

    line: int
    column: int
    path: str
    message: str


_lock = threading.Lock()


def check(text: str) -> list[Finding] | None:
    """What the schema has against a definition, the place found as exactly as can be; None where it cannot be checked.

    Raises MalformedDefinition.
    """
    root = parse_to_edit(text)
    with _lock:  # A schema keeps the errors of its last look, and is read once.
        rules = _rules()
        if rules is None:
            return None
        try:
            found = [Finding(one.line, 0, one.path, one.message) for one in schema.findings(rules, text)]
        except schema.CannotCheck as error:
            log.info("a definition was not checked", reason=str(error))
            return None
        if not found:
            return []
        culprits = list(_culprits(root, rules))
    lines = text.splitlines()
    return [_finding(element, attribute, lines) for element, attribute in culprits[:MOST]] or found[:MOST]


@cache
def _rules() -> etree.RelaxNG | None:
    for folder in FOLDERS:
        path = Path(folder) / NAME
        if path.is_file():
            try:
                return etree.RelaxNG(file=str(path))
            except (etree.RelaxNGParseError, etree.XMLSyntaxError, OSError) as error:
                log.warning("libvirt's schema cannot be read", path=str(path), error=str(error))
    return None


def _culprits(root: etree._Element, rules: etree.RelaxNG) -> Iterator[Culprit]:
    """The innermost elements (and attributes) without which, or without whose neighbours, the definition is valid.

    libvirt's schema allows nearly everything in any order, and libxml2 then names only the outermost element.
    """
    yield from _within(root, Tries(root, rules))


class Tries:
    """Validations of the definition with parts of it away, as long as there are some left."""

    def __init__(self, root: etree._Element, rules: etree.RelaxNG) -> None:
        self.root, self.rules, self.left = root, rules, MOST_TRIES
        self.until = time.monotonic() + MOST_SECONDS

    def is_valid(self) -> bool:
        """Whether it is valid as it is now."""
        self.left -= 1
        if time.monotonic() > self.until:
            self.left = 0
        return self.left > 0 and bool(self.rules.validate(self.root))


@contextmanager
def _without(elements: Iterable[etree._Element]) -> Iterator[None]:
    """These elements are away for a while."""
    taken = []
    for element in reversed(list(elements)):
        parent = element.getparent()
        if parent is not None:
            taken.append((parent, parent.index(element), element))
            parent.remove(element)
    try:
        yield
    finally:
        for parent, place, element in reversed(taken):
            parent.insert(place, element)


@contextmanager
def _without_attribute(element: etree._Element, name: str) -> Iterator[None]:
    """This attribute is away for a while."""
    value = element.attrib.pop(name)
    try:
        yield
    finally:
        element.set(name, value)


def _within(element: etree._Element, tries: Tries) -> Iterator[Culprit]:
    """What of the element it is; the element itself when it is no single part of it."""
    children = _children(element)
    for child in children:
        with _without([child]):
            is_it = tries.is_valid()
        if is_it:
            yield from _within(child, tries)
            return
    several = list(_several(children, tries))
    if several:
        yield from several
        return
    found = next(_attributes(element, tries), None)
    yield found or (element, "")


def _several(children: list[etree._Element], tries: Tries) -> Iterator[Culprit]:
    """More than one is wrong: where none is needed, each is tried without the others."""
    with _without(children):
        none_needed = len(children) > 1 and tries.is_valid()
    for child in children if none_needed else ():
        with _without([other for other in children if other is not child]):
            if not tries.is_valid() and tries.left > 0:
                yield from _within(child, tries)


def _attributes(element: etree._Element, tries: Tries) -> Iterator[Culprit]:
    for inner in element.iter(etree.Element):
        for name in list(inner.attrib):
            with _without_attribute(inner, str(name)):
                is_it = tries.is_valid()
            if is_it:
                yield inner, str(name)


def _children(element: etree._Element) -> list[etree._Element]:
    return [child for child in element if isinstance(child.tag, str)]


def _finding(element: etree._Element, attribute: str, lines: list[str]) -> Finding:
    line = int(element.sourceline or 0)  # type: ignore[call-overload]
    path = element.getroottree().getpath(element)
    named = f"@{attribute}" if attribute else f"<{etree.QName(element).localname}>"
    # libxml2 says on which line a start tag ends.
    while line > 1 and line <= len(lines) and not _column(element, lines[line - 1]):
        line -= 1
    column = _column(element, lines[line - 1]) if 0 < line <= len(lines) else 0
    return Finding(line, column, path, named)


def _column(element: etree._Element, line: str) -> int:
    """Where in the line the element begins, from 1; 0 when it does not."""
    found = re.search(rf"<([\w.-]+:)?{re.escape(etree.QName(element).localname)}[\s/>]", line + " ")
    return found.start() + 1 if found else 0
