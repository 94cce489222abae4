"""Finding, adding and removing elements without disturbing their neighbours or the indentation."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple

from lxml import etree

Element = etree._Element
NOTHING: Mapping[str, str] = {}
NO_ORDER: Mapping[str, int] = {}
#: prefixes that may stand in a path, and are declared where an element needs them
NAMESPACES = {
    "kvmdash": "https://kvmdash.org/xmlns/1",
    "libosinfo": "http://libosinfo.org/xmlns/libvirt/domain/1.0",
    "qemu": "http://libvirt.org/schemas/domain/qemu/1.0",
}
_STEP = re.compile(r"(?:(\w+):)?([\w-]+)(?:\[([\w-]+)=([^\]]+)\])?\Z")


class Step(NamedTuple):
    """One element down: its tag, and which attribute has to have which value ('' for any element of that tag)."""

    tag: str
    key: str
    value: str


@lru_cache(maxsize=2048)
def parse_path(path: str) -> tuple[tuple[Step, ...], str]:
    """'os/firmware/feature[name=secure-boot]@enabled' → the steps down and the attribute's name ('' = the element itself)."""
    way, _, attribute = path.partition("@")
    return tuple(_step(part) for part in way.split("/") if part and part != "."), attribute


def _step(part: str) -> Step:
    match = _STEP.match(part)
    if match is None:
        raise ValueError(f"Not a path step: {part}")
    prefix, tag, key, value = match.groups()
    return Step(f"{{{NAMESPACES[prefix]}}}{tag}" if prefix else tag, key or "", value or "")


def child(parent: Element, step: Step) -> Element | None:
    """The first child that the step names."""
    if not step.key:
        return next(parent.iterchildren(step.tag), None)
    return next((found for found in parent.iterchildren(step.tag) if found.get(step.key) == step.value), None)


def children(parent: Element, step: Step) -> list[Element]:
    """All children that the step names."""
    if not step.key:
        return list(parent.iterchildren(step.tag))
    return [found for found in parent.iterchildren(step.tag) if found.get(step.key) == step.value]


def walk(element: Element | None, steps: Sequence[Step]) -> Element | None:
    """The element at the end of the steps."""
    for step in steps:
        if element is None:
            return None
        # Said again here, and not by calling child(): this is where the time goes.
        element = child(element, step) if step[1] else next(element.iterchildren(step[0]), None)
    return element


def reach(
    element: Element, steps: Sequence[Step], order: Mapping[str, int], births: Sequence[Mapping[str, str]] = ()
) -> Element:
    """Like ``walk``, and makes what is missing; ``order`` is for the first step, ``births`` one for each."""
    for position, step in enumerate(steps):
        found = child(element, step)
        if found is None:
            found = create(element, step, order, births[position] if births else NOTHING)
        element, order = found, NO_ORDER
    return element


def births(steps: Sequence[Step], born: Mapping[str, str]) -> list[Mapping[str, str]]:
    """For each step what a new element has from the start: 'name' is for the last one, 'tag@name' for the one of that tag."""
    found: list[Mapping[str, str]] = [
        {name.partition("@")[2]: value for name, value in born.items() if name.startswith(step.tag + "@")}
        for step in steps
    ]
    return [*found[:-1], {**found[-1], **{name: born[name] for name in born if "@" not in name}}] if found else []


def create(
    parent: Element,
    step: Step,
    order: Mapping[str, int],
    born: Mapping[str, str] = NOTHING,
    before: Element | None = None,
) -> Element:
    """A new child where libvirt would write it; ``born``: the attributes it needs to make sense ('.' is its text)."""
    new = parent.makeelement(step.tag, nsmap=_nsmap(step.tag)) if step.tag[0] == "{" else parent.makeelement(step.tag)
    if step.key:
        new.set(step.key, step.value)
    for name, value in born.items():
        if name == ".":
            new.text = value
        elif name not in new.attrib:
            new.set(name, value)
    if before is None and len(parent):
        before = _follower(parent, step.tag, order)
    _insert(parent, new, before)
    return new


def _nsmap(tag: str) -> dict[str, str]:
    uri = tag[1:].partition("}")[0]
    return {prefix: known for prefix, known in NAMESPACES.items() if known == uri}


