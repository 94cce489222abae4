"""A guest made from an appliance: what was read of it, what of that fits here, and the volumes that its disks become. Rows only."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from django.utils.translation import gettext as _

from hosts.models import Host, Operation, StorageVolume
from hosts.operations.storage_base import NotNow
from hosts.operations.volume_base import lock_of_volume
from vms.appliance.reading import Appliance, of_plain
from vms.creation import guessing, wanted
from vms.creation.domain import Drive
from vms.creation.hardware import Hardware
from vms.creation.osinfo import VIRTIO_BLOCK, VIRTIO_NET, Database, System
from vms.creation.plan import FILES, NewVolume
from vms.creation.sources import file_name, find_volume, pool_for

#: the kind of operation that reads one
READS = "volume-read-ova"
ROAD = "ova"
#: the models of cards that both worlds have
CARDS = {
    "e1000": "e1000",
    "e1000e": "e1000e",
    "virtio": "virtio",
    "82545em": "e1000",
    "82540em": "e1000",
    "82543gc": "e1000",
}


def reading_of(row: StorageVolume) -> Appliance:
    """What was read of the volume last. Raises NotNow when it was not, or has changed since."""
    reads = Operation.objects.filter(
        kind=READS, state=Operation.State.SUCCEEDED, subject_uuid=lock_of_volume(row.pool, row.name)
    )
    result = reads.order_by("-finished_at").values_list("result", flat=True).first()
    if result is None:
        raise NotNow("image", _("What is in %(name)s has not been read yet.") % {"name": row.name})
    if result["version"] != version_of(row):
        raise NotNow("image", _("%(name)s has changed since it was read; read it again.") % {"name": row.name})
    return of_plain(result["appliance"])


def version_of(row: StorageVolume) -> str:
    """By which a file is known again that somebody has put another one in the place of."""
    return f"{row.capacity} {row.modified.isoformat() if row.modified else ''}"


def find(host: Host, arguments: Mapping[str, Any]) -> tuple[StorageVolume, Appliance]:
    """The volume that was chosen, and what is in it. Raises NotNow."""
    if arguments.get("size"):
        raise NotNow("size", _("The disks of an appliance keep their sizes."))
    row = find_volume(host, arguments["image"], "image")
    return row, reading_of(row)


def hints(appliance: Appliance, system: System | None) -> dict[str, Any]:
    """What the appliance says of the hardware, as arguments; where it knows nothing that we have, the system decides."""
    found: dict[str, Any] = {"firmware": appliance.firmware}
    found |= {"vcpus": appliance.vcpus} if 1 <= appliance.vcpus <= wanted.MOST_VCPUS else {}
    found |= {"memory": appliance.memory} if wanted.LEAST_MEMORY <= appliance.memory <= wanted.MOST_MEMORY else {}
    bus = _bus(appliance, system)
    # What expects IDE boots where there is IDE.
    return found | {"bus": bus, "card": _card(appliance, system), "machine": "pc" if bus == "ide" else "q35"}


def _bus(appliance: Appliance, system: System | None) -> str:
    """A disk's bus is what a system looks for at its start: the same where we have it."""
    first = appliance.disks[0].bus if appliance.disks else ""
    if first == "ide" and appliance.firmware == "bios":
        return "ide"
    if first in ("sata", "ide"):
        return "sata"
    # The SCSI controllers of other makers are not here: virtio where the system has its driver, else what all know.
    return "virtio" if system is not None and system.devices & VIRTIO_BLOCK else "sata"


def _card(appliance: Appliance, system: System | None) -> str:
    model = appliance.cards[0].model.lower() if appliance.cards else ""
    if model in CARDS:
        return CARDS[model]
    return "virtio" if system is not None and system.devices & VIRTIO_NET else "e1000e"


def suggestion(appliance: Appliance, known: Database) -> dict[str, Any]:
    """What a form is filled in with, and what the API may be asked with."""
    preset = guessing.preset(appliance.systems, known)
    found = hints(appliance, known.systems.get(preset)) | {"name": guest_name(appliance.name)}
    return found | ({"preset": preset} if preset else {})


def guest_name(name: str) -> str:
    """The appliance's name as a guest may have it."""
    plain = re.sub(r"[^A-Za-z0-9_.+-]+", "-", name).lstrip(".+-")[:63].rstrip("-.+")
    return plain or "appliance"


def volumes(
    host: Host, arguments: Mapping[str, Any], row: StorageVolume, appliance: Appliance, hardware: Hardware
) -> tuple[list[NewVolume], list[tuple[str, Drive]]]:
    """A volume for each disk, in the order in which the guest has them. Raises NotNow."""
    pool = pool_for(host, arguments)
    if pool.type not in FILES:
        raise NotNow(
            "pool",
            _("Disks of appliances are unpacked into pools of files; this one is of type %(type)s.")
            % {"type": pool.type},
        )
    made: list[NewVolume] = []
    if any(not 0 < disk.capacity <= wanted.MOST_SIZE for disk in appliance.disks):
        raise NotNow("image", _("A disk of the appliance is larger than any."))
    for number, disk in enumerate(appliance.disks):
        key = "disk" if not number else f"disk-{number + 1}"
        name = file_name(arguments["name"], "" if not number else f"-{number + 1}", "qcow2")
        how = "unpack" if disk.file else "empty"
        made.append(NewVolume(key, pool, name, disk.capacity, "qcow2", how, row if disk.file else None, part=disk))
    return made, [(one.key, Drive("", "qcow2", "disk", hardware.bus)) for one in made]


def networks(arguments: Mapping[str, Any], appliance: Appliance) -> tuple[str, ...]:
    """The host's network of each of its cards; one that is plugged into nothing is left out. Raises NotNow."""
    chosen = arguments.get("networks") or {}
    names = {card.network for card in appliance.cards}
    for name in chosen:
        if name not in names:
            told = ", ".join(sorted(names)) or _("none")
            raise NotNow(
                "networks",
                _("The appliance has no network %(name)s, but: %(names)s.") % {"name": name[:60], "names": told},
            )
    usual = arguments.get("network", "")
    return tuple(found for card in appliance.cards if (found := chosen.get(card.network, usual)))
