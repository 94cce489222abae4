"""``<memory>`` and ``<memballoon>`` among the devices: memory that is plugged in, and memory that is lent back."""

from __future__ import annotations

from vms.definition.cpu import A_CPUSET, CPUSET
from vms.definition.devices.base import A_PATH, PATH, UUID, VIRTIO_MODELS, Indexed, VirtioDriver
from vms.definition.nodes import Nested, Node
from vms.definition.properties import Choice, Integer, OnOff, Presence, Size, Text, YesNo
from vms.definition.sentences import say


class Source(Node):
    """``<source>`` of a memory module."""

    order = "pagesize nodemask path alignsize pmem"
    page_size = Size("pagesize")
    node_mask = Text("nodemask", CPUSET, A_CPUSET)
    path = Text("path", PATH, A_PATH)
    align_size = Size("alignsize")
    pmem = Presence("pmem")


class Target(Node):
    """``<target>`` of a memory module."""

    order = "size node label block requested current readonly"
    size = Size("size", required=True)
    node = Integer("node", 0, 2**32 - 1)
    block = Size("block")
    requested = Size("requested")
    current = Size("current", read_only=True)
    label = Size("label/size")
    readonly = Presence("readonly")


class MemoryModule(Indexed):
    """``<memory>``"""

    born = {"model": "dimm"}
    order = "uuid source target alias address acpi"
    model = Choice("@model", ("dimm", "nvdimm", "virtio-pmem", "virtio-mem", "sgx-epc"), required=True)
    access = Choice("@access", ("shared", "private"))
    discard = YesNo("@discard")
    uuid = Text("uuid", UUID, say("A UUID."))
    source = Nested("source", Source)
    target = Nested("target", Target)


class Balloon(Indexed):
    """``<memballoon>``"""

    born = {"model": "virtio"}
    order = "stats driver alias address acpi"
    model = Choice("@model", (*VIRTIO_MODELS, "xen", "none"), required=True)
    autodeflate = OnOff("@autodeflate")
    free_page_reporting = OnOff("@freePageReporting")
    stats_period = Integer("stats@period", 1, 2**31 - 1)
    driver = Nested("driver", VirtioDriver)


class SharedMemory(Indexed):
    """``<shmem>``: memory that several guests share."""

    natural_key = "name"
    order = "model size server msi alias address acpi"
    name = Text("@name", r"[^/]*", required=True)
    role = Choice("@role", ("master", "peer"))
    model = Choice("model@type", ("ivshmem-plain", "ivshmem-doorbell", "ivshmem"))
    size = Size("size", default_unit="bytes")
    server = Text("server@path", PATH, A_PATH)
    vectors = Integer("msi@vectors", 0, 2**32 - 1)
    io_eventfd = OnOff("msi@ioeventfd")
