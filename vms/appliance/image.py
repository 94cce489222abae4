"""What a disk in an appliance really is, by its own first bytes, and whether it is complete in itself.

Formats of images can name other files: a VMDK its extents and its parent, a qcow2 what it lies on. Whoever converts such an
image reads those files, on the host and with its rights, into the new guest. Nothing of that is let through.
"""

from __future__ import annotations

import struct

from vms.appliance.errors import BadAppliance
from vms.definition.sentences import say

#: bytes from the beginning in which an image says what it lies on
HEAD = 2**20
SECTOR = 512
#: QEMU and libvirt look for the parent of a VMDK this far, whatever its header says
LEAST_LOOKED_AT = 64 * 1024
#: longest descriptor that QEMU reads
DESCRIPTOR_SECTORS = 20
#: beginnings of what is taken neither as a VMDK or qcow2 nor as the plain bytes of a disk
OTHERS = (
    (b"\x1f\x8b", "gzip"), (b"BZh", "bzip2"), (b"\xfd7zXZ", "xz"), (b"(\xb5/\xfd", "zstd"), (b"PK\x03\x04", "zip"), (b"COWD",
    "VMDK 3"),
    (b"conectix", "VHD"), (b"vhdxfile", "VHDX"), (b"<<< ", "VDI"), (b"QED\0", "QED"), (b"LUKS", "LUKS"), (b"OOOM", "UML COW"),
    (b"WithoutFreeSpace", "Parallels"), (b"WithouFreSpacExt", "Parallels"), (b"#!/bin/sh\n#V2.0", "cloop"),
    (b"Bochs Virtual HD", "Bochs"), (b"<?xml", "XML"),
)  # fmt: skip
DATA_FILE = 4


def format_of(head: bytes, name: str) -> str:
    """vmdk, qcow2 or raw. ``head``: its first :data:`HEAD` bytes. Raises BadAppliance for all else."""
    if head.startswith(b"KDMV"):
        _require_whole_vmdk(head, name)
        return "vmdk"
    if head.startswith(b"QFI\xfb"):
        _require_whole_qcow2(head, name)
        return "qcow2"
    if head.lstrip().lower().startswith(b"# disk descriptorfile"):
        raise BadAppliance(
            say("“%(name)s” is only a list of other files (a VMDK in parts): such disks are not taken.", name=name)
        )
    for beginning, form in OTHERS:
        if head.startswith(beginning):
            raise BadAppliance(
                say("“%(name)s” is a file of the format %(format)s, which is not taken.", name=name, format=form)
            )
    return "raw"


def _require_whole_vmdk(head: bytes, name: str) -> None:
    if len(head) < SECTOR:
        raise BadAppliance(say("“%(name)s” is too short for a disk.", name=name))
    _magic, _version, _flags, capacity, _grain, at, size = struct.unpack_from("<4sIIQQQQ", head)
    end = (at + max(size, DESCRIPTOR_SECTORS)) * SECTOR
    if capacity == 0 or end > HEAD:
        # Without a size of its own it is read as a list of other files, wherever they are.
        raise BadAppliance(say("“%(name)s” is no VMDK that is complete in itself.", name=name))
    if b"parentfilenamehint" in head[: max(end, LEAST_LOOKED_AT)].lower():
        raise BadAppliance(say("“%(name)s” lies on another file, which is not taken.", name=name))


def _require_whole_qcow2(head: bytes, name: str) -> None:
    if len(head) < 104:
        raise BadAppliance(say("“%(name)s” is too short for a disk.", name=name))
    (version,), (backing,), (crypt,) = (
        struct.unpack_from(">I", head, 4),
        struct.unpack_from(">Q", head, 8),
        struct.unpack_from(">I", head, 32),
    )
    (incompatible,) = struct.unpack_from(">Q", head, 72)
    if version not in (2, 3):
        raise BadAppliance(say("“%(name)s” is a qcow2 of an unknown version.", name=name))
    if backing or (version == 3 and incompatible & DATA_FILE):
        raise BadAppliance(say("“%(name)s” lies on another file, which is not taken.", name=name))
    if crypt:
        raise BadAppliance(say("“%(name)s” is encrypted.", name=name))
