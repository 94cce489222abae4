"""How the kinds that act on guests look: icon, a line for newcomers, whether they ask first, where they stand."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext_lazy

from vms.models import VirtualMachine
from vms.operations.base import GuestKind

PowerState = VirtualMachine.PowerState


@dataclass(frozen=True, slots=True)
class Look:
    """How a kind looks: icon, one line for people new to KVM, and whether it asks first (``asks``) or is dangerous."""

    icon: str = "bolt"
    hint: Any = ""
    asks: bool = False
    danger: bool = False


LOOKS: dict[str, Look] = {
    "start": Look(icon="player-play", hint=gettext_lazy("Boots it, or goes on from its saved memory.")),
    "shutdown": Look(
        icon="power",
        hint=gettext_lazy("Presses its power button: the guest's own system shuts down, if it listens."),
        asks=True,
    ),
    "reboot": Look(icon="reload", hint=gettext_lazy("Asks the guest's own system to restart."), asks=True),
    "suspend": Look(
        icon="player-pause", hint=gettext_lazy("Stops its processors. Memory stays in the host's RAM; nothing is lost.")
    ),
    "resume": Look(icon="player-play", hint=gettext_lazy("Lets its processors run on.")),
    "managed-save": Look(
        icon="device-floppy",
        hint=gettext_lazy("Writes its memory to the host's disk and stops it; the next start goes on from there."),
        asks=True,
    ),
    "managed-save-remove": Look(
        icon="eraser",
        hint=gettext_lazy("Throws the saved memory away: the next start boots from disk, as after a power cut."),
        danger=True,
    ),
    "migrate": Look(
        icon="arrows-right-left",
        hint=gettext_lazy("Moves it to another host; a guest that runs is not stopped for it."),
    ),
    "tidy": Look(
        icon="trash",
        hint=gettext_lazy("Removes the definitions and the copied disks that moves of it have left on other hosts."),
        asks=True,
    ),
    "autostart": Look(icon="repeat", hint=gettext_lazy("Whether the host starts it when the host itself boots.")),
    "set-metadata": Look(
        icon="edit", hint=gettext_lazy("Title, description, tags and folder; kept in its own definition.")
    ),
    "snapshot-create": Look(icon="camera-plus", hint=gettext_lazy("A state to go back to. It is no backup.")),
    "snapshot-describe": Look(icon="edit", hint=gettext_lazy("Why it was taken; its data is not touched.")),
    "snapshot-revert": Look(
        icon="arrow-back-up", hint=gettext_lazy("Makes the guest what it was when the snapshot was taken."), danger=True
    ),
    "snapshot-delete": Look(
        icon="trash",
        hint=gettext_lazy("The guest stays as it is; what the snapshot holds is merged into what stands on it."),
        danger=True,
    ),
    "protect": Look(
        icon="lock", hint=gettext_lazy("A protected guest is not deleted before the protection is taken away.")
    ),
    "template": Look(
        icon="template", hint=gettext_lazy("Others are copied from a template; it is not started by mistake.")
    ),
    "vcpus": Look(icon="cpu", hint=gettext_lazy("How many processors it has, and has room for.")),
    "memory": Look(icon="cpu-2", hint=gettext_lazy("How much memory it has, and has room for.")),
    "boot-order": Look(
        icon="list-numbers", hint=gettext_lazy("What it tries to boot from, in which order; from its next boot on.")
    ),
    "restart": Look(
        icon="refresh",
        hint=gettext_lazy(
            "Its own system shuts down, then it is started with all that waits. When it does not obey, nothing is forced."
        ),
        asks=True,
    ),
    "media": Look(icon="disc", hint=gettext_lazy("What is in its drive: an installer, drivers, or nothing.")),
    "block-copy": Look(
        icon="arrows-exchange",
        hint=gettext_lazy("Copies the disk to another pool while the guest runs on, and has it go on there."),
    ),
    "block-resize": Look(
        icon="arrows-maximize", hint=gettext_lazy("Makes the disk larger; a guest that runs sees it at once.")
    ),
    "guest-info": Look(icon="message-question", hint=gettext_lazy("Asks the agent what only the guest can know.")),
    "set-user-password": Look(
        icon="key",
        hint=gettext_lazy("Gives a user of the guest's own system another password; kvmdash does not keep it."),
    ),
    "fs-freeze": Look(
        icon="snowflake",
        hint=gettext_lazy(
            "Holds its file systems still, so that its disks can be copied from outside; programs that write wait meanwhile."
        ),
    ),
    "fs-thaw": Look(icon="flame", hint=gettext_lazy("Lets file systems go on that somebody else holds still.")),
    "fs-trim": Look(
        icon="scissors", hint=gettext_lazy("Gives space that its file systems do not use back to thin volumes.")
    ),
    "device-add": Look(
        icon="plug-connected", hint=gettext_lazy("Plugged in at once where QEMU can, else at the next boot.")
    ),
    "device-change": Look(
        icon="adjustments", hint=gettext_lazy("What QEMU takes at once is there at once, the rest at the next boot.")
    ),
    "device-remove": Look(
        icon="trash",
        hint=gettext_lazy("The guest is asked to let go of it. The image of a disk stays where it is."),
        danger=True,
    ),
    "define": Look(
        icon="code", hint=gettext_lazy("Stores its definition as XML; a guest that runs has it after its next boot.")
    ),
    "reset": Look(
        icon="rotate-clockwise",
        hint=gettext_lazy("The reset button: starts over at once; what is not on disk is lost."),
        danger=True,
    ),
    "destroy": Look(
        icon="plug-off",
        hint=gettext_lazy("Pulls its plug: stops at once; what is not on disk is lost. Nothing is deleted."),
        danger=True,
    ),
    "undefine": Look(
        icon="trash",
        hint=gettext_lazy("Deletes its definition, and those of its disks that you choose. It cannot be undone."),
        danger=True,
    ),
}
#: what stands in the page's head for each state; the first one is the page's main button
MAIN: dict[str, tuple[str, ...]] = {
    PowerState.RUNNING: ("shutdown", "migrate"),
    PowerState.MIGRATING: ("migrate",),
    PowerState.PAUSED: ("resume", "migrate"),
    PowerState.PMSUSPENDED: ("resume",),
    PowerState.SHUTOFF: ("start",),
    PowerState.CRASHED: ("start",),
}
ORDER = [*LOOKS]
BULK_MAIN = ("start", "shutdown", "migrate")


def look_of(kind: GuestKind) -> Look:
    """How the kind looks; a kind nobody drew yet may say ``hint`` and ``danger`` itself."""
    return LOOKS.get(kind.name) or Look(hint=getattr(kind, "hint", ""), danger=getattr(kind, "danger", False))
