"""What a host has at hand for guests and what changes all the time: huge pages that are free, and which secrets libvirt keeps.

Of secrets only what they are called is asked, never what they hold.
"""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from typing import Any

import libvirt

from hosts.hypervisor.connection import Connection
from hosts.hypervisor.records import SecretName, Supply

#: of a secret: what it is for, in libvirt's own words
USES = ("none", "volume", "ceph", "iscsi", "tls", "vtpm")


def read_supply(connection: Connection) -> Supply:
    """As it is now; None stands for what the host's libvirt does not tell."""
    return connection.call(_read)


def _read(raw: libvirt.virConnect) -> Supply:
    return Supply(_free_pages(raw), _secrets(raw))


def _free_pages(raw: libvirt.virConnect) -> list[dict[str, Any]] | None:
    cells = ElementTree.fromstring(raw.getCapabilities()).findall("host/topology/cells/cell")
    found = []
    for cell in cells:
        number = int(cell.get("id", "0"))
        sizes = [int(page.get("size", "0")) for page in cell.findall("pages")]
        try:
            told = raw.getFreePages(sizes, number, 1, 0) if sizes else {}
        except libvirt.libvirtError as error:
            _raise_if_gone(raw, error)
            return None
        for size, count in told.get(number, {}).items():
            found.append({"cell": number, "size": int(size) * 1024, "free": int(count)})
    return found


def _raise_if_gone(raw: libvirt.virConnect, error: libvirt.libvirtError) -> None:
    """Of a host that is there: its driver, or its daemon for that, may not answer, and that counts as not known."""
    if not raw.isAlive():
        raise error


def _secrets(raw: libvirt.virConnect) -> list[SecretName] | None:
    try:
        known = [(one.UUIDString(), one.usageType(), one.usageID() or "") for one in raw.listAllSecrets(0)]
    except libvirt.libvirtError as error:
        _raise_if_gone(raw, error)
        return None
    return sorted(SecretName(uuid, USES[use] if 0 <= use < len(USES) else str(use), name) for uuid, use, name in known)
