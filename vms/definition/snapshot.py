"""The XML of snapshots (libvirt: formatsnapshot), written and read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lxml import etree

from vms.definition.xml import MalformedDefinition

_PARSER = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False)


def build(name: str, description: str, disks: Mapping[str, str], memory_file: str | None = None) -> str:
    """The ``<domainsnapshot>`` to be taken.

    ``disks`` says for each target whether it is 'internal', 'external' or 'no' (left out). ``memory_file``: a path keeps the
    memory there, '' leaves the memory out, None leaves it to libvirt (kept with internal ones, as libvirt wants it).
    """
    root = etree.Element("domainsnapshot")
    etree.SubElement(root, "name").text = name
    if description:
        etree.SubElement(root, "description").text = description
    if memory_file is not None:
        memory = etree.SubElement(root, "memory", snapshot="external" if memory_file else "no")
        if memory_file:
            memory.set("file", memory_file)
    if disks:
        parent = etree.SubElement(root, "disks")
        for target, where in disks.items():
            etree.SubElement(parent, "disk", name=target, snapshot=where)
    return etree.tostring(root, encoding="unicode")


def read(text: str) -> dict[str, Any]:
    """Plain data of one snapshot: name, parent, created (Unix seconds), state, memory, disks [{target, where, file}], description.

    Raises MalformedDefinition.
    """
    root = _root(text)
    memory = root.find("memory")
    return {
        "name": (root.findtext("name") or "").strip(),
        "parent": (root.findtext("parent/name") or "").strip(),
        "created": _number(root.findtext("creationTime")),
        "state": (root.findtext("state") or "").strip(),
        "memory": memory.get("snapshot", "no") if memory is not None else "no",
        "disks": [_disk(disk) for disk in root.findall("disks/disk")],
        "description": (root.findtext("description") or "").strip(),
    }


def describe(text: str, description: str) -> str:
    """The same snapshot with another description; everything else is kept."""
    root = _root(text)
    element = root.find("description")
    if description:
        if element is None:
            element = etree.Element("description")
            name = root.find("name")
            root.insert(0 if name is None else root.index(name) + 1, element)
        element.text = description
    elif element is not None:
        root.remove(element)
    return etree.tostring(root, encoding="unicode")


def _root(text: str) -> etree._Element:
    try:
        root = etree.fromstring(text.encode(), _PARSER)
    except etree.XMLSyntaxError as error:
        raise MalformedDefinition(str(error)) from error
    if root.tag != "domainsnapshot":
        raise MalformedDefinition("The root element is not <domainsnapshot>.")
    return root


def _disk(disk: etree._Element) -> dict[str, str]:
    source = disk.find("source")
    return {
        "target": disk.get("name", ""),
        "where": disk.get("snapshot", ""),
        "file": source.get("file", "") if source is not None else "",
    }


def _number(text: str | None) -> int:
    try:
        return int(text or 0)
    except ValueError:
        return 0
