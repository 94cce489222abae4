"""From what the guest boots, in which order: its firmware is told at each start, so that this is for the next boot."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from hosts.hypervisor.sentences import say
from hosts.operations.kind import InvalidArguments, Subject
from hosts.operations.storage_base import NotNow
from vms.definition.boot import Os
from vms.definition.domain import Definition
from vms.definition.place import InvalidValue
from vms.hardware import editing
from vms.operations.base import virsh
from vms.operations.devices import a_device
from vms.operations.hardware import HardwareKind, Now, Step

MOST = 100
KINDS = Os.boot_devices.choices


class BootOrder(HardwareKind):
    """Boot from ``devices`` (paths such as 'disks[vda]', the first one first), or from the first of the kinds in ``firmware``
    ('hd', 'cdrom', 'network', 'fd'). ``menu``: whether the firmware offers a menu.
    """

    name = "boot-order"
    label = gettext_lazy("Set boot order")
    verb = "vm.hardware"
    takes_live = False
    fields = ("devices", "firmware", "menu")

    def cleaned(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        cleaned: dict[str, Any] = {}
        for name in ("devices", "firmware"):
            if arguments.get(name) is not None:
                cleaned[name] = _words(name, arguments[name])
        if not cleaned:
            raise InvalidArguments("devices", _("Say either devices or kinds of devices."))
        if len(cleaned) > 1:
            raise NotNow("devices", _("Say either devices or kinds of devices."))
        for word in cleaned.get("firmware", ()):
            if word not in KINDS:
                raise InvalidArguments("firmware", _("Say %(words)s.") % {"words": ", ".join(KINDS)})
        if arguments.get("menu") is not None:
            if not isinstance(arguments["menu"], bool):
                raise InvalidArguments("menu", _("Say true or false."))
            cleaned["menu"] = arguments["menu"]
        return cleaned

    def steps(self, now: Now, arguments: Mapping[str, Any]) -> list[Step]:
        return []

    def edit(self, config: str, arguments: Mapping[str, Any]) -> str:
        definition = Definition.parse(config)
        for _path, node in editing.devices(definition):
            if "boot_order" in node.properties:
                node.set("boot_order", None)
        definition.os.boot_devices = arguments.get("firmware", [])
        for number, path in enumerate(arguments.get("devices", ()), 1):
            node = editing.find(definition, path)
            if "boot_order" not in node.properties:
                raise InvalidValue("devices", say("%(what)s is nothing to boot from.", what=path))
            node.set("boot_order", number)
        if "menu" in arguments:
            definition.os.boot_menu = arguments["menu"]
        return definition.to_xml()

    def later(self, now: Now, arguments: Mapping[str, Any]) -> list[str]:
        return [say("boots from %(what)s", what=", ".join(_order(arguments)) or "–")]

    def commands(self, subject: Subject, now: Now, arguments: Mapping[str, Any], flags: list[str]) -> list[str]:
        if "firmware" in arguments:
            return [virsh("edit", subject), *(f"#   <os>: <boot dev='{word}'/>" for word in arguments["firmware"])]
        lines = [f"#   {path}: <boot order='{number}'/>" for number, path in enumerate(arguments["devices"], 1)]
        return [virsh("edit", subject), *lines]


def _order(arguments: Mapping[str, Any]) -> list[str]:
    return list(arguments.get("devices") or arguments.get("firmware") or [])


def _words(name: str, given: Any) -> list[str]:
    if not isinstance(given, list) or len(given) > MOST:
        raise InvalidArguments(name, _("A list, the first one first."))
    words = [a_device(word) for word in given]
    if len(set(words)) != len(words):
        raise NotNow(name, _("Each is named once."))
    return words
