"""An edit changes what it names and nothing else: both texts are compared after the named place is cut out of each."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from lxml import etree

from vms.definition.nodes import Node
from vms.definition.properties import Property
from vms.definition.tree import Step

_PARSER = etree.XMLParser(resolve_entities=False, no_network=True, strip_cdata=True)


class Road(NamedTuple):
    """The way to a place: from the nearest element that exists (``where``), by ``steps``; ``given``: what is born with each."""

    where: str
    steps: list[Step]
    given: dict[str, dict[str, str]]


def road(node: Node, prop: Property[Any]) -> Road:
    """The way to the place that a property of this node names."""
    steps = list(prop.steps)
    given = {step.tag: {step.key: step.value} for step in steps if step.key}
    for name, value in prop.born.items():
        tag, _, attribute = name.rpartition("@")
        given.setdefault(tag or steps[-1].tag, {})[attribute] = value
    while node._nested is not None:
        nested = node._nested
        given.setdefault(nested.steps[-1].tag, {}).update(node.born)
        given.update({step.tag: {step.key: step.value, **node.born} for step in nested.steps if step.key})
        steps, node = [*nested.steps, *steps], node._home
    return Road(node.element.getroottree().getpath(node.element), steps, given)


def fits(element: etree._Element, step: Step) -> bool:
    """Whether the step means this element."""
    return not step.key or element.get(step.key) == step.value


def difference(before: str, after: str, road: Road, prop: Property[Any]) -> str:
    """'' when the texts are the same but for the place; otherwise both rests."""
    shared = min(depth(before, road), depth(after, road))
    old, new = without(before, road, prop, shared), without(after, road, prop, shared)
    return "" if old == new else f"--- before\n{old}\n--- after\n{new}"


def depth(text: str, road: Road) -> int:
    """How many of the steps lead to an element."""
    home = etree.fromstring(text.encode(), _PARSER).getroottree().xpath(road.where)[0]
    return max(number for number in range(len(road.steps) + 1) if _elements(home, road.steps[:number]))


def without(text: str, road: Road, prop: Property[Any], shared: int) -> str:
    """The canonical form of a definition without the place, and without parents beyond ``shared`` that hold nothing but it."""
    root = etree.fromstring(text.encode(), _PARSER)
    home = root.getroottree().xpath(road.where)[0]
    if prop.form == "words":
        for element in list(_elements(home, road.steps)):
            _prune(_cut(element, home), road, shared, len(road.steps) - 1)
    else:
        element = next(iter(_elements(home, road.steps)), None)
        if element is not None:
            _cut_value(element, home, road, prop, shared)
    _strip(root.getroottree())
    return etree.tostring(root.getroottree(), method="c14n").decode()


def _elements(home: etree._Element, steps: Iterable[Step]) -> list[etree._Element]:
    """Elements at the end of the steps; of all but the last step the first that fits."""
    found = [home]
    for step in steps:
        found = [child for element in found[:1] for child in element.iterchildren(step.tag) if fits(child, step)]
    return found


def _cut_value(element: etree._Element, home: etree._Element, road: Road, prop: Property[Any], shared: int) -> None:
    if prop.whole or (not prop.attribute and type(prop).__name__ in ("Presence", "State")):
        _prune(_cut(element, home), road, shared, len(road.steps) - 1)
        return
    if prop.attribute:
        element.attrib.pop(prop.attribute, None)
    else:
        element.text = None
        for inner in element:
            inner.tail = None
    if prop.form == "size":
        element.attrib.pop(prop.unit, None)
    if not prop.attribute and not element.attrib and not any(isinstance(inner.tag, str) for inner in element):
        element[:] = []  # a remark about the value goes with it
    _prune(element, road, shared, len(road.steps))


def _prune(element: etree._Element, road: Road, shared: int, deep: int) -> None:
    """Parents go when they hold nothing but what they were made with; ``deep``: which step led to the element."""
    while deep > shared and not len(element):
        given = road.given.get(element.tag, {})
        if (element.text or "").strip() not in ("", given.get(".")) or dict(element.attrib).items() - given.items():
            return
        element, deep = _cut(element, None), deep - 1


def _cut(element: etree._Element, home: etree._Element | None) -> etree._Element:
    """Take it out and leave the text behind it; its parent. ``home`` itself is only emptied."""
    if element is home:
        for name in list(element.attrib):
            del element.attrib[name]
        for child in list(element):
            element.remove(child)
        element.text = None
        return home
    parent, previous = element.getparent(), element.getprevious()
    if (element.tail or "").strip():
        if previous is None:
            parent.text = (parent.text or "") + element.tail
        else:
            previous.tail = (previous.tail or "") + element.tail
    parent.remove(element)
    return parent


def _strip(tree: etree._ElementTree) -> None:
    """White space that only indents does not count."""
    for element in tree.iter():
        if element.tail is not None and not element.tail.strip():
            element.tail = None
        if isinstance(element.tag, str) and not (element.text or "").strip():
            element.text = None
