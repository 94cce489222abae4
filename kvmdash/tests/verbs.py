"""What each verb on a guest cannot do without: arguments, and a guest to which it makes sense."""

from __future__ import annotations

from typing import Any

from hosts.models import Host
from hosts.operations.kind import registry
from kvmdash.tests.cluster import DEFINITION, VM1, VM3
from vms.history import meaning
from vms.models import Sighting, VirtualMachine
from vms.operations.base import GuestKind

WEB1 = f"<domain type='qemu'><name>web1</name><uuid>{VM1}</uuid><title>t</title></domain>"
DEFINE = {"definition": WEB1, "base": meaning("inactive", DEFINITION.format(name="web1"))}
#: kinds that act on a device of the guest
HARDWARE = ("device-add", "device-change", "device-remove", "media", "boot-order")
DRIVE = (
    "<devices><disk type='file' device='cdrom'><source file='/a.iso'/><target dev='sda' bus='sata'/></disk></devices>"
)
#: kind → arguments
ARGUMENTS: dict[str, Any] = {
    "block-copy": {"target": "vda", "pool": "images", "name": "copy.qcow2", "format": "qcow2"},
    "block-resize": {"target": "vda", "capacity": 2**31},
    "define": DEFINE,
    "media": {"device": "disks[sda]", "source": ""},
    "memory": {"memory": 2**26, "maximum": 2**26},
    "boot-order": {"devices": ["disks[sda]"]},
    "device-add": {"type": "watchdog", "set": {"action": "reset"}},
    "device-change": {"device": "disks[sda]", "set": {"target.bus": "scsi"}},
    "device-remove": {"device": "disks[sda]"},
    "migrate": {"host": "kvm2"},
    "protect": {"enabled": True},
    "set-metadata": {"title": "t"},
    "set-user-password": {"user": "root", "password": "geheim"},
    "snapshot-create": {"name": "new", "memory": True},
    "snapshot-delete": {"name": "old"},
    "snapshot-describe": {"name": "old", "description": "d"},
    "snapshot-revert": {"name": "old"},
    "template": {"enabled": False},
    "undefine": {"confirm": "web1", "force": True},
    "vcpus": {"count": 1},
}


def ready_for(name: str) -> None:
    """Two guests in a state in which the kind makes sense."""
    kind = registry[name]
    needs = kind.needs if isinstance(kind, GuestKind) else ()
    VirtualMachine.objects.update(power_state=needs[0] if needs else "running", managed_save=name.endswith("-remove"))
    if name in HARDWARE:
        text = DEFINITION.format(name="web1").replace("<devices/>", DRIVE)
        Sighting.objects.update(live_definition=text, inactive_definition=text, version=None)
    if name.startswith(("fs-", "guest-")) or name == "set-user-password":
        channel = {"kind": "channel", "model": "", "text": "unix name=org.qemu.guest_agent.0 state=connected"}
        VirtualMachine.objects.update(devices=[channel], agent_connected=True)
    if name.startswith("block-"):
        disk = {"device": "disk", "readonly": False, "shareable": False, "format": "qcow2", "type": "file"}
        VirtualMachine.objects.update(
            disks=[{**disk, "target": "vda", "source": "/elsewhere/d.qcow2", "bus": "virtio"}]
        )
    if name == "tidy":
        for sighting in Sighting.objects.filter(vm__uuid__in=[VM1, VM3]).select_related("vm", "host"):
            other = Host.objects.exclude(pk=sighting.host_id).filter(state="connected").first()
            facts = {"name": sighting.name, "seen_at": sighting.seen_at, "persistent": True}
            Sighting.objects.create(vm=sighting.vm, host=other, power_state="shutoff", **facts)
    if name.startswith("snapshot-"):
        disk = {"device": "disk", "readonly": False, "format": "qcow2", "type": "file", "target": "vda", "source": "/d"}
        old = {"name": "old", "parent": "", "created": 1, "state": "shutoff", "memory": "no", "description": ""}
        VirtualMachine.objects.update(disks=[disk])
        Sighting.objects.update(snapshots=[{**old, "current": True, "disks": [{"target": "vda", "where": "internal"}]}])
