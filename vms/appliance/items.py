"""The items of an appliance's hardware, of the size that it is set up in when nobody chooses."""

from __future__ import annotations

from dataclasses import dataclass

from lxml import etree

from vms.appliance.errors import BadAppliance
from vms.appliance.units import number
from vms.appliance.xml import attribute, child, children, local, text_of
from vms.definition.sentences import say

NAMES = ("Item", "StorageItem", "EthernetPortItem")
MOST_ITEMS = 500


@dataclass(frozen=True, slots=True)
class Item:
    """One resource, in the words of the CIM schema."""

    id: str
    type: str
    subtype: str
    name: str
    parent: str
    resource: str
    quantity: str
    units: str
    connection: str
    address: int

    @property
    def count(self) -> int | None:
        """The quantity as a number."""
        return number(self.quantity)


def items_of(root: etree._Element, hardware: etree._Element) -> tuple[list[Item], str]:
    """The items, and the size whose items they are; '' where there is only one."""
    rows = [one for one in hardware if local(one) in NAMES]
    if len(rows) > MOST_ITEMS:
        raise BadAppliance(say("Its descriptor names more than %(most)d devices.", most=MOST_ITEMS))
    size = _usual_size(root)
    found: dict[str, tuple[bool, Item]] = {}
    for number_, row in enumerate(rows):
        sizes = attribute(row, "configuration").split()
        if sizes and size not in sizes:
            continue
        item = _item(row)
        key = item.id or f"#{number_}"
        # One that is for this size alone counts before the one for all.
        if key not in found or (sizes and not found[key][0]):
            found[key] = (bool(sizes), item)
    return [item for _own, item in found.values()], size


def _usual_size(root: etree._Element) -> str:
    section = child(root, "DeploymentOptionSection")
    options = children(section, "Configuration") if section is not None else []
    usual = [one for one in options if attribute(one, "default").lower() in ("true", "1")]
    return attribute((usual or options)[0], "id") if options else ""


def _item(row: etree._Element) -> Item:
    def said(name: str) -> str:
        return text_of(child(row, name))

    return Item(
        id=said("InstanceID") or said("InstanceId"), type=said("ResourceType"), subtype=said("ResourceSubType"),
        name=said("ElementName") or said("Caption"), parent=said("Parent"), resource=said("HostResource"),
        quantity=said("VirtualQuantity"), units=said("AllocationUnits"), connection=said("Connection"),
        address=number(said("AddressOnParent")) or 0,
    )  # fmt: skip
