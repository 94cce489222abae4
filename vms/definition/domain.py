"""A whole definition: parsed, read and edited in place, written back.

definition = Definition.parse(text)
definition.memory = 4 * 2**30
definition.devices.disks["vda"].driver.cache = "none"
definition.to_xml()
"""

from __future__ import annotations

from typing import Self

from lxml import etree

from vms.definition.boot import Os, Smbios
from vms.definition.clock import Clock
from vms.definition.cpu import A_CPUSET, CPUSET, Cpu
from vms.definition.devices import Devices
from vms.definition.devices.base import UUID
from vms.definition.features import Features
from vms.definition.nodes import Many, Nested, Node
from vms.definition.properties import Choice, Integer, OnOff, Size, Text, Words, YesNo
from vms.definition.security import LaunchSecurity, SecLabel
from vms.definition.sentences import say
from vms.definition.tuning import BlkioTune, CpuTune, IoThread, MemoryBacking, MemTune, NumaTune
from vms.definition.xml import MalformedDefinition, parse_to_edit

__all__ = ["Definition", "MalformedDefinition"]

TYPES = ("kvm", "qemu", "xen", "lxc", "bhyve", "hvf", "test", "vmware", "hyperv", "vbox", "vz", "openvz")
ACTIONS = ("destroy", "restart", "preserve", "rename-restart")


class Vcpu(Node):
    """``<vcpu>``: how many processors."""

    born = {".": "1"}
    count = Integer(".", 1, 65535, whole=True)
    current = Integer("@current", 1, 65535)
    placement = Choice("@placement", ("static", "auto"))
    cpuset = Text("@cpuset", CPUSET, A_CPUSET)


class MaxMemory(Node):
    """``<maxMemory>``: how far memory can grow by plugging in more."""

    born = {"slots": "16", "unit": "KiB", ".": "0"}
    size = Size(".", required=True)
    slots = Integer("@slots", 0, 2**32 - 1, required=True)


class Resource(Node):
    """``<resource>``: the cgroup on the host, and a name for the fabric of Fibre Channel."""

    order = "partition fibrechannel"
    partition = Text("partition", r"/[^\n]*", say("A path begins with “/”."))
    app_id = Text("fibrechannel@appid", r"[ -~]{1,128}", say("Up to 128 plain characters."))


class Definition(Node):
    """``<domain>``"""

    order = (
        "name uuid genid title description metadata maxMemory memory currentMemory blkiotune memtune "
        "memoryBacking vcpu vcpus iothreads iothreadids defaultiothread cputune numatune resource sysinfo "
        "bootloader bootloader_args os idmap features cpu clock on_poweroff on_reboot on_crash on_lockfailure "
        "pm perf devices seclabel keywrap launchSecurity"
    )
    type = Choice("@type", TYPES, required=True)
    id = Integer("@id", read_only=True)
    name = Text("name", r"[^/\n]+", say("A name without “/”."), required=True)
    uuid = Text("uuid", UUID, say("A UUID."))
    genid = Text("genid", UUID, say("A UUID."))
    title = Text("title", r"[^\n]+", say("One line."))
    description = Text("description")
    tags = Words("metadata/kvmdash:guest/kvmdash:tag")
    folder = Text("metadata/kvmdash:guest/kvmdash:folder")
    os_id = Text("metadata/libosinfo:libosinfo/libosinfo:os@id")
    memory = Size("memory", whole=True)
    dump_core = OnOff("memory@dumpCore")
    current_memory = Size("currentMemory")
    max_memory = Nested("maxMemory", MaxMemory)
    memory_backing = Nested("memoryBacking", MemoryBacking)
    memtune = Nested("memtune", MemTune)
    blkiotune = Nested("blkiotune", BlkioTune)
    vcpu = Nested("vcpu", Vcpu)
    iothreads = Integer("iothreads", 0, 2**32 - 1)
    iothread_ids = Many("iothreadids/iothread", IoThread)
    cputune = Nested("cputune", CpuTune)
    numatune = Nested("numatune", NumaTune)
    cpu = Nested("cpu", Cpu)
    os = Nested("os", Os)
    smbios = Nested("sysinfo[type=smbios]", Smbios)
    features = Nested("features", Features)
    clock = Nested("clock", Clock)
    on_poweroff = Choice("on_poweroff", ACTIONS)
    on_reboot = Choice("on_reboot", ACTIONS)
    on_crash = Choice("on_crash", (*ACTIONS, "coredump-destroy", "coredump-restart"))
    on_lock_failure = Choice("on_lockfailure", ("poweroff", "restart", "pause", "ignore"))
    suspend_to_mem = YesNo("pm/suspend-to-mem@enabled")
    suspend_to_disk = YesNo("pm/suspend-to-disk@enabled")
    resource = Nested("resource", Resource)
    seclabels = Many("seclabel", SecLabel)
    launch_security = Nested("launchSecurity", LaunchSecurity)
    bootloader = Text("bootloader")
    devices = Nested("devices", Devices, lasting=True)

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
