"""Checking a definition against libvirt's schema, which somebody else has read: nothing here touches files.

The validator (libxml2) names the element in which it lost its way, which is mostly ``<devices>``. So each piece is checked in a
definition of its own, and inside a piece the smallest part without which it is valid is what a person is told.
"""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy
from typing import Any, NamedTuple

from lxml import etree

from vms.definition import tree
from vms.definition.sentences import say
from vms.definition.xml import parse

#: the validator tries optional attributes taken and left out: three times as long for each one more than these
MOST_ATTRIBUTES = 12
#: values of many kinds, one of which may be right where another is wrong
_OTHERS = ("1", "yes", "on", "x", "/x", "1000", "virtio", "pci", "file", "qemu")
_SKELETON = "<domain type='kvm'><name>x</name><os><type>hvm</type></os></domain>"


class Finding(NamedTuple):
    """One thing that the schema does not allow: ``line`` (0: not known), ``path`` of the element, a sentence."""

    line: int
    path: str
    message: str


class CannotCheck(Exception):
    """The check would take minutes; this says nothing about the definition."""


def findings(schema: etree.RelaxNG, text: str) -> list[Finding]:
    """What the schema has against a definition; [] when it is valid. Raises MalformedDefinition, CannotCheck."""
    root = parse(text)
    for element in root.iter(etree.Element):
        if len(element.attrib) > MOST_ATTRIBUTES:
            where = {"tag": _name(element), "line": _line(element)}
            raise CannotCheck(say("<%(tag)s> in line %(line)s has too many attributes to be checked.", **where))
    if schema.validate(root):
        return []
    # Only now: what libxml2 has to say is of this root, and is lost with the next check.
    last = [Finding(max(0, entry.line), entry.path or "", f"{entry.message}.") for entry in schema.error_log]
    kind = root.get("type", "")
    if not schema.validate(_small(kind)):
        return [
            _finding(root, say("“%(value)s” is not a kind of hypervisor that libvirt knows.", value=kind), "/@type")
        ]
    wrong = [piece for piece in _pieces(root) if not schema.validate(piece[0])]
    return [finding for piece in wrong for finding in _told(schema, *piece)] or last


def _pieces(root: etree._Element) -> Iterator[tuple[etree._Element, etree._Element, etree._Element]]:
    """(a small definition, the piece in it, the same piece in the whole) for each device and each other part."""
    for child in root.iterchildren(etree.Element):
        if child.tag != "devices":
            yield _alone(root, child)
            continue
        for device in child.iterchildren(etree.Element):
            yield _alone(root, device)


def _small(kind: str) -> etree._Element:
    """The least that is a definition."""
    small = etree.fromstring(_SKELETON)
    small.set("type", kind)
    return small


def _alone(root: etree._Element, element: etree._Element) -> tuple[etree._Element, etree._Element, etree._Element]:
    small, copy = _small(root.get("type", "")), deepcopy(element)
    copy.tail = None
    home = small
    if element.getparent() is not root:
        home = etree.SubElement(small, "devices")
    twin = home.find(copy.tag)
    if twin is not None:
        home.replace(twin, copy)
    else:
        home.append(copy)
    return small, copy, element


def _told(
    schema: etree.RelaxNG, small: etree._Element, piece: etree._Element, original: etree._Element
) -> list[Finding]:
    """The smallest parts of a piece that stand in the way."""
    for inner, twin in zip(piece.iter(etree.Element), original.iter(etree.Element), strict=True):
        found = _wrong_attribute(schema, small, inner, twin) or _wrong_text(schema, small, inner, twin)
        if found:
            return [found]
    for inner, twin in reversed([*zip(piece.iter(etree.Element), original.iter(etree.Element), strict=True)][1:]):
        if _helps(schema, small, inner):
            return [
                _finding(
                    twin,
                    say("<%(tag)s> is not allowed in <%(parent)s>.", tag=_name(twin), parent=_name(twin.getparent())),
                )
            ]
    each = _told_of_children(schema, small, piece, original)
    if each:
        return each
    sentence = say("In <%(tag)s> something is missing, unknown, or does not go with the rest.", tag=_name(original))
    return [_finding(original, sentence)]


def _wrong_attribute(
    schema: etree.RelaxNG, small: etree._Element, inner: etree._Element, twin: etree._Element
) -> Finding | None:
    """The attribute without that, or with another value of that, it is valid."""
    before = tree.attributes(inner)
    for name, value in before:
        del inner.attrib[name]
        valid = schema.validate(small) or _any_value(schema, small, inner, name)
        inner.attrib.clear()
        for each in before:
            inner.set(*each)
        if valid:
            return _finding(
                twin,
                say(
                    "“%(value)s” is not allowed for “%(name)s” in <%(tag)s>.",
                    value=value,
                    name=etree.QName(name).localname,
                    tag=_name(twin),
                ),
                f"/@{name}",
            )
    return None


def _any_value(schema: etree.RelaxNG, small: etree._Element, inner: etree._Element, name: str) -> bool:
    for other in _OTHERS:
        inner.set(name, other)
        if schema.validate(small):
            return True
    return False


def _wrong_text(
    schema: etree.RelaxNG, small: etree._Element, inner: etree._Element, twin: etree._Element
) -> Finding | None:
    """The text in place of which another is valid."""
    text = inner.text
    if len(inner) or not (text or "").strip():
        return None
    for inner.text in (None, *_OTHERS):
        if schema.validate(small):
            inner.text = text
            return _finding(
                twin, say("“%(value)s” is not allowed in <%(tag)s>.", value=str(text).strip(), tag=_name(twin))
            )
    inner.text = text
    return None


def _helps(schema: etree.RelaxNG, small: etree._Element, inner: etree._Element) -> bool:
    """Whether it is valid without this element."""
    parent = inner.getparent()
    if parent is None:
        return False
    number = parent.index(inner)
    parent.remove(inner)
    valid = schema.validate(small)
    parent.insert(number, inner)
    return bool(valid)


def _told_of_children(
    schema: etree.RelaxNG, small: etree._Element, piece: etree._Element, original: etree._Element
) -> list[Finding]:
    """Of a piece that could be empty, each child that is wrong by itself."""
    children, found = list(piece), []
    for child in children:
        piece.remove(child)
    if schema.validate(small):
        for child, twin in zip(children, original, strict=True):
            piece.append(child)
            if isinstance(child.tag, str) and not schema.validate(small):
                found += _told(schema, small, child, twin) or []
            piece.remove(child)
    piece.extend(children)
    return found


def _finding(element: etree._Element, message: str, behind: str = "") -> Finding:
    return Finding(_line(element), element.getroottree().getpath(element) + behind, message)


def _name(element: etree._Element | None) -> str:
    return etree.QName(element).localname if element is not None else ""


def _line(element: etree._Element) -> int:
    line: Any = element.sourceline  # the stubs have no type for it
    return int(line or 0)
