"""Unplug a device: the running guest is asked to let go of it and has to, its definition loses it. Images are never deleted."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from django.utils.translation import gettext_lazy

from hosts.hypervisor.errors import Failed
from hosts.hypervisor.sentences import say
from hosts.operations.kind import Subject
from hosts.operations.task import Task
from vms.definition.domain import Definition
from vms.definition.nodes import Node, UnknownProperty, split
from vms.definition.place import InvalidValue
from vms.hardware import editing
from vms.hardware.catalogue import Type
from vms.operations.device_change import kind_of, subject_of
from vms.operations.devices import (
    LET_GO_SECONDS,
    LOOK_EVERY,
    a_device,
    detach,
    device_command,
    edit_command,
    running_one,
)
from vms.operations.hardware import HardwareKind, Now, Step


class DeviceRemove(HardwareKind):
    """Remove ``device`` ('disks[vdb]'). A disk's image stays where it is."""

    name = "device-remove"
    label = gettext_lazy("Remove device")
    verb = "vm.hardware"
    fields = ("device",)

    def cleaned(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        return {"device": a_device(arguments.get("device"))}

    def plan(self, now: Now, arguments: Mapping[str, Any]) -> tuple[list[Step], str]:
        subject_of(now, arguments["device"])
        return super().plan(now, arguments)

    def steps(self, now: Now, arguments: Mapping[str, Any]) -> list[Step]:
        path, node = arguments["device"], running_one(now, arguments["device"])
        if node is None:
            return []
        if not plugs(kind_of(path, node), node):
            if arguments["affect"] == "live":
                raise InvalidValue("device", say("QEMU cannot unplug this while the guest runs."))
            return []
        text, home = editing.xml(node), split(path)[0][0]
        return [Step(say("%(what)s is gone", what=path), lambda task, hw: detach(task, hw, text, path, home))]

    def edit(self, config: str, arguments: Mapping[str, Any]) -> str:
        definition = Definition.parse(config)
        try:
            node = editing.find(definition, arguments["device"])
        except UnknownProperty:
            return config
        if not kind_of(arguments["device"], node).removable:
            raise InvalidValue("device", say("libvirt would put it back: change its model to “none” instead."))
        node.remove()
        return definition.to_xml()

    def later(self, now: Now, arguments: Mapping[str, Any]) -> list[str]:
        node = running_one(now, arguments["device"])
        if node is None or (arguments["affect"] == "both" and plugs(kind_of(arguments["device"], node), node)):
            return []
        return [say("%(what)s is gone", what=arguments["device"])]

    def commands(self, subject: Subject, now: Now, arguments: Mapping[str, Any], flags: list[str]) -> list[str]:
        live = running_one(now, arguments["device"])
        if live is None or not plugs(kind_of(arguments["device"], live), live):
            flags = [flag for flag in flags if flag != "--live"]
        node = live if live is not None and "--live" in flags else subject_of(now, arguments["device"])[1]
        text = editing.xml(node)
        if node.reach().tag in ("graphics", "video", "tpm", "panic", "iommu"):
            return [edit_command(subject, " ".join(text.split()))]
        return [device_command("detach-device", subject, text, flags)]

    def run(self, task: Task) -> dict[str, Any]:
        result = super().run(task)
        if result.get("config") and self._came_back(task):
            raise Failed(say("libvirt put it back at once: a machine of this type cannot be without it."))
        return result

    def _came_back(self, task: Task) -> bool:
        with task.looking():
            now = self.guest(task).definition(inactive=True)
        try:
            editing.find(Definition.parse(now), task.arguments["device"])
        except UnknownProperty:
            return False
        return "[#" not in task.arguments["device"]

    def recover(self, task: Task) -> dict[str, Any]:
        """The guest may have been asked: it has the same time to let go."""
        until = time.monotonic() + LET_GO_SECONDS
        while task.arguments["affect"] != "config" and time.monotonic() < until:
            live, _config = self.standing(self._look(task), task.arguments)
            if live in (True, None):
                break
            task.wait(LOOK_EVERY)
        return super().recover(task)


def plugs(type_: Type, node: Node) -> bool:
    """Whether QEMU can unplug it while the guest runs."""
    return type_.plugs(editing.values(node, type_))
