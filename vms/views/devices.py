"""A guest's devices in tables, each kind with one line on what it is for."""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext_lazy as _

from hosts.models import User
from vms.models import VirtualMachine
from vms.views import hardware, parts
from vms.views.actions import busy_reason

#: elements with a table of their own
TABLES = ("disk", "interface", "graphics")

#: element of the definition → what it is for
PURPOSES: dict[str, Any] = {
    "audio": _("Where the sound of the guest's sound card goes."),
    "channel": _("A private line between host and guest; the guest agent talks over one."),
    "console": _("The text console that virsh console opens."),
    "controller": _("The bus that disks and other devices are plugged into."),
    "crypto": _("Lends the guest the host's cryptographic hardware."),
    "filesystem": _("A folder of the host that the guest can mount."),
    "hostdev": _("A device of the host handed to the guest; it ties the guest to its host."),
    "hub": _("A USB hub."),
    "input": _("Keyboard, mouse or tablet. A tablet keeps the pointer of a VNC console in step."),
    "iommu": _("Memory protection for devices, needed for nested pass-through."),
    "memballoon": _("Lets the host take memory back and tells how much the guest really uses."),
    "memory": _("A memory module that can be added and removed while the guest runs."),
    "panic": _("Tells the host when the guest's kernel has crashed."),
    "parallel": _("A parallel port."),
    "pstore": _("Keeps the kernel's last words through a crash."),
    "redirdev": _("A USB port that the viewer's own devices can be plugged into."),
    "rng": _("Feeds the guest randomness from the host, so that it boots and makes keys faster."),
    "serial": _("A serial port; the serial console reads it."),
    "shmem": _("Memory shared with other guests of the host."),
    "smartcard": _("A smart card reader."),
    "sound": _("A sound card."),
    "tpm": _("A security chip, as newer systems want one."),
    "video": _("The graphics card; without one there is no screen to show."),
    "vsock": _("Sockets between host and guest without a network."),
    "watchdog": _("Acts when the guest's system has stopped answering."),
}
UNKNOWN = _("kvmdash knows no more of it than its definition says.")


def context(vm: VirtualMachine, user: User) -> dict[str, Any]:
    """All devices; those without a table of their own are grouped by kind."""
    found = hardware.context(vm, user, busy_reason(parts.active(vm, user)))
    rows = found.pop("rows") or _as_told(vm)
    others: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        if row["tag"] not in TABLES:
            others.setdefault(str(row["tag"]), []).append(row)
    groups = [
        {"kind": kind, "purpose": PURPOSES.get(kind, UNKNOWN), "devices": others[kind]} for kind in sorted(others)
    ]
    addresses = parts.addresses_of(vm)
    nics = [{**row, "addresses": addresses.get(row["mac"], [])} for row in rows if row["tag"] == "interface"]
    return {
        "vm": vm,
        **found,
        "disks": [row for row in rows if row["tag"] == "disk"],
        "nics": nics,
        "screens": [row for row in rows if row["tag"] == "graphics"],
        "groups": groups,
    }


def _as_told(vm: VirtualMachine) -> list[dict[str, Any]]:
    """The devices by the guest's row, where its definition is not to be had: to read only."""
    known = (("disk", vm.disks), ("interface", vm.nics), ("graphics", vm.graphics))
    rows = [{**words, "tag": tag} for tag, several in known for words in several]
    return rows + [{**words, "tag": words.get("kind", "")} for words in vm.devices]


def count(vm: VirtualMachine) -> int:
    """How many there are."""
    return len(vm.disks) + len(vm.nics) + len(vm.graphics) + len(vm.devices)
