"""Change a device: what QEMU takes at once in the running guest, and all of it in the definition that it boots with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from hosts.hypervisor.sentences import say
from hosts.operations.kind import InvalidArguments, Refused, Subject
from vms.definition.devices.disk import Disk
from vms.definition.domain import Definition
from vms.definition.nodes import Node, UnknownProperty
from vms.definition.place import InvalidValue
from vms.hardware import editing
from vms.hardware.catalogue import Type, type_of
from vms.models import VirtualMachine
from vms.operations.base import virsh
from vms.operations.devices import (
    a_device,
    check_value,
    device_command,
    edit_command,
    io_limits,
    read_values,
    refuse_vlans,
    running_one,
    touches_host,
)
from vms.operations.hardware import HardwareKind, Now, Step

LIMITS = "iotune."
#: elements that virsh update-device also stores
_STORED = ("disk", "interface", "graphics")


class DeviceChange(HardwareKind):
    """Change ``device`` ('disks[vda]'): ``set`` has values by path, such as {"link": "down"}; null takes one away."""

    name = "device-change"
    label = gettext_lazy("Change device")
    verb = "vm.hardware"
    fields = ("device", "set")

    def cleaned(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        values = read_values("set", arguments.get("set"))
        if not values:
            raise InvalidArguments("set", _("Nothing is changed."))
        return {"device": a_device(arguments.get("device")), "set": values}

    def plan(self, now: Now, arguments: Mapping[str, Any]) -> tuple[list[Step], str]:
        type_, _node = subject_of(now, arguments["device"])
        for path, value in arguments["set"].items():
            check_value(type_, path, value)
        return super().plan(now, arguments)

    def refuse_misfit(self, vm: VirtualMachine, definition: str, arguments: Mapping[str, Any]) -> None:
        refuse_vlans(vm, definition, arguments["device"], arguments["set"])

    def steps(self, now: Now, arguments: Mapping[str, Any]) -> list[Step]:
        node = running_one(now, arguments["device"])
        if node is None:
            return []
        type_, wanted = kind_of(arguments["device"], node), _different(node, arguments["set"])
        at_once = {path: value for path, value in wanted.items() if _is_live(type_, path)}
        if arguments["affect"] == "live" and len(at_once) < len(wanted):
            path = next(path for path in wanted if path not in at_once)
            raise InvalidValue(path, say("QEMU takes this only when the guest boots."))
        return _limit_steps(node, at_once) + _update_steps(node, at_once)

    def edit(self, config: str, arguments: Mapping[str, Any]) -> str:
        definition = Definition.parse(config)
        try:
            node = editing.find(definition, arguments["device"])
        except UnknownProperty:
            if arguments["affect"] == "config":
                raise
            return config  # It is in the running guest alone.
        editing.assign(definition, node, _different(node, arguments["set"]))
        return definition.to_xml()

    def later(self, now: Now, arguments: Mapping[str, Any]) -> list[str]:
        node = running_one(now, arguments["device"])
        if node is None:
            return []
        type_, wanted = kind_of(arguments["device"], node), _different(node, arguments["set"])
        late = [path for path in wanted if arguments["affect"] == "config" or not _is_live(type_, path)]
        return [f"{arguments['device']} {path}" for path in late]

    def of_host(self, vm: VirtualMachine, now: Now, arguments: Mapping[str, Any]) -> bool:
        type_, node = subject_of(now, arguments["device"])
        return touches_host(type_, _different(node, arguments["set"]))

    def commands(self, subject: Subject, now: Now, arguments: Mapping[str, Any], flags: list[str]) -> list[str]:
        lines: list[str] = []
        live = running_one(now, arguments["device"]) if "--live" in flags else None
        if live is not None:
            type_, wanted = kind_of(arguments["device"], live), _different(live, arguments["set"])
            lines += _live_commands(subject, live, {p: v for p, v in wanted.items() if _is_live(type_, p)})
        if "--config" in flags:
            definition = Definition.parse(now.config)
            node = editing.find(definition, arguments["device"])
            wanted = _different(node, arguments["set"])
            lines += _config_commands(subject, definition, node, wanted) if wanted else []
        return lines

    def standing(self, now: Now, arguments: Mapping[str, Any]) -> tuple[bool | None, bool | None]:
        try:
            return super().standing(now, arguments)
        except UnknownProperty as error:
            raise Refused(_("There is no %(what)s in this guest.") % {"what": str(error)[:100]}) from error


def subject_of(now: Now, path: str) -> tuple[Type, Node]:
    """The type of a device and how it is, in the definition or else in the running guest. Raises Refused."""
    for text in (now.config, now.live):
        try:
            node = editing.find(Definition.parse(text), path) if text else None
        except UnknownProperty:
            continue
        if node is not None:
            return kind_of(path, node), node
    raise Refused(_("There is no %(what)s in this guest.") % {"what": path[:100]})


def kind_of(path: str, node: Node) -> Type:
    """The type of a device. Raises Refused where it is none that can be changed here."""
    found = type_of(path, node)
    if found is None:
        raise Refused(_("Devices of this type are changed by editing the definition."))
    return found


def _different(node: Node, wanted: Mapping[str, Any]) -> dict[str, Any]:
    """What is otherwise than wanted."""
    return {path: value for path, value in wanted.items() if path == "device" or not _same(node, path, value)}


def _is_live(type_: Type, path: str) -> bool:
    asked = type_.field(path)
    return asked is not None and asked.live


def _limit_steps(node: Node, at_once: Mapping[str, Any]) -> list[Step]:
    limits = {path: value for path, value in at_once.items() if path.startswith(LIMITS)}
    if not limits or not isinstance(node, Disk):
        return []
    node.update(limits)
    target, numbers = node.target.dev or "", io_limits(node)
    words = say("limits of %(disk)s", disk=target)
    return [Step(words, lambda _task, hardware: hardware.set_io_limits(target, numbers))]


def _update_steps(node: Node, at_once: Mapping[str, Any]) -> list[Step]:
    rest = {path: value for path, value in at_once.items() if not path.startswith(LIMITS)}
    if not rest:
        return []
    words = f"{node.reach().tag} {node.key or ''} ({', '.join(rest)})"
    editing.assign(_no_definition(), node, rest)
    text = editing.xml(node)
    return [Step(words, lambda _task, hardware: hardware.update(text))]


def _no_definition() -> Definition:
    """What is changed at once moves no disk to another bus, so that no other disks' names are looked at."""
    return Definition.blank("none")


