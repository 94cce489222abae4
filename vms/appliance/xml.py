"""Reading descriptors: no entities, no network, no DTD, and names whatever version of the namespace they are in."""

from __future__ import annotations

from lxml import etree

from vms.appliance.errors import BadAppliance
from vms.definition.sentences import say

#: bytes of a descriptor: those with long licences have a fifth of a million
MOST_BYTES = 2 * 2**20
DOCTYPES = tuple("<!DOCTYPE".encode(code) for code in ("utf-8", "utf-16-le", "utf-16-be"))


def parse(data: bytes) -> etree._Element:
    """The root element. Raises BadAppliance."""
    if len(data) > MOST_BYTES:
        raise BadAppliance(say("Its descriptor is larger than any."))
    if any(word in data for word in DOCTYPES):
        # Refused before it is parsed: entities in attributes are put in whatever the parser is told.
        raise BadAppliance(say("Its descriptor has a document type declaration, which is not allowed."))
    parser = etree.XMLParser(
        resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False, remove_comments=True, remove_pis=True
    )
    try:
        root = etree.fromstring(data, parser)
    except (etree.XMLSyntaxError, ValueError) as error:
        raise BadAppliance(say("Its descriptor is no XML: %(error)s", error=str(error)[:200])) from None
    if root.getroottree().docinfo.internalDTD is not None:
        raise BadAppliance(say("Its descriptor has a document type declaration, which is not allowed."))
    return root


def local(element: etree._Element) -> str:
    """The name without its namespace."""
    return etree.QName(element).localname if isinstance(element.tag, str) else ""


def children(element: etree._Element, name: str) -> list[etree._Element]:
    """Those of that name."""
    return [one for one in element if local(one) == name]


def child(element: etree._Element, name: str) -> etree._Element | None:
    """The first of that name."""
    return next((one for one in element if local(one) == name), None)


def text_of(element: etree._Element | None) -> str:
    """Its own text."""
    return (element.text or "").strip() if element is not None else ""


def attribute(element: etree._Element, name: str) -> str:
    """Its attribute of that name, in whatever namespace; '' where there is none."""
    return next((str(value) for key, value in element.attrib.items() if etree.QName(key).localname == name), "")
