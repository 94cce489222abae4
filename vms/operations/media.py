"""Put a medium into a drive, or take it out: in the running guest at once, and in its definition."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from hosts.hypervisor.sentences import say
from hosts.operations.kind import InvalidArguments, Subject
from vms.definition.devices.disk import Disk
from vms.definition.domain import Definition
from vms.definition.nodes import UnknownProperty
from vms.definition.place import InvalidValue
from vms.hardware import editing
from vms.hardware.images import is_known, point_at
from vms.models import VirtualMachine
from vms.operations.base import virsh
from vms.operations.device_change import subject_of
from vms.operations.devices import a_device, is_line, running_one
from vms.operations.hardware import HardwareKind, Now, Step


class Media(HardwareKind):
    """Insert ``source`` (a volume's path, or pool/volume) into the drive ``device`` ('disks[sda]'); '' ejects.

    ``force`` opens a drive that the guest has locked.
    """

    name = "media"
    label = gettext_lazy("Change medium")
    verb = "vm.hardware"
    fields = ("device", "source", "force")

    def cleaned(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        source, force = arguments.get("source") or "", arguments.get("force") or False
        if not isinstance(source, str) or not is_line(source) or len(source) > 2000:
            raise InvalidArguments("source", _("The path of an image, or pool/volume."))
        if source and "/" not in source:
            raise InvalidArguments("source", _("The path of an image, or pool/volume."))
        if not isinstance(force, bool):
            raise InvalidArguments("force", _("Say true or false."))
        return {"device": a_device(arguments.get("device")), "source": source, "force": force}

    def steps(self, now: Now, arguments: Mapping[str, Any]) -> list[Step]:
        found = running_one(now, arguments["device"])
        if found is None:
            if arguments["affect"] == "live":
                raise UnknownProperty(arguments["device"])
            return []  # It comes with the next boot.
        drive = _drive(found)
        if drive.where == arguments["source"]:
            return []
        point_at(drive, arguments["source"])
        text, force = editing.xml(drive), arguments["force"]
        return [Step(_words(arguments), lambda _task, hardware: hardware.update(text, force=force))]

    def edit(self, config: str, arguments: Mapping[str, Any]) -> str:
        definition = Definition.parse(config)
        try:
            drive = _drive(editing.find(definition, arguments["device"]))
        except UnknownProperty:
            if arguments["affect"] == "config":
                raise
            return config  # It is in the running guest alone.
        if drive.where != arguments["source"]:
            point_at(drive, arguments["source"])
        return definition.to_xml()

    def plan(self, now: Now, arguments: Mapping[str, Any]) -> tuple[list[Step], str]:
        subject_of(now, arguments["device"])
        return super().plan(now, arguments)

    def of_host(self, vm: VirtualMachine, now: Now, arguments: Mapping[str, Any]) -> bool:
        return bool(arguments["source"]) and not is_known(vm, arguments["source"])

    def later(self, now: Now, arguments: Mapping[str, Any]) -> list[str]:
        there = running_one(now, arguments["device"]) is not None
        return [_words(arguments)] if arguments["affect"] == "config" or not there else []

    def commands(self, subject: Subject, now: Now, arguments: Mapping[str, Any], flags: list[str]) -> list[str]:
        target = _drive(subject_of(now, arguments["device"])[1]).target.dev or ""
        more = ["--force"] if arguments["force"] else []
        if not arguments["source"]:
            return [virsh("change-media", subject, target, "--eject", *flags, *more)]
        return [virsh("change-media", subject, target, arguments["source"], "--update", *flags, *more)]


def _drive(node: Any) -> Disk:
    if not isinstance(node, Disk) or node.device not in ("cdrom", "floppy"):
        raise InvalidValue("device", say("It is no drive that takes media."))
    return node


def _words(arguments: Mapping[str, Any]) -> str:
    if not arguments["source"]:
        return say("%(drive)s: ejected", drive=arguments["device"])
    return say("%(drive)s: %(medium)s", drive=arguments["device"], medium=arguments["source"])
