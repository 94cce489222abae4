"""Tags and folder, kept in the guest's own ``<metadata>`` so that they travel with it (libvirt: formatdomain, metadata)."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from lxml import etree

NAMESPACE = "https://kvmdash.org/xmlns/1"
PREFIX = "kvmdash"
#: marks that are there or not
FLAGS = ("protected", "template")
_TAG = re.compile(r"^[\w][\w .:/+-]{0,39}\Z")
_FOLDER_PART = re.compile(r"^[\w][\w .+-]{0,59}\Z")


@dataclass(frozen=True, slots=True)
class OwnMetadata:
    """What we keep in a guest's metadata."""

    tags: list[str] = field(default_factory=list)
    folder: str = ""
    #: it may not be deleted
    protected: bool = False
    #: others are copied from it, and it is not started
    template: bool = False


def read(domain: etree._Element) -> OwnMetadata:
    """Ours out of a domain element; what is malformed is left out."""
    own = domain.find(f"metadata/{{{NAMESPACE}}}guest")
    if own is None:
        return OwnMetadata()
    tags = [(tag.text or "").strip() for tag in own.findall(f"{{{NAMESPACE}}}tag")]
    folder = (own.findtext(f"{{{NAMESPACE}}}folder") or "").strip()
    return OwnMetadata(
        tags=sorted({tag for tag in tags if _TAG.match(tag)}, key=str.lower),
        folder=folder if is_folder(folder) else "",
        protected=own.find(f"{{{NAMESPACE}}}protected") is not None,
        template=own.find(f"{{{NAMESPACE}}}template") is not None,
    )


def build(metadata: OwnMetadata) -> str:
    """The element for virDomainSetMetadata; '' when there is nothing to keep."""
    if metadata == OwnMetadata():
        return ""
    root = etree.Element("guest")
    if metadata.folder:
        etree.SubElement(root, "folder").text = metadata.folder
    for tag in metadata.tags:
        etree.SubElement(root, "tag").text = tag
    for name in FLAGS:
        if getattr(metadata, name):
            etree.SubElement(root, name)
    return etree.tostring(root, encoding="unicode")


def is_tag(text: str) -> bool:
    """Whether ``text`` will do as a tag: a word of up to 40 characters."""
    return bool(_TAG.match(text))


def is_folder(text: str) -> bool:
    """Whether ``text`` will do as a folder: '' or parts like 'shop/front', at most 200 characters."""
    return text == "" or (len(text) <= 200 and all(_FOLDER_PART.match(part) for part in text.split("/")))
