"""``<features>``: what of the machine is switched on. True and False write the state, None leaves it to the hypervisor."""

from __future__ import annotations

from vms.definition.nodes import Nested, Node
from vms.definition.properties import Choice, Integer, OnOff, Presence, Size, State, Text
from vms.definition.sentences import say

_ON = {"state": "on"}


class Hyperv(Node):
    """``<hyperv>``: what Windows knows how to use."""

    order = (
        "relaxed vapic spinlocks vpindex runtime synic stimer reset vendor_id frequencies reenlightenment tlbflush ipi evmcs avic "
        "emsr_bitmap xmm_input"
    )
    mode = Choice("@mode", ("custom", "passthrough"))
    relaxed = State("relaxed")
    vapic = State("vapic")
    spinlocks = State("spinlocks")
    spinlock_retries = Integer("spinlocks@retries", 0, 2**32 - 1, born=_ON)
    vpindex = State("vpindex")
    runtime = State("runtime")
    synic = State("synic")
    stimer = State("stimer")
    stimer_direct = State("stimer/direct", born={"stimer@state": "on"})
    reset = State("reset")
    vendor_id = State("vendor_id")
    vendor_id_value = Text("vendor_id@value", r"[^,]{0,12}", say("Up to twelve characters."), born=_ON)
    frequencies = State("frequencies")
    reenlightenment = State("reenlightenment")
    tlbflush = State("tlbflush")
    ipi = State("ipi")
    evmcs = State("evmcs")
    avic = State("avic")


class Kvm(Node):
    """``<kvm>``"""

    order = "hidden hint-dedicated poll-control pv-ipi dirty-ring"
    hidden = State("hidden")
    hint_dedicated = State("hint-dedicated")
    poll_control = State("poll-control")
    pv_ipi = State("pv-ipi")
    dirty_ring = State("dirty-ring")
    dirty_ring_size = Integer("dirty-ring@size", 0, 2**32 - 1, born=_ON)


class Xen(Node):
    """``<xen>``"""

    order = "e820_host passthrough"
    e820_host = State("e820_host")
    passthrough = State("passthrough")
    passthrough_mode = Choice("passthrough@mode", ("sync_pt", "share_pt"), born=_ON)


class Features(Node):
    """``<features>``"""

    order = (
        "acpi apic pae hap viridian privnet hyperv kvm xen pvspinlock pmu vmport smm gic ioapic hpt vmcoreinfo htm nested-hv msrs "
        "ccf-assist cfpc sbbc ibs tcg async-teardown"
    )
    acpi = Presence("acpi")
    apic = Presence("apic")
    apic_eoi = OnOff("apic@eoi")
    pae = Presence("pae")
    hap = State("hap")
    viridian = Presence("viridian")
    privnet = Presence("privnet")
    pv_spinlock = State("pvspinlock")
    pmu = State("pmu")
    vmport = State("vmport")
    smm = State("smm")
    smm_tseg = Size("smm/tseg", default_unit="MiB", born={"smm@state": "on"})
    gic = Presence("gic")
    gic_version = Choice("gic@version", ("host", "2", "3"))
    ioapic = Choice("ioapic@driver", ("qemu", "kvm"))
    hpt_resizing = Choice("hpt@resizing", ("enabled", "disabled", "required"))
    hpt_max_page = Size("hpt/maxpagesize")
    vmcoreinfo = State("vmcoreinfo")
    htm = State("htm")
    nested_hv = State("nested-hv")
    ccf_assist = State("ccf-assist")
    unknown_msrs = Choice("msrs@unknown", ("ignore", "fault"))
    cfpc = Choice("cfpc@value", ("broken", "workaround", "fixed"))
    sbbc = Choice("sbbc@value", ("broken", "workaround", "fixed"))
    ibs = Choice("ibs@value", ("broken", "workaround", "fixed-ibs", "fixed-ccd", "fixed-na"))
    tcg_cache = Size("tcg/tb-cache")
    hyperv = Nested("hyperv", Hyperv)
    kvm = Nested("kvm", Kvm)
    xen = Nested("xen", Xen)
