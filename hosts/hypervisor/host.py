"""Facts and figures of a host."""

from __future__ import annotations

import time
import xml.etree.ElementTree as ElementTree
from typing import Any

import libvirt

from hosts.hypervisor.connection import Connection
from hosts.hypervisor.records import HostCounters, HostFacts


def read_facts(connection: Connection) -> HostFacts:
    """What the host is, in one go."""
    return connection.call(_read_facts)


def _read_facts(raw: libvirt.virConnect) -> HostFacts:
    model, memory_mib, cpus, mhz, _nodes, sockets, cores, threads = raw.getInfo()
    capabilities = raw.getCapabilities()
    tree = ElementTree.fromstring(capabilities)
    return HostFacts(
        hostname=raw.getHostname(),
        machine_uuid=tree.findtext("host/uuid") or "",
        libvirt_version=_version(raw.getLibVersion()),
        hypervisor_type=raw.getType(),
        hypervisor_version=_version(raw.getVersion()),
        cpu_model=tree.findtext("host/cpu/model") or model,
        arch=model,
        cpus=cpus,
        sockets=sockets,
        cores=cores,
        threads=threads,
        mhz=mhz,
        memory=_memory(raw) or memory_mib * 1024 * 1024,
        cells=[_cell(cell) for cell in tree.findall("host/topology/cells/cell")],
        capabilities=capabilities,
    )


def _memory(raw: libvirt.virConnect) -> int:
    """All memory the kernel counts: on machines with hot-added memory virNodeInfo tells only that of the first cells."""
    try:
        return int(raw.getMemoryStats(libvirt.VIR_NODE_MEMORY_STATS_ALL_CELLS).get("total", 0)) * 1024
    except libvirt.libvirtError:
        return 0  # A driver that does not count it; virNodeInfo then has to do.


def _version(number: int) -> str:
    """libvirt counts versions as major * 1,000,000 + minor * 1,000 + release."""
    return f"{number // 1000000}.{number // 1000 % 1000}.{number % 1000}"


def _cell(cell: ElementTree.Element) -> dict[str, Any]:
    memory = cell.find("memory")
    return {
        "id": int(cell.get("id", "0")),
        "memory": int(memory.text or 0) * 1024 if memory is not None else 0,
        "cpus": len(cell.findall("cpus/cpu")),
        "pages": [
            {"size": int(page.get("size", "0")) * 1024, "count": int(page.text or 0)} for page in cell.findall("pages")
        ],
    }


def read_counters(connection: Connection) -> HostCounters | None:
    """Processor time and memory of the host; None where the driver counts neither (libvirt's test driver)."""
    return connection.call(_read_counters)


def _read_counters(raw: libvirt.virConnect) -> HostCounters | None:
    try:
        cpu = raw.getCPUStats(libvirt.VIR_NODE_CPU_STATS_ALL_CPUS)
        memory = raw.getMemoryStats(libvirt.VIR_NODE_MEMORY_STATS_ALL_CELLS)
    except libvirt.libvirtError as error:
        if error.get_error_code() == libvirt.VIR_ERR_NO_SUPPORT:
            return None
        raise
    idle = cpu.get("idle", 0) + cpu.get("iowait", 0)
    total = sum(cpu.get(name, 0) for name in ("idle", "iowait", "kernel", "user"))
    # The node's figures are KiB.
    free = memory.get("free", 0) + memory.get("buffers", 0) + memory.get("cached", 0)
    whole = memory.get("total", 0)
    return HostCounters(time.monotonic(), total - idle, total, whole * 1024, (whole - free) * 1024)
