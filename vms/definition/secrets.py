"""Secrets in definitions: what libvirt shows only when it is asked for them (``VIR_DOMAIN_XML_SECURE``).

It leaves them out of the definitions that are stored and edited here: passwords of screens, cookies of network disks. They are
taken out of what a person typed, and carried over from the definition of the moment to an edited one that does not name them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from copy import deepcopy

from lxml import etree

from vms.definition import tree
from vms.definition.compare import match
from vms.definition.xml import parse_to_edit

ATTRIBUTES = ("passwd", "password")
#: (parent, element) whose text is a secret
TEXTS = frozenset({("cookies", "cookie")})
MASK = "*****"

#: (number of the element in document order, attribute or '' for its text, the secret)
Typed = tuple[int, str, str]


def take_out(text: str) -> tuple[str, list[Typed]]:
    """The definition without its secrets, and these with their places. Raises MalformedDefinition."""
    root = parse_to_edit(text)
    found = [(number, name, _take(element, name)) for number, element, name in _places(root)]
    return (_written(root), found) if found else (text, found)


def put_in(text: str, typed: Sequence[Typed]) -> str:
    """The definition with the secrets that :func:`take_out` took out of it. Raises MalformedDefinition."""
    root = parse_to_edit(text)
    elements = list(_elements(root))
    for number, name, value in typed:
        _set(elements[number], name, value)
    return _written(root)


def masked(text: str) -> str:
    """The definition with a mark for every secret. Raises MalformedDefinition."""
    root = parse_to_edit(text)
    for _number, element, name in _places(root):
        _set(element, name, MASK)
    return _written(root)


def carry_over(edited: str, plain: str, secure: str) -> str:
    """``edited`` with the secrets that ``secure`` has and ``plain`` has not, wherever the edit left the place as it was.

    ``plain`` and ``secure`` are the same definition. What was given another secret keeps that; what is gone takes its secret along.
    Raises MalformedDefinition.
    """
    root = parse_to_edit(edited)
    _carry(parse_to_edit(plain), parse_to_edit(secure), root)
    return _written(root)


def _carry(plain: tree.Element, secure: tree.Element, edited: tree.Element) -> None:
    for name, value in tree.attributes(secure):
        if plain.get(name) != value and edited.get(name) == plain.get(name):
            edited.set(name, value)
    if not len(secure) and secure.text != plain.text and edited.text == plain.text and not len(edited):
        edited.text = secure.text
    pairs, hidden = match(plain, secure)
    for element in hidden:
        if edited.find(element.tag) is None:
            edited.append(deepcopy(element))
    now = dict(match(plain, edited)[0])
    for mine, known in pairs:
        its = now.get(mine)
        if known is not None and its is not None:
            _carry(mine, known, its)


def _elements(root: tree.Element) -> Iterator[tree.Element]:
    return (element for element in root.iter() if isinstance(element.tag, str))


def _places(root: tree.Element) -> Iterator[tuple[int, tree.Element, str]]:
    for number, element in enumerate(_elements(root)):
        for name in ATTRIBUTES:
            if element.get(name) is not None:
                yield number, element, name
        parent = element.getparent()
        if parent is not None and (parent.tag, element.tag) in TEXTS and (element.text or "").strip():
            yield number, element, ""


def _take(element: tree.Element, name: str) -> str:
    if name:
        return str(element.attrib.pop(name))
    text, element.text = element.text, None
    return str(text)


def _set(element: tree.Element, name: str, value: str) -> None:
    if name:
        element.set(name, value)
    else:
        element.text = value


def _written(root: tree.Element) -> str:
    return etree.tostring(root.getroottree(), encoding="unicode")
