"""A whole definition: parsed, read and edited in place, written back.

definition = Definition.parse(text)
definition.memory = 4 * 2**30
definition.devices.disks["vda"].driver.cache = "none"
definition.to_xml()
"""

from __future__ import annotations

from typing import Self

from lxml import etree

from vms.definition.devices import Devices
from vms.definition.devices.base import UUID
from vms.definition.nodes import Nested, Node
from vms.definition.properties import Choice, Integer, Size, Text, Words
from vms.definition.xml import MalformedDefinition, parse_to_edit

__all__ = ["Definition", "MalformedDefinition"]

TYPES = ("kvm", "qemu", "xen", "lxc", "bhyve", "hvf", "test", "vmware", "hyperv", "vbox", "vz", "openvz")


class Vcpu(Node):
    """``<vcpu>``: how many processors."""

    born = {".": "1"}
    count = Integer(".", 1, 65535)
    current = Integer("@current", 1, 65535)
    placement = Choice("@placement", ("static", "auto"))
    cpuset = Text("@cpuset", r"[0-9,\-^]+", "Processors such as “0-3,6”.")


class Definition(Node):
    """``<domain>``"""

    order = (
        "name uuid genid title description metadata maxMemory memory currentMemory blkiotune memtune "
        "memoryBacking vcpu vcpus iothreads iothreadids defaultiothread cputune numatune resource sysinfo "
        "bootloader bootloader_args os idmap features cpu clock on_poweroff on_reboot on_crash on_lockfailure "
        "pm perf devices seclabel keywrap launchSecurity"
    )
    type = Choice("@type", TYPES)
    id = Integer("@id", read_only=True)
    name = Text("name", r"[^/\n]+", "A name without “/”.", required=True)
    uuid = Text("uuid", UUID, "A UUID.")
    title = Text("title", r"[^\n]+", "One line.")
    description = Text("description")
    tags = Words("metadata/kvmdash:guest/kvmdash:tag")
    folder = Text("metadata/kvmdash:guest/kvmdash:folder")
    os_id = Text("metadata/libosinfo:libosinfo/libosinfo:os@id")
    memory = Size("memory")
    current_memory = Size("currentMemory")
    vcpu = Nested("vcpu", Vcpu)
    devices = Nested("devices", Devices)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Raises MalformedDefinition."""
        return cls(parse_to_edit(text))

    @classmethod
    def blank(cls, name: str, hypervisor: str = "kvm") -> Self:
        """A definition with nothing in it but a name."""
        definition = cls.parse("<domain>\n</domain>")
        definition.type, definition.name = hypervisor, name
        return definition

    def to_xml(self) -> str:
        """The definition as text, with all that was in it before."""
        return etree.tostring(self.reach().getroottree(), encoding="unicode")
