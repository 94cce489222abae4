"""Every declared property of a definition, a value for each, and the places that an edit may touch."""

from __future__ import annotations

import random
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

from lxml import etree

from vms.definition.domain import Definition
from vms.definition.nodes import Node
from vms.definition.properties import Property
from vms.tests.definition.patterns import sample

HERE = Path(__file__).parent
CORPUS = {path.stem: path.read_bytes().decode() for path in sorted((HERE / "corpus").glob("*.xml"))}
SCHEMA = Path("/usr/share/libvirt/schemas/domain.rng")


@lru_cache(maxsize=1)
def schema() -> etree.RelaxNG:
    """libvirt's own schema for domains."""
    return etree.RelaxNG(etree.parse(str(SCHEMA)))


def nodes(node: Node, path: str = "") -> Iterator[tuple[str, Node]]:
    """This node and all below it, missing single ones too, each with its dotted path."""
    yield path, node
    for name in node.parts:
        yield from nodes(getattr(node, name), f"{path}.{name}" if path else name)
    for name in node.lists:
        for number, entry in enumerate(getattr(node, name)):
            yield from nodes(entry, f"{path}.{name}[#{number}]" if path else f"{name}[#{number}]")


def places(definition: Definition) -> Iterator[tuple[str, Property[Any]]]:
    """(dotted path, property) of everything that can be read."""
    for path, node in nodes(definition):
        for name, prop in node.properties.items():
            yield f"{path}.{name}" if path else name, prop


def title(prop: Property[Any]) -> str:
    """'disk.Driver.cache'"""
    return f"{prop.owner.__module__.rpartition('.')[2]}.{prop.owner.__name__}.{prop.name}"


def declared(kind: type[Node] = Definition, seen: set[type[Node]] | None = None) -> set[str]:
    """The title of every property that a definition has anywhere."""
    seen = set() if seen is None else seen
    if kind in seen:
        return set()
    seen.add(kind)
    own = {title(prop) for prop in kind.properties.values()}
    below = [part.kind for part in kind.parts.values()] + [many.kind for many in kind.lists.values()]
    return own.union(*(declared(inner, seen) for inner in below))


def values(prop: Property[Any]) -> list[Any]:
    """Values that may be written, the least and the largest among them."""
    if prop.form == "choice":
        return list(prop.choices)
    if prop.form in ("flag", "presence"):
        return [True, False]
    if prop.form == "integer":
        return [prop.minimum, min(prop.minimum + 7, prop.maximum), prop.maximum]
    if prop.form == "size":
        return [5 * 2**30, 12345]
    if prop.form == "words":
        return [list(prop.choices[:2]) or ["one", "two", "three"], list(prop.choices[1:2]) or ["other"], []]
    return [fitting(prop.pattern.pattern) if prop.pattern else "/some/words"]


@lru_cache(maxsize=256)
def fitting(pattern: str) -> str:
    """A text that fits a pattern, always the same one."""
    return sample(pattern, random.Random(pattern))
