"""Plug a device in: into the running guest where QEMU can, and into the definition that it boots with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from hosts.hypervisor.errors import Failed
from hosts.hypervisor.sentences import say
from hosts.models import Operation
from hosts.operations.kind import InvalidArguments, Subject
from hosts.operations.storage_base import NotNow
from hosts.operations.task import Task
from vms.definition.devices import Devices
from vms.definition.devices.disk import Disk
from vms.definition.devices.interface import fresh_mac
from vms.definition.domain import Definition
from vms.definition.nodes import Node
from vms.definition.place import InvalidValue
from vms.hardware import editing, images
from vms.hardware.catalogue import TYPES, Type
from vms.models import VirtualMachine
from vms.operations.devices import device_command, edit_command, is_line, read_values, refuse_vlans, touches_host
from vms.operations.hardware import HardwareKind, Now, Step, seen
from vms.operations.new_volume import NewVolume

#: types of devices that hold an image
IMAGES = ("disk", "cdrom", "floppy")
#: what virsh attach-device does not store, so that one edits
_NOT_STORED = ("graphics", "video", "tpm", "panic", "iommu", "memballoon")


class DeviceAdd(HardwareKind):
    """Add a device of ``type`` (libvirt's word) that says what ``set`` has: values by path, such as {"model": "virtio"}.

    Disks and drives: ``source`` is a volume's path, or pool/volume; ``new_volume`` ({"pool", "name", "capacity", "format"})
    makes one first.
    """

    name = "device-add"
    label = gettext_lazy("Add device")
    verb = "vm.hardware"
    fields = ("type", "set", "source", "new_volume")

    def cleaned(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        type_ = TYPES.get(str(arguments.get("type")))
        if type_ is None:
            raise InvalidArguments("type", _("Say %(words)s.") % {"words": ", ".join(TYPES)})
        values = read_values("set", arguments.get("set") or {}, type_)
        cleaned: dict[str, Any] = {"type": type_.name, "set": values}
        source = arguments.get("source") or ""
        if not isinstance(source, str) or not is_line(source) or (source and "/" not in source) or len(source) > 2000:
            raise InvalidArguments("source", _("The path of an image, or pool/volume."))
        if arguments.get("new_volume"):
            cleaned["new_volume"] = NewVolume.cleaned(arguments["new_volume"])
        if (source or "new_volume" in cleaned) and type_.name not in IMAGES:
            raise NotNow("source", _("Only disks and drives have an image."))
        if type_.name == "disk" and bool(source) == ("new_volume" in cleaned):
            raise NotNow("source", _("A disk has one image: one that is there, or a new one."))
        return cleaned | ({"source": source} if source else {})

    def settle(self, vm: VirtualMachine, arguments: dict[str, Any]) -> None:
        """Decide what was left open, once for the running guest and its definition: name, MAC address, format."""
        type_, values, now = TYPES[arguments["type"]], arguments["set"], seen(vm)
        there = [Definition.parse(text).devices for text in (now.live, now.config) if text]
        first = {one.path: one.first for one in type_.fields if one.required and one.first}
        for path, value in first.items():
            values.setdefault(path, value)
        if type_.name in IMAGES:
            values.setdefault("target.bus", type_.fields[0].first)
            taken = {disk.target.dev for devices in there for disk in devices.disks}
            if not values.get("target.dev"):
                values["target.dev"] = editing.free_target(values["target.bus"], taken)
        if type_.name == "interface" and not values.get("mac"):
            values["mac"] = fresh_mac(card.mac or "" for devices in there for card in devices.interfaces)
        if type_.name == "controller" and "index" not in values:
            values["index"] = _next_index(there, values.get("type"))
        if type_.name == "disk" and "driver.format" not in values:
            volume = images.volume_at(vm, arguments.get("source", ""))
            values["driver.format"] = (
                arguments["new_volume"]["format"] if "new_volume" in arguments else images.format_of(volume)
            )

    def check(self, subject: Subject, arguments: dict[str, Any]) -> None:
        vm: VirtualMachine = subject.row
        self.settle(vm, arguments)
        super().check(subject, arguments)
        if "new_volume" in arguments:
            NewVolume(vm, arguments["new_volume"]).check()
        elif arguments["type"] == "disk":
            images.refuse_used(vm, arguments["source"], arguments["set"])

    def refuse_misfit(self, vm: VirtualMachine, definition: str, arguments: Mapping[str, Any]) -> None:
        if arguments["type"] == "interface":
            refuse_vlans(vm, definition, f"interfaces[{arguments['set']['mac']}]", arguments["set"])

    def effect(self, subject: Subject, arguments: Mapping[str, Any]) -> list[str]:
        settled = {**arguments, "set": dict(arguments["set"])}
        self.settle(subject.row, settled)
        return super().effect(subject, settled)

    def virsh(self, subject: Subject, arguments: dict[str, Any]) -> str:
        self.settle(subject.row, arguments)
        command = super().virsh(subject, arguments)
        if "new_volume" not in arguments:
            return command
        return f"{NewVolume(subject.row, arguments['new_volume']).virsh()}\n{command}"

    def steps(self, now: Now, arguments: Mapping[str, Any]) -> list[Step]:
        type_ = TYPES[arguments["type"]]
        live = Definition.parse(now.live)
        if not self._plugs(live, arguments):
            if arguments["affect"] == "live":
                raise InvalidValue("type", say("QEMU cannot plug this in while the guest runs."))
            return []
        node = make(live, type_, arguments)
        text = editing.xml(node)
        return [Step(called(type_, node), lambda _task, hardware: hardware.attach(text))]

    def _plugs(self, live: Definition, arguments: Mapping[str, Any]) -> bool:
        type_, values = TYPES[arguments["type"]], arguments["set"]
        said = {**{one.path: one.first for one in type_.fields}, **type_.born, **values}
        if type_.name == "filesystem" and live.memory_backing.access != "shared":
            return False
        return type_.plugs(said)

    def edit(self, config: str, arguments: Mapping[str, Any]) -> str:
        definition = Definition.parse(config)
        make(definition, TYPES[arguments["type"]], arguments)
        return definition.to_xml()

    def later(self, now: Now, arguments: Mapping[str, Any]) -> list[str]:
        live = Definition.parse(now.live)
        if arguments["affect"] == "both" and self._plugs(live, arguments):
            return []
        return [called(TYPES[arguments["type"]], make(live, TYPES[arguments["type"]], arguments))]

    def of_host(self, vm: VirtualMachine, now: Now, arguments: Mapping[str, Any]) -> bool:
        source, values = arguments.get("source", ""), dict(arguments["set"])
        values.pop("driver.format", None)
        outside = bool(source) and not images.is_known(vm, source)
        return outside or touches_host(TYPES[arguments["type"]], values)

    def commands(self, subject: Subject, now: Now, arguments: Mapping[str, Any], flags: list[str]) -> list[str]:
        type_, first = TYPES[arguments["type"]], Definition.parse(now.live or now.config)
        if now.live and not self._plugs(first, arguments):
            flags = [flag for flag in flags if flag != "--live"]
        text = editing.xml(make(first, type_, arguments))
        if type_.name in _NOT_STORED:
            return [edit_command(subject, f"<devices>: {' '.join(text.split())}")]
        return [device_command("attach-device", subject, text, flags)]

    def run(self, task: Task) -> dict[str, Any]:
        if "new_volume" not in task.arguments or task.arguments.get("source"):
            return super().run(task)
        with NewVolume(VirtualMachine.objects.get(pk=task.uuid), task.arguments["new_volume"]).made(task) as source:
            task.arguments["source"] = source
            Operation.objects.filter(pk=task.operation.pk).update(arguments=task.arguments)
            return super().run(task)

    def recover(self, task: Task) -> dict[str, Any]:
        try:
            return super().recover(task)
        except Failed as error:
            if "new_volume" not in task.arguments:
                raise
            text = say("%(text)s The new volume may be there: look at its pool.", text=error)
            raise Failed(text) from error

    def standing(self, now: Now, arguments: Mapping[str, Any]) -> tuple[bool | None, bool | None]:
        affect, type_ = arguments["affect"], TYPES[arguments["type"]]
        wants_live = now.live and affect != "config" and self._plugs(Definition.parse(now.live), arguments)
        live = _has(Definition.parse(now.live), type_, arguments) if wants_live else None
        return live, _has(Definition.parse(now.config), type_, arguments) if now.config and affect != "live" else None


def make(definition: Definition, type_: Type, arguments: Mapping[str, Any]) -> Node:
    """Add the device to the definition. Raises InvalidValue."""
    values = {path: value for path, value in arguments["set"].items() if value is not None}
    for path in ("target.dev", "mac"):
        taken = (
            {str(node.get(path)).lower() for node in getattr(definition.devices, type_.home)} if path in values else ()
        )
        if str(values.get(path)).lower() in taken:
            raise InvalidValue(path, say("The guest has one of that name already."))
    node = editing.add(definition, type_, values)
    if isinstance(node, Disk):
        node.driver.name = "qemu"
        if node.driver.format is None:
            node.driver.format = "raw"
        if type_.name == "cdrom":
            node.readonly = True
        new = arguments.get("new_volume")
        images.point_at(node, arguments.get("source") or (f"{new['pool']}/{new['name']}" if new else ""))
    return node


def _next_index(there: list[Devices], kind: Any) -> int:
    """The number of another controller of a kind."""
    used = [one.index or 0 for devices in there for one in devices.controllers if one.type == kind]
    return max(used, default=-1) + 1


def called(type_: Type, node: Node) -> str:
    """A device for people: 'disk vdb'."""
    return f"{type_.name} {node.key or ''}".strip()


def _has(definition: Definition, type_: Type, arguments: Mapping[str, Any]) -> bool:
    """Whether there is one that says all that was asked."""
    part = getattr(definition.devices, type_.home)
    nodes = ([part] if part.exists else []) if type_.is_single else list(part)
    wanted = {path: value for path, value in arguments["set"].items() if path != "device" and value is not None}
    return any(all(_says(node, path) == value for path, value in wanted.items()) for node in nodes)


def _says(node: Node, path: str) -> Any:
    return editing.says(node, path) if path in editing.LINES else node.get(path)
