"""The values that a network filter is given by a card: ``IP=192.0.2.7 DHCPSERVER=192.0.2.1``, as one line of text.

A name may have several values, one after the other. libvirt keeps them by name, so that is the order in which they are told.
"""

from __future__ import annotations

from typing import Any

from vms.definition.nodes import Node
from vms.definition.place import InvalidValue
from vms.definition.properties import Text
from vms.definition.sentences import say

PATH = "filter_parameters"
_ONE = r"[a-zA-Z0-9_]{1,64}=[a-zA-Z0-9_.:]{1,255}"
DECLARED = Text(
    "filterref", rf"{_ONE}( {_ONE})*", say("Names and values with spaces between them, such as IP=192.0.2.7.")
)
DECLARED.name = PATH


def in_order(text: Any) -> Any:
    """By name; what is no text stays what it is."""
    if not isinstance(text, str):
        return text
    return " ".join(sorted(text.split(), key=lambda one: one.partition("=")[0])) or None


def told(node: Node) -> str | None:
    """What the card says; None for nothing."""
    found = [f"{one.name}={one.value}" for one in node.filter_parameters]  # type: ignore[attr-defined]
    text: str | None = in_order(" ".join(found))
    return text


def put(node: Node, text: str | None) -> None:
    """Write them; elements that are right already stay as they are. Raises InvalidValue."""
    wanted = [one.partition("=")[::2] for one in (text or "").split()]
    if text == told(node):
        return
    if wanted and not node.get("filter"):
        raise InvalidValue(PATH, say("They are for a filter: choose one."))
    rows = node.filter_parameters  # type: ignore[attr-defined]
    for row in list(rows)[len(wanted) :]:
        row.remove()
    for row, (name, value) in zip(list(rows), wanted, strict=False):
        row.update({"name": name, "value": value})
    for name, value in wanted[len(rows) :]:
        rows.add({"name": name, "value": value})
