"""The XML of network filters: read safely, what it names, and what libvirt's schema has against it, with the place. lxml alone."""

from __future__ import annotations

import difflib
import hashlib
import re
import threading
from collections.abc import Iterator
from copy import deepcopy
from functools import cache
from pathlib import Path
from typing import NamedTuple

import structlog
from django.utils.translation import gettext as _
from lxml import etree

log = structlog.get_logger(__name__)
FOLDERS = ("/usr/share/libvirt/schemas", "/usr/local/share/libvirt/schemas", "/opt/homebrew/share/libvirt/schemas")
#: bytes of a filter, and elements in it: each may be checked by itself
MOST, MOST_ELEMENTS = 2**18, 3000
#: findings that are told
MOST_TOLD = 20
NAME = r"[a-zA-Z0-9_\-:.]{1,255}"
_NAME = re.compile(rf"{NAME}\Z")
_UUID = re.compile(r"[0-9A-Fa-f]{8}-?(?:[0-9A-Fa-f]{4}-?){3}[0-9A-Fa-f]{12}\Z")
_PARSER = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False)
#: values of what cannot be left out, one of which is right where another is wrong
_OTHERS = ("accept", "inout", "x")
_lock = threading.Lock()


class Malformed(ValueError):
    """Not the XML of a filter. ``line`` and ``column`` say where (from 1; 0 when it is no single place)."""

    def __init__(self, message: str, line: int = 0, column: int = 0) -> None:
        super().__init__(message)
        self.line, self.column = line, column


class Finding(NamedTuple):
    """One thing that the schema does not allow."""

    line: int
    column: int
    message: str


def parse(text: str) -> etree._Element:
    """The root element. Raises Malformed."""
    if len(text.encode(errors="replace")) > MOST:
        raise Malformed(_("At most %(most)d bytes.") % {"most": MOST})
    # Before the parser sees it: what is declared there could grow without end.
    if (start := text.find("<!DOCTYPE")) >= 0 or (start := text.find("<!ENTITY")) >= 0:
        raise Malformed(_("A document type declaration is not allowed."), *_place(text, start))
    try:
        root = etree.fromstring(text.encode(), _PARSER)
    except UnicodeEncodeError as error:
        raise Malformed(_("Half a character."), *_place(text, error.start)) from error
    except etree.XMLSyntaxError as error:
        line, column = error.position
        raise Malformed(str(error), int(line), int(column)) from error
    if root.tag != "filter":
        raise Malformed(_("The root element is not <filter>."), 1, 1)
    if not _NAME.match(root.get("name", "")):
        raise Malformed(_("A filter's name has letters, digits and _ - : . and nothing else."), 1, 1)
    if sum(1 for _one in root.iter()) > MOST_ELEMENTS:
        raise Malformed(_("At most %(most)d elements.") % {"most": MOST_ELEMENTS})
    return root


def name_of(root: etree._Element) -> str:
    """What it is called."""
    return str(root.get("name", ""))


def uuid_of(root: etree._Element) -> str:
    """Its UUID; '' where libvirt is to make one. Raises Malformed."""
    text = (root.findtext("uuid") or "").strip()
    if text and not _UUID.match(text):
        raise Malformed(_("That is no UUID: %(text)s") % {"text": text[:60]})
    return text.lower()


def references(root: etree._Element) -> list[str]:
    """The filters that it takes in."""
    names = [str(one.get("filter", "")) for one in root.iter("filterref")]
    return list(dict.fromkeys(name for name in names if name))


def with_uuid(text: str, uuid: str) -> str:
    """The same with its UUID, where it has none. Raises Malformed."""
    root = parse(text)
    if uuid_of(root):
        return text
    for old in root.findall("uuid"):
        root.remove(old)
    element = etree.Element("uuid")
    element.text = uuid
    root.insert(0, element)
    return etree.tostring(root, encoding="unicode")


def mark(definition: str) -> str:
    """What tells one definition from another."""
    return hashlib.sha256(definition.encode(errors="replace")).hexdigest()[:32]


def plain(text: str) -> str:
    """With one element a line, so that only what means something differs. Raises Malformed."""
    root = parse(text)
    for element in root.iter():
        if not (element.tail or "").strip():
            element.tail = None
        if len(element) or not (element.text or "").strip():
            element.text = None if not (element.text or "").strip() else element.text
    etree.indent(root)
    return etree.tostring(root, encoding="unicode")


