"""Which networks, bridges and devices of the host a domain's network cards name, and which filters."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from lxml import etree

from vms.definition.summary import children

#: attributes of ``<source>`` that say what a card is connected to
SOURCES = ("network", "bridge", "dev")


@dataclass(frozen=True, slots=True)
class Card:
    """One network card. ``source`` is a network, a bridge or a device, as ``type`` says."""

    type: str = ""
    source: str = ""
    portgroup: str = ""
    mac: str = ""
    model: str = ""
    target: str = ""
    filter: str = ""


def cards_of(domains: Iterable[etree._Element]) -> list[Card]:
    """The cards of one domain's definitions, first as it runs and then as it will start, each once."""
    found: dict[Card, Card] = {}
    for domain in domains:
        for devices in (part for part in domain if part.tag == "devices"):
            for device in devices:
                if device.tag == "interface":
                    card = _card(device)
                    # Only a card that runs has a device on the host.
                    found.setdefault(replace(card, target=""), card)
    return list(found.values())


def _card(element: etree._Element) -> Card:
    parts = children(element)

    def said(part: str, name: str) -> str:
        return str(parts[part].get(name, "")) if part in parts else ""

    return Card(
        type=str(element.get("type", "")),
        source=next((value for name in SOURCES if (value := said("source", name))), ""),
        portgroup=said("source", "portgroup"),
        mac=said("mac", "address").lower(),
        model=said("model", "type"),
        target=said("target", "dev"),
        filter=said("filterref", "filter"),
    )
