"""The devices that can be added, changed and removed: how each is called, what it is for, and what QEMU does while it runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from django.utils.translation import gettext_lazy as _

from vms.definition.devices import Devices
from vms.definition.devices.interface import Interface
from vms.definition.nodes import Node, UnknownProperty, split
from vms.definition.place import Property
from vms.hardware import fields, parameters, vlans
from vms.hardware.fields import Field

#: secrets never stand in arguments
SECRETS = frozenset({"password"})
Plug = tuple[str, tuple[str, ...]] | bool


@dataclass(frozen=True, slots=True)
class Type:
    """A type of device by libvirt's word for it.

    ``home``: its list (or, where there is one at most, its part) in :class:`Devices`. ``plug``: whether QEMU plugs it in and
    out while the guest runs; (path, values) when that depends on what it says. ``born``: what a new one has besides.
    """

    name: str
    home: str
    label: Any
    fields: tuple[Field, ...]
    icon: str = ""
    plug: Plug = False
    host: bool = False
    born: Mapping[str, Any] = field(default_factory=dict)
    removable: bool = True

    @property
    def is_single(self) -> bool:
        """Whether a guest has one at most."""
        return self.home in Devices.parts

    @property
    def node(self) -> type[Node]:
        """The class that describes it."""
        return Devices.parts[self.home].kind if self.is_single else Devices.lists[self.home].kind

    def field(self, path: str) -> Field | None:
        """What is asked at that path, if it is."""
        return next((one for one in self.fields if one.path == path), None)

    def plugs(self, said: Mapping[str, Any]) -> bool:
        """Whether one that says this can be plugged in and out."""
        return self.plug if isinstance(self.plug, bool) else str(said.get(self.plug[0]) or "") in self.plug[1]


_HOT = ("target.bus", ("virtio", "scsi", "usb"))
TYPES = {
    one.name: one
    for one in (
        Type("disk", "disks", _("Disk"), fields.DISK, icon="database", plug=_HOT),
        Type("cdrom", "cdroms", _("CD-ROM drive"), fields.DRIVE, icon="disc", plug=("target.bus", ("scsi", "usb"))),
        Type("floppy", "floppies", _("Floppy drive"), fields.FLOPPY, icon="device-floppy"),
        Type("interface", "interfaces", _("Network card"), fields.INTERFACE, icon="network", plug=True),
        Type("graphics", "graphics", _("Screen server"), fields.GRAPHICS, icon="device-desktop"),
        Type("video", "videos", _("Graphics card"), fields.VIDEO, icon="device-tv"),
        Type("serial", "serials", _("Serial port"), fields.SERIAL, icon="plug",
             plug=("target", ("pci-serial", "usb-serial"))),
        Type("console", "consoles", _("Text console"), fields.CONSOLE, icon="terminal-2", plug=("target", ("virtio",))),
        Type("channel", "channels", _("Channel"), fields.CHANNEL, icon="arrows-left-right", plug=True, born={"target": "virtio"}),
        Type("input", "inputs", _("Input device"), fields.INPUT, icon="mouse", plug=("bus", ("usb", "virtio"))),
        Type("hostdev", "host_devices", _("Device of the host"), fields.HOSTDEV, icon="server", plug=True, host=True),
        Type("controller", "controllers", _("Controller"), fields.CONTROLLER, icon="circuit-switch-closed",
             plug=("type", ("scsi",))),
        Type("tpm", "tpms", _("TPM"), fields.TPM, icon="shield-lock"),
        Type("rng", "rngs", _("Random numbers"), fields.RNG, icon="arrows-shuffle", plug=True),
        Type("watchdog", "watchdogs", _("Watchdog"), fields.WATCHDOG, icon="dog", plug=("model", ("i6300esb",))),
        Type("memballoon", "balloon", _("Memory balloon"), fields.BALLOON, icon="balloon", removable=False),
        Type("sound", "sounds", _("Sound card"), fields.SOUND, icon="volume"),
        Type("filesystem", "filesystems", _("Shared folder"), fields.FILESYSTEM, icon="folder-share", host=True,
             plug=("driver.type", ("virtiofs",))),
        Type("vsock", "vsock", _("vsock"), fields.VSOCK, icon="plug-connected", plug=True, born={"model": "virtio"}),
        Type("panic", "panics", _("Panic device"), fields.PANIC, icon="alert-triangle"),
        Type("iommu", "iommu", _("IOMMU"), fields.IOMMU, icon="shield"),
        Type("memory", "memory_modules", _("Memory module"), fields.MEMORY, icon="cpu-2", plug=True),
    )
}  # fmt: skip
_BY_HOME = {one.home: one for one in TYPES.values() if one.name not in ("cdrom", "floppy")}


def type_of(path: str, node: Node | None = None) -> Type | None:
    """The type of a device by its path ('disks[vda]', 'balloon'); drives are told from disks by the ``node``."""
    home = split(path)[0][0]
    found = _BY_HOME.get(home)
    if found is not None and found.name == "disk" and node is not None:
        return TYPES.get(str(node.get("device")), found)
    return found


def property_at(kind: type[Node], path: str) -> Property[Any]:
    """The declared property at a dotted path below a device. Raises UnknownProperty."""
    if path in (parameters.PATH, vlans.PATH) and issubclass(kind, Interface):
        return parameters.DECLARED if path == parameters.PATH else vlans.DECLARED
    *way, (last, key) = split(path)
    for name, place in way:
        inner: Any = kind.parts.get(name) if place is None else kind.lists.get(name)
        if inner is None:
            raise UnknownProperty(path)
        kind = inner.kind
    if key is not None or last not in kind.properties:
        raise UnknownProperty(path)
    return kind.properties[last]
