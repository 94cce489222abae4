"""The ``<disk>`` that says where a copy of a disk goes (libvirt: virDomainBlockCopy)."""

from __future__ import annotations

from lxml import etree

from vms.definition.domain import Definition
from vms.definition.xml import parse


def destination(path: str, form: str, *, device: bool) -> str:
    """A ``<disk>`` of the image at ``path``; ``device``: it is a block device, not a file."""
    disk = etree.Element("disk", type="block" if device else "file")
    etree.SubElement(disk, "source", {"dev" if device else "file": path})
    etree.SubElement(disk, "driver", type=form)
    return etree.tostring(disk, encoding="unicode")


def is_ready(definition: str, target: str) -> bool:
    """Whether the copy of the disk called ``target`` is whole, and kept so: the guest can go on with it."""
    for disk in parse(definition).iterfind("devices/disk"):
        named, mirror = disk.find("target"), disk.find("mirror")
        if named is not None and named.get("dev") == target:
            return mirror is not None and mirror.get("ready") == "yes"
    return False


def moved(definition: str, target: str, path: str, form: str, *, device: bool) -> str:
    """The definition with the disk called ``target`` on the image at ``path``. Raises KeyError when it has no such disk."""
    domain = Definition.parse(definition)
    disk = next((disk for disk in domain.devices.disks if disk.target.dev == target), None)
    if disk is None:
        raise KeyError(target)
    disk.eject()
    disk.type = "block" if device else "file"
    if device:
        disk.source.dev = path
    else:
        disk.source.file = path
    disk.driver.format = form
    return domain.to_xml()