def diff(old: str, new: str) -> list[str]:
    """The lines of a unified diff; [] when they mean the same. Raises Malformed."""
    before, after = plain(old).splitlines(), plain(new).splitlines()
    return [line for line in difflib.unified_diff(before, after, lineterm="") if not line.startswith(("+++", "---"))]


# --- the schema


def findings(text: str) -> list[Finding] | None:
    """What libvirt's schema has against it, by the smallest parts; None where the schema is not installed. Raises Malformed."""
    root = parse(text)
    with _lock:  # A schema keeps the errors of its last look.
        rules = _rules()
        if rules is None:
            return None
        if rules.validate(root):
            return []
        last = [Finding(max(0, one.line), 0, f"{one.message}.") for one in rules.error_log]
        found = [one for part in root.iterchildren(etree.Element) for one in _told(rules, part)]
    lines = text.splitlines()
    return [_at(one, element, lines) for element, one in found][:MOST_TOLD] or last[:MOST_TOLD]


@cache
def _rules() -> etree.RelaxNG | None:
    for folder in FOLDERS:
        path = Path(folder) / "nwfilter.rng"
        if path.is_file():
            try:
                return etree.RelaxNG(file=str(path))
            except (etree.RelaxNGParseError, etree.XMLSyntaxError, OSError) as error:
                log.warning("libvirt's schema cannot be read", path=str(path), error=str(error))
    return None


Told = tuple[etree._Element, str]


def _told(rules: etree.RelaxNG, part: etree._Element) -> Iterator[Told]:
    """What of a rule, or of a reference to another filter, stands in the way: itself, or else what is in it."""
    if _is_valid(rules, part):
        return
    if not _is_valid(rules, part, ()):
        yield _wrong_attribute(rules, part, part, ()) or (part, _("<%(tag)s> is not allowed so.") % {"tag": part.tag})
        return
    wrong = [child for child in part.iterchildren(etree.Element) if not _is_valid(rules, part, (child,))]
    for child in wrong:
        words = _("<%(tag)s> is not allowed in <%(parent)s>.") % {"tag": child.tag, "parent": part.tag}
        yield _wrong_attribute(rules, part, child, (child,)) or (child, words)
    if not wrong:
        yield part, _("<%(tag)s> is not allowed so.") % {"tag": part.tag}


def _is_valid(rules: etree.RelaxNG, part: etree._Element, only: tuple[etree._Element, ...] | None = None) -> bool:
    """Whether a filter of nothing but the part is valid; with ``only`` these alone of its children."""
    home = etree.Element("filter", name="x")
    copy = deepcopy(part)
    copy.tail = None
    if only is not None:
        for child, twin in zip(list(part), list(copy), strict=True):
            if child not in only:
                copy.remove(twin)
    home.append(copy)
    return bool(rules.validate(home))


def _wrong_attribute(
    rules: etree.RelaxNG, part: etree._Element, element: etree._Element, only: tuple[etree._Element, ...]
) -> Told | None:
    """The attribute without that, or with another value of that, it is valid."""
    words = _("“%(value)s” is not allowed for “%(name)s” in <%(tag)s>.")
    for name, value in list(element.attrib.items()):
        del element.attrib[name]
        valid = _is_valid(rules, part, only)
        for other in () if valid else _OTHERS:
            element.set(str(name), other)
            valid = valid or _is_valid(rules, part, only)
        element.set(str(name), value)
        if valid:
            return element, words % {"value": value, "name": name, "tag": element.tag}
    return None


def _at(message: str, element: etree._Element, lines: list[str]) -> Finding:
    line = int(element.sourceline or 0)  # type: ignore[call-overload]
    # libxml2 says on which line a start tag ends.
    while line > 1 and line <= len(lines) and not _column(element, lines[line - 1]):
        line -= 1
    return Finding(line, _column(element, lines[line - 1]) if 0 < line <= len(lines) else 0, message)


def _column(element: etree._Element, line: str) -> int:
    found = re.search(rf"<{re.escape(str(element.tag))}[\s/>]", line + " ")
    return found.start() + 1 if found else 0


def _place(text: str, position: int) -> tuple[int, int]:
    return text.count("\n", 0, position) + 1, position - text.rfind("\n", 0, position)
