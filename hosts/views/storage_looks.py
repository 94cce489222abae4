"""How kinds that act on storage look: icon, one line for newcomers, and whether they can lose something."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext_lazy as _


@dataclass(frozen=True, slots=True)
class Look:
    """How a kind looks."""

    icon: str = "bolt"
    hint: Any = ""
    danger: bool = False


LOOKS: dict[str, Look] = {
    "pool-start": Look(
        icon="player-play", hint=_("Mounts it, logs in or activates it, so that its volumes can be used.")
    ),
    "pool-stop": Look(
        icon="player-stop",
        hint=_("Unmounts it, logs out or deactivates it. What lies in it stays; guests without it do not start."),
        danger=True,
    ),
    "pool-refresh": Look(
        icon="refresh", hint=_("libvirt looks again what lies in it: also what was copied there without it.")
    ),
    "pool-autostart": Look(icon="repeat", hint=_("Whether the host starts it when it boots itself.")),
    "pool-delete": Look(
        icon="trash", hint=_("The host forgets the pool. What lies in it stays, unless you say otherwise."), danger=True
    ),
    "network-start": Look(
        icon="player-play", hint=_("Makes its bridge, its firewall rules, and answers DHCP and DNS.")
    ),
    "network-stop": Look(
        icon="player-stop", hint=_("Takes its bridge down. Guests that are connected to it are cut off."), danger=True
    ),
    "network-autostart": Look(icon="repeat", hint=_("Whether the host starts it when it boots itself.")),
    "network-update": Look(
        icon="pencil", hint=_("Takes effect at once where the network is on, and stays for later starts.")
    ),
    "network-delete": Look(
        icon="trash", hint=_("Stops it, and the host forgets its definition. Nothing of it is kept."), danger=True
    ),
    "filter-delete": Look(icon="trash", hint=_("The host forgets the filter."), danger=True),
    "volume-create": Look(icon="plus", hint=_("A disk image, or a device of the pool.")),
    "volume-upload": Look(
        icon="upload",
        hint=_("An ISO or a disk image from this computer, straight into the pool. It may break off and go on."),
    ),
    "volume-fetch": Look(
        icon="world-download", hint=_("An ISO or a disk image from a web server, straight into the pool, and checked.")
    ),
    "volume-clone": Look(icon="copy", hint=_("Copies it whole; the copy does not need the original.")),
    "volume-resize": Look(
        icon="arrows-horizontal", hint=_("Changes what the guest sees. Only while no running guest has it open.")
    ),
    "volume-wipe": Look(
        icon="eraser", hint=_("Overwrites it: what was in it cannot be read any more. It stays, empty."), danger=True
    ),
    "volume-delete": Look(icon="trash", hint=_("Deletes it and what is in it, for good."), danger=True),
}


def look_of(kind: str) -> Look:
    """How the kind looks."""
    return LOOKS.get(kind, Look())
