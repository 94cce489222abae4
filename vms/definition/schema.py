"""Checking a definition against libvirt's schema, which somebody else has read: nothing here touches files."""

from __future__ import annotations

from typing import NamedTuple

from lxml import etree

from vms.definition.xml import parse


class Finding(NamedTuple):
    """One thing that the schema does not allow, at ``line`` and ``column`` (0: unknown) in the element ``path``."""

    line: int
    column: int
    path: str
    message: str


def findings(schema: etree.RelaxNG, text: str) -> list[Finding]:
    """What the schema has against a definition; [] when it is valid. Raises MalformedDefinition."""
    if schema.validate(parse(text)):
        return []
    return [Finding(error.line, error.column, error.path or "", error.message) for error in schema.error_log]
