"""XML of volumes, built from checked plain data. lxml and nothing else."""

from __future__ import annotations

from lxml import etree


def volume(
    name: str, capacity: int, form: str, *, allocation: int = 0, backing_path: str = "", backing_format: str = ""
) -> str:
    """``<volume>``; sizes in bytes, ``form`` '' where the pool knows only one."""
    root = etree.Element("volume")
    etree.SubElement(root, "name").text = name
    etree.SubElement(root, "capacity", unit="bytes").text = str(capacity)
    etree.SubElement(root, "allocation", unit="bytes").text = str(allocation)
    if form:
        etree.SubElement(etree.SubElement(root, "target"), "format", type=form)
    if backing_path:
        backing = etree.SubElement(root, "backingStore")
        etree.SubElement(backing, "path").text = backing_path
        etree.SubElement(backing, "format", type=backing_format or "raw")
    return etree.tostring(root, encoding="unicode", pretty_print=True)
