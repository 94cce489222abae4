"""The VLANs of a card as one line of text: ``42``, or ``42 43`` for a trunk of several."""

from __future__ import annotations

from typing import Any

from vms.definition.nodes import Node
from vms.definition.properties import Text
from vms.definition.sentences import say

PATH = "vlans"
_ONE = r"(?:[1-9][0-9]{0,2}|[1-3][0-9]{3}|40[0-8][0-9]|409[0-4])"
DECLARED = Text("vlan", rf"{_ONE}( {_ONE})*", say("Numbers from 1 to 4094 with spaces between them."))
DECLARED.name = PATH


def in_order(text: Any) -> Any:
    """By number, each once; what is no text stays what it is."""
    if not isinstance(text, str):
        return text
    return " ".join(sorted(dict.fromkeys(text.split()), key=lambda one: (len(one), one))) or None


def told(node: Node) -> str | None:
    """What the card says; None for nothing."""
    text: str | None = in_order(" ".join(str(one.id) for one in node.vlan_tags))  # type: ignore[attr-defined]
    return text


def put(node: Node, text: str | None) -> None:
    """Write them; tags that are right already stay as they are."""
    wanted = [int(word) for word in (text or "").split()]
    if text == told(node):
        return
    rows = node.vlan_tags  # type: ignore[attr-defined]
    for row in list(rows):
        if row.id not in wanted:
            row.remove()
    there = {row.id for row in rows}
    for number in dict.fromkeys(wanted):
        if number not in there:
            rows.add({"id": number})
    # libvirt takes several for a trunk only when that is said.
    node.set("vlan_trunk", True if len(rows) > 1 else None)
    vlan = node.reach().find("vlan")
    if vlan is not None and not len(rows):
        node.reach().remove(vlan)