def _live_commands(subject: Subject, node: Node, at_once: Mapping[str, Any]) -> list[str]:
    lines = []
    if any(path.startswith(LIMITS) for path in at_once) and isinstance(node, Disk):
        node.update({path: value for path, value in at_once.items() if path.startswith(LIMITS)})
        lines.append(_limits_command(subject, node, "--live"))
    rest = {path: value for path, value in at_once.items() if not path.startswith(LIMITS)}
    if set(rest) == {"link"}:
        lines.append(virsh("domif-setlink", subject, node.key or "", rest["link"] or "up"))
    elif rest:
        editing.assign(_no_definition(), node, rest)
        lines.append(device_command("update-device", subject, editing.xml(node), ["--live"]))
    return lines


def _config_commands(subject: Subject, definition: Definition, node: Node, wanted: Mapping[str, Any]) -> list[str]:
    editing.assign(definition, node, wanted)
    if all(path.startswith(LIMITS) for path in wanted) and isinstance(node, Disk):
        return [_limits_command(subject, node, "--config")]
    if set(wanted) == {"link"}:
        return [virsh("domif-setlink", subject, node.key or "", wanted["link"] or "up", "--config")]
    if node.reach().tag in _STORED and not {"mac", "target.bus"} & set(wanted):
        return [device_command("update-device", subject, editing.xml(node), ["--config"])]
    return [edit_command(subject, " ".join(editing.xml(node).split()))]


def _limits_command(subject: Subject, disk: Disk, flag: str) -> str:
    words = [word for name, value in io_limits(disk).items() for word in (f"--{name.replace('_', '-')}", str(value))]
    return virsh("blkdeviotune", subject, disk.target.dev or "", *words, flag)


def _same(node: Node, path: str, value: Any) -> bool:
    has = editing.says(node, path)
    return has == value or (has is None and value is False and node.get(path) is False)
