"""The VLANs of a card as one line of text: ``42``, or ``42 43`` for a trunk of several; and where a card can have any."""

from __future__ import annotations

import re
from typing import Any

from django.utils.translation import gettext as _

from hosts import network_tree, network_xml
from hosts.models import Host, Network
from vms.definition.devices.interface import Interface
from vms.definition.nodes import Node
from vms.definition.properties import Text
from vms.definition.sentences import say

PATH = "vlans"
_ONE = r"(?:[1-9][0-9]{0,2}|[1-3][0-9]{3}|40[0-8][0-9]|409[0-4])"
DECLARED = Text("vlan", rf"{_ONE}( {_ONE})*", say("Numbers from 1 to 4094 with spaces between them."))
DECLARED.name = PATH
#: what says where a card is connected, and how
CONNECTION = ("type", "source.network", "source.bridge", "source.mode", "virtualport.type")
#: the first libvirt that has VLANs on the kernel's own bridges
BRIDGES_SINCE = (11, 0, 0)


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


def why_not(card: Interface, host: Host) -> str:
    """Why a card that has VLANs would not start where it is connected; "" where it would, or where that is not known.

    libvirt stores such a card without a word and refuses to start the guest (https://libvirt.org/formatdomain.html, "Setting VLAN
    tag"): only ports of Open vSwitch, virtual functions and, since 11.0, the kernel's own bridges have them.
    """
    if not told(card) or card.virtualport.type == "openvswitch":
        return ""
    place = _place(card, host)
    if place in ("", "ovs", "sriov", "hostdev", "passthrough"):
        return ""
    if place == "bridge" and _version(host.libvirt_version) >= BRIDGES_SINCE:
        return ""
    return _(
        "libvirt of %(host)s has VLANs on Open vSwitch and SR-IOV only: with one here the guest would not start. Connect the card "
        "to a bridge or network that is in the VLAN itself."
    ) % {"host": host.name}


def _place(card: Interface, host: Host) -> str:
    """What the card is plugged into; "" where that is not known."""
    if card.type != "network":
        passthrough = card.type == "direct" and card.source.mode == "passthrough"
        return "passthrough" if passthrough else card.type or ""
    row = Network.objects.filter(host=host, name=card.source.network or "", absent_since=None).first()
    if row is None:
        return ""
    try:
        root = network_tree.parse(row.definition)
    except network_tree.Malformed:
        return ""
    if network_tree.get(root, "forward@mode") == "passthrough":
        return "passthrough"
    if root.find("portgroup/virtualport") is not None:
        return ""  # It may be that of the card's group.
    mode = network_xml.mode_of(root)
    return mode if mode in ("", "ovs", "sriov", "macvtap") else "bridge"


def _version(text: str) -> tuple[int, ...]:
    """A version that is not known counts as the newest: nothing is refused by guessing."""
    return tuple(int(number) for number in re.findall(r"[0-9]{1,6}", text)[:3]) or BRIDGES_SINCE
