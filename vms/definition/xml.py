"""Reading domain XML safely: no entities, no network, no DTD."""

from __future__ import annotations

from typing import Any

from lxml import etree

from vms.definition.sentences import say

#: libvirt's own limit for a string over the wire (REMOTE_STRING_MAX), in characters here
LARGEST = 4 * 2**20
# One for all: a parser is costly to make, and lxml locks it for whoever is parsing.
_PARSER = etree.XMLParser(
    encoding="utf-8",
    resolve_entities=False,
    no_network=True,
    load_dtd=False,
    huge_tree=False,
    strip_cdata=False,
    collect_ids=False,
)


class MalformedDefinition(ValueError):
    """Not the XML of a domain. ``line`` and ``column`` say where (from 1; 0 when it is no single place)."""

    def __init__(self, message: str, line: int = 0, column: int = 0) -> None:
        super().__init__(message)
        self.line, self.column = line, column


def parse(text: str) -> etree._Element:
    """The root element of a domain definition. Raises MalformedDefinition."""
    if len(text) > LARGEST:
        raise MalformedDefinition(say("More than %(most)s characters, which is more than libvirt takes.", most=LARGEST))
    try:
        root = etree.fromstring(text.encode(), _PARSER)
    except UnicodeEncodeError as error:
        raise MalformedDefinition(say("Half a character."), *_place(text, error.start)) from error
    except etree.XMLSyntaxError as error:
        raise MalformedDefinition(str(error), *_position(error)) from error
    if root.tag != "domain":
        raise MalformedDefinition(say("The root element is not <domain>."), _line(root))
    return root


def parse_to_edit(text: str) -> etree._Element:
    """Like ``parse``, and refuses a document type declaration too: libvirt writes none, and it could change what is read."""
    root = parse(text)
    if "<!DOCTYPE" in text and root.getroottree().docinfo.internalDTD is not None:
        raise MalformedDefinition(
            say("A document type declaration is not allowed."), *_place(text, text.find("<!DOCTYPE"))
        )
    return root


def _position(error: etree.XMLSyntaxError) -> tuple[int, int]:
    line, column = error.position
    return int(line), int(column)


def _line(element: etree._Element) -> int:
    line: Any = element.sourceline  # the stubs have no type for it
    return int(line or 0)


def _place(text: str, position: int) -> tuple[int, int]:
    """Line and column, from 1, of an offset."""
    return text.count("\n", 0, position) + 1, position - text.rfind("\n", 0, position)