def _follower(parent: Element, tag: str, order: Mapping[str, int]) -> Element | None:
    """Which child a new ``tag`` goes before; None = to the end. Comments and unknown elements stay where they are."""
    mine = order.get(tag, -1)
    earlier = None
    for sibling in parent.iterchildren(reversed=True):
        its = sibling.tag
        rank = order.get(its, -1)
        if its == tag or 0 <= rank <= mine:
            return _behind(sibling)
        if rank > mine >= 0:
            earlier = sibling
    return earlier


def _behind(element: Element) -> Element | None:
    """What comes after an element and the remarks on its line."""
    following = element.getnext()
    while following is not None and not isinstance(following.tag, str) and "\n" not in (element.tail or ""):
        element, following = following, following.getnext()
    return following


def _insert(parent: Element, new: Element, before: Element | None) -> None:
    if before is not None:
        new.tail = _lead(before)
        before.addprevious(new)
        return
    last = parent[-1] if len(parent) else None
    if last is not None:
        new.tail = last.tail
        last.tail = _lead(last)
    elif _blank(parent.text):
        outer, unit = indentation(parent)
        parent.text, new.tail = (outer + unit, outer) if outer else (None, None)
    parent.append(new)


def _lead(element: Element) -> str | None:
    """The white space before an element, when there is nothing else."""
    previous = element.getprevious()
    parent = element.getparent()
    before = previous.tail if previous is not None else parent.text if parent is not None else None
    return before if _blank(before) else None


def indentation(element: Element) -> tuple[str, str]:
    """('\\n' and the spaces before the element, the spaces of one level more); ('', '') when the text is not indented."""
    parent = element.getparent()
    if parent is None:
        return "\n", "  "
    outer = _last_line(_lead(element))
    if not outer:
        return "", ""
    above = _last_line(_lead(parent)) if parent.getparent() is not None else "\n"
    unit = outer[len(above) :] if above and outer.startswith(above) else ""
    return outer, unit or "  "


def _last_line(space: str | None) -> str:
    return space[space.rindex("\n") :] if space and "\n" in space else ""


def _blank(text: str | None) -> bool:
    return not text or text.isspace()


def remove(element: Element) -> Element | None:
    """Take an element out of its parent, which is returned; the text behind it stays, and so does the indentation around it."""
    parent = element.getparent()
    if parent is None:
        return None
    previous, following, tail = element.getprevious(), element.getnext(), element.tail
    parent.remove(element)
    if not _blank(tail):
        _append_text(parent, previous, tail or "")
    elif following is None and previous is not None and _blank(previous.tail):
        previous.tail = tail
    elif following is None and previous is None and _blank(parent.text):
        parent.text = None
    return parent


def _append_text(parent: Element, previous: Element | None, text: str) -> None:
    if previous is None:
        parent.text = (parent.text or "") + text
    else:
        previous.tail = (previous.tail or "") + text


def attributes(element: Element) -> list[tuple[str, str]]:
    """Names and values."""
    return [(str(name), str(value)) for name, value in element.attrib.items()]


def drop(element: Element, attribute: str) -> bool:
    """Remove an attribute; whether it was there."""
    if attribute not in element.attrib:
        return False
    del element.attrib[attribute]
    return True


def is_empty(element: Element, besides: str = "") -> bool:
    """No attribute (``besides`` one), no child, not even a comment, no text."""
    if len(element) or not _blank(element.text):
        return False
    return not element.attrib or (bool(besides) and element.attrib.keys() == [besides])


def is_remark(element: Element) -> bool:
    """Nothing but comments."""
    return not element.attrib and _blank(get_text(element)) and not any(isinstance(inner.tag, str) for inner in element)


def get_text(element: Element) -> str:
    """The element's own text; that of children is not its own, comments inside do not cut it short."""
    if not len(element):
        return element.text or ""
    return "".join([element.text or "", *(inner.tail or "" for inner in element)])


def set_text(element: Element, text: str) -> None:
    """Put ``text`` where the element's text is, and leave children and comments inside as they are."""
    if not len(element):
        element.text = text or None
        return
    pieces: Sequence[Element] = list(element)
    home = next((inner for inner in pieces if not _blank(inner.tail)), None) if _blank(element.text) else None
    for inner in pieces:
        if inner is not home and not _blank(inner.tail):
            inner.tail = None
    if home is not None:
        home.tail = text
    elif text or not _blank(element.text):
        element.text = text or None
