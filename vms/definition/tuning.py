"""How the host's processors and memory are shared out: cputune, numatune, memtune, blkiotune, memoryBacking, iothreads."""

from __future__ import annotations

from vms.definition.cpu import A_CPUSET, CPUSET
from vms.definition.nodes import Many, Node
from vms.definition.properties import Choice, Integer, Presence, Size, Text
from vms.definition.sentences import say

NUMA_MODES = ("strict", "preferred", "interleave", "restrictive")
_SHORTEST, _LONGEST, _MOST = 1000, 1_000_000, 17_592_186_044_415


class VcpuPin(Node):
    """``<vcpupin>``: on which of the host's processors one of the guest's may run."""

    natural_key = "vcpu"
    vcpu = Integer("@vcpu", 0, 65535, required=True)
    cpuset = Text("@cpuset", CPUSET, A_CPUSET, required=True)


class IoThreadPin(Node):
    """``<iothreadpin>``"""

    natural_key = "iothread"
    iothread = Integer("@iothread", 1, 2**32 - 1, required=True)
    cpuset = Text("@cpuset", CPUSET, A_CPUSET, required=True)


class Scheduler(Node):
    """``<vcpusched>``: by which scheduler processors of the guest run on the host."""

    natural_key = "vcpus"
    vcpus = Text("@vcpus", CPUSET, A_CPUSET)
    scheduler = Choice("@scheduler", ("batch", "idle", "fifo", "rr"), required=True)
    priority = Integer("@priority", 1, 99)


class CpuTune(Node):
    """``<cputune>``: periods and quotas in microseconds; a quota of -1 is none."""

    order = (
        "shares period quota global_period global_quota emulator_period emulator_quota iothread_period iothread_quota "
        "vcpupin emulatorpin iothreadpin vcpusched iothreadsched emulatorsched cachetune memorytune"
    )
    shares = Integer("shares", 0, 2**32 - 1)
    period = Integer("period", _SHORTEST, _LONGEST)
    quota = Integer("quota", -1, _MOST)
    global_period = Integer("global_period", _SHORTEST, _LONGEST)
    global_quota = Integer("global_quota", -1, _MOST)
    emulator_period = Integer("emulator_period", _SHORTEST, _LONGEST)
    emulator_quota = Integer("emulator_quota", -1, _MOST)
    iothread_period = Integer("iothread_period", _SHORTEST, _LONGEST)
    iothread_quota = Integer("iothread_quota", -1, _MOST)
    emulatorpin = Text("emulatorpin@cpuset", CPUSET, A_CPUSET)
    vcpupins = Many("vcpupin", VcpuPin)
    iothreadpins = Many("iothreadpin", IoThreadPin)
    schedulers = Many("vcpusched", Scheduler)


class MemNode(Node):
    """``<memnode>``: where the memory of one of the guest's cells comes from."""

    natural_key = "cell"
    born = {"mode": "strict"}
    cell = Integer("@cellid", 0, 2**32 - 1, required=True)
    mode = Choice("@mode", NUMA_MODES, required=True)
    nodeset = Text("@nodeset", CPUSET, A_CPUSET, required=True)


class NumaTune(Node):
    """``<numatune>``"""

    order = "memory memnode"
    mode = Choice("memory@mode", NUMA_MODES)
    nodeset = Text("memory@nodeset", CPUSET, A_CPUSET)
    placement = Choice("memory@placement", ("static", "auto"))
    memnodes = Many("memnode", MemNode)


class Page(Node):
    """``<page>``: which size of huge pages which cells have."""

    natural_key = "nodeset"
    size = Size("@size", required=True)
    nodeset = Text("@nodeset", CPUSET, A_CPUSET)


class MemoryBacking(Node):
    """``<memoryBacking>``"""

    order = "hugepages nosharepages locked source access allocation discard"
    hugepages = Presence("hugepages")
    pages = Many("hugepages/page", Page)
    no_share_pages = Presence("nosharepages")
    locked = Presence("locked")
    source = Choice("source@type", ("file", "anonymous", "memfd"))
    access = Choice("access@mode", ("shared", "private"))
    allocation = Choice("allocation@mode", ("immediate", "ondemand"))
    allocation_threads = Integer("allocation@threads", 1, 2**32 - 1)
    discard = Presence("discard")


class MemTune(Node):
    """``<memtune>``"""

    order = "hard_limit soft_limit min_guarantee swap_hard_limit"
    hard_limit = Size("hard_limit")
    soft_limit = Size("soft_limit")
    min_guarantee = Size("min_guarantee")
    swap_hard_limit = Size("swap_hard_limit")


class BlockDevice(Node):
    """``<device>`` of blkiotune: limits for one of the host's block devices."""

    natural_key = "path"
    order = "path weight read_iops_sec write_iops_sec read_bytes_sec write_bytes_sec"
    path = Text("path", r"/[^\n]+", say("A path begins with “/”."), required=True)
    weight = Integer("weight", 100, 1000)
    read_iops_sec = Integer("read_iops_sec", 0, 2**32 - 1)
    write_iops_sec = Integer("write_iops_sec", 0, 2**32 - 1)
    read_bytes_sec = Integer("read_bytes_sec")
    write_bytes_sec = Integer("write_bytes_sec")


class BlkioTune(Node):
    """``<blkiotune>``"""

    order = "weight device"
    weight = Integer("weight", 100, 1000)
    devices = Many("device", BlockDevice)


class IoThread(Node):
    """``<iothread>``"""

    natural_key = "id"
    id = Integer("@id", 1, 2**32 - 1, required=True)
    pool_min = Integer("@thread_pool_min", 0, 2**31 - 1)
    pool_max = Integer("@thread_pool_max", 1, 2**31 - 1)
