"""Reading domain XML safely: no entities, no network, no DTD."""

from __future__ import annotations

from lxml import etree


class MalformedDefinition(ValueError):
    """Not the XML of a domain."""


def parse(text: str) -> etree._Element:
    """The root element of a domain definition. Raises MalformedDefinition."""
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False)
    try:
        root = etree.fromstring(text.encode(), parser)
    except etree.XMLSyntaxError as error:
        raise MalformedDefinition(str(error)) from error
    if root.tag != "domain":
        raise MalformedDefinition("The root element is not <domain>.")
    return root
