"""A guest's definition as it is to be on the target: other networks, and disks in other places. Pure."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping

from lxml import etree

from vms.definition.xml import parse_to_edit


class DoesNotFit(ValueError):
    """The definition has nothing of that name, or it cannot be changed so. ``field`` is networks or disks."""

    def __init__(self, field: str, name: str) -> None:
        super().__init__(name)
        self.field, self.name = field, name


def edited(text: str, networks: Mapping[str, str], folders: Mapping[str, str], *, collapse: bool = True) -> str:
    """``text`` with networks and bridges renamed, and the disks of ``folders`` (target → directory) lying there by their names.

    ``collapse``: a disk that is copied whole stands on no other image there. Raises DoesNotFit and MalformedDefinition.
    """
    root = parse_to_edit(text)
    for old, new in networks.items():
        _rename(root, old, new)
    for target, folder in folders.items():
        _put(root, target, folder, collapse=collapse)
    return etree.tostring(root, encoding="unicode")


def _rename(root: etree._Element, old: str, new: str) -> None:
    found = [
        (source, attribute)
        for source in root.iterfind("devices/interface/source")
        for attribute in ("network", "bridge")
        # The bridge of a network's interface is only what libvirt found it to be.
        if source.get(attribute) == old and not (attribute == "bridge" and source.get("network"))
    ]
    if not found:
        raise DoesNotFit("networks", old)
    for source, attribute in found:
        source.set(attribute, new)
        for noted in ("portid", "bridge") if attribute == "network" else ():
            if noted in source.attrib:
                del source.attrib[noted]


def _put(root: etree._Element, target: str, folder: str, *, collapse: bool) -> None:
    disk = next((one for one in root.iterfind("devices/disk") if _target_of(one) == target), None)
    source = disk.find("source") if disk is not None else None
    if disk is None or source is None or disk.get("type") != "file" or not source.get("file"):
        raise DoesNotFit("disks", target)
    source.set("file", posixpath.join(folder, posixpath.basename(source.get("file", ""))))
    if "index" in source.attrib:
        del source.attrib["index"]
    backing = disk.find("backingStore")
    if backing is not None and collapse:
        disk.remove(backing)


def _target_of(disk: etree._Element) -> str:
    target = disk.find("target")
    return str(target.get("dev", "")) if target is not None else ""
