"""Changes to a definition as plain data, and what is different between two definitions.

A change is a dictionary that can be stored as JSON:

    {"set": "devices.disks[vda].driver.cache", "to": "none"}
    {"add": "devices.interfaces", "with": {"source.network": "default", "model": "virtio"}}
    {"remove": "devices.disks[vdb]"}
"""

from __future__ import annotations

import difflib
import hashlib
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from lxml import etree

from vms.definition import tree
from vms.definition.compare import Difference, compare, losses
from vms.definition.domain import Definition
from vms.definition.nodes import Node, UnknownProperty
from vms.definition.xml import parse_to_edit

__all__ = ["Change", "Diff", "Difference", "apply", "apply_to", "diff", "digest", "lost"]

Change = Mapping[str, Any]


class Diff(NamedTuple):
    """``changes``: (path, before, after), None for what is not there; ``text``: a unified diff of both, indented alike."""

    changes: list[Difference]
    text: str


def apply(text: str, changes: Iterable[Change]) -> str:
    """The definition with these changes. Raises MalformedDefinition, UnknownProperty, InvalidValue; all or nothing."""
    definition = Definition.parse(text)
    for change in changes:
        apply_to(definition, change)
    return definition.to_xml()


def apply_to(definition: Definition, change: Change) -> Node | None:
    """Make one change; what was added is returned. Raises UnknownProperty, InvalidValue."""
    if "set" in change:
        definition.set(change["set"], change.get("to"))
        return None
    if "add" in change:
        home, name = definition.locate(change["add"])
        if name not in home.lists:
            raise UnknownProperty(change["add"])
        return getattr(home, name).add(change.get("with"))  # type: ignore[no-any-return]
    if "remove" in change:
        _remove(definition, change["remove"])
        return None
    raise UnknownProperty(f"{list(change)}: a change sets, adds or removes")


def _remove(definition: Definition, path: str) -> None:
    node, name = definition.locate(path)
    if name in node.properties:
        setattr(node, name, None)
    elif name:
        node.step(name, None).remove()
    else:
        node.remove()


def digest(text: str) -> str:
    """A hash of what a definition means. Raises MalformedDefinition.

    White space, quotes, comments, prefixes, and the order of elements of different names do not count.
    """
    pieces: list[str] = []
    _spell(parse_to_edit(text), pieces, as_is=False)
    return hashlib.sha256("".join(pieces).encode()).hexdigest()


def _spell(element: tree.Element, pieces: list[str], *, as_is: bool) -> None:
    """Characters that XML cannot hold mark where things begin and end; below ``<metadata>`` the order is the owner's."""
    pieces += ("\x01", element.tag)
    for name, value in sorted(tree.attributes(element)):
        pieces += ("\x02", name, "\x03", value)
    text = tree.get_text(element).strip()
    if text:
        pieces += ("\x04", text)
    children = [child for child in element if isinstance(child.tag, str)]
    as_is = as_is or element.tag == "metadata"
    for child in children if as_is else sorted(children, key=lambda child: child.tag):
        _spell(child, pieces, as_is=as_is)
    pieces.append("\x05")


def diff(old: str, new: str) -> Diff:
    """What ``new`` has that ``old`` has not, and the reverse. Raises MalformedDefinition."""
    before, after = parse_to_edit(old), parse_to_edit(new)
    changes = compare(before, after)
    lines = difflib.unified_diff(_lines(before), _lines(after), "before", "after", lineterm="")
    return Diff(changes, "\n".join(lines))


def _lines(root: tree.Element) -> list[str]:
    """The definition on lines of its own kind, however it was written. Changes the indentation of ``root``."""
    etree.indent(root, "  ")
    return etree.tostring(root, encoding="unicode").splitlines()


def lost(sent: str, got: str) -> list[Difference]:
    """What was in the definition that libvirt was sent, and is not in what it gave back. Raises MalformedDefinition.

    Order, changed values, and whatever belongs to one run of the guest (aliases, ports, labels that libvirt chose) are no loss.
    """
    return losses(parse_to_edit(sent), parse_to_edit(got))
