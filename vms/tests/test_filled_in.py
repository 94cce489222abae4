"""What libvirt fills in while a guest runs is no change of anybody; what a card on a network is handed to libvirt as; VLANs."""

from __future__ import annotations

import pytest

from hosts.operations.storage_base import NotNow
from vms.definition.domain import Definition
from vms.hardware import editing, reading, vlans
from vms.hardware.catalogue import TYPES
from vms.operations.devices import read_values

CHOSEN = """<domain type='kvm'><os><type arch='x86_64' machine='pc-q35-7.2'>hvm</type>
<firmware><feature enabled='yes' name='secure-boot'/></firmware>
<loader readonly='yes' secure='yes' type='pflash'>/usr/share/OVMF.fd</loader><nvram template='/vars.fd'>/nvram/a.fd</nvram>
</os></domain>"""
WANTED = """<domain type='kvm'><os firmware='efi'><type arch='x86_64' machine='pc-q35-7.2'>hvm</type>
<firmware><feature enabled='yes' name='secure-boot'/></firmware></os></domain>"""


def test_the_firmware_that_libvirt_chose_is_no_change_that_waits_for_the_next_boot():
    assert reading.read(CHOSEN, WANTED).pending == ()


def test_another_kind_of_firmware_waits_for_the_next_boot():
    without = WANTED.replace(" firmware='efi'", "").replace("<firmware>", "<x>").replace("</firmware>", "</x>")
    paths = {change.path.partition("@")[0] for change in reading.read(CHOSEN, without).pending}
    assert {"os/loader", "os/nvram"} <= paths
    named = WANTED.replace("</os>", "<loader secure='no'/></os>")
    assert [change.path for change in reading.read(CHOSEN, named).pending] == ["os/loader@secure"]


SWITCHED = """<domain type='kvm'><devices><interface type='bridge'><mac address='52:54:00:00:00:01'/>
<source network='ovs' portid='p' bridge='ovsbr0'/><vlan><tag id='42'/></vlan>
<virtualport type='openvswitch'><parameters interfaceid='i'/></virtualport><target dev='vnet0'/></interface></devices></domain>"""
STORED = """<domain type='kvm'><devices><interface type='network'><mac address='52:54:00:00:00:01'/>
<source network='ovs'/></interface></devices></domain>"""


def test_what_a_card_has_from_its_network_is_no_change_that_waits_and_a_vlan_of_its_own_is_one():
    assert reading.read(SWITCHED, STORED).pending == ()
    own = STORED.replace("</interface>", "<vlan><tag id='43'/></vlan></interface>")
    found = reading.read(SWITCHED, own).pending
    assert found and all("/vlan/" in change.path for change in found), found


def test_a_card_is_handed_to_libvirt_as_one_on_its_network_and_not_on_what_that_stands_for():
    definition = Definition.parse(SWITCHED)
    card = editing.find(definition, "interfaces[52:54:00:00:00:01]")
    editing.assign(definition, card, {"vlans": "43"})
    text = editing.xml(card)
    assert '<interface type="network">' in text and '<source network="ovs"/>' in text and 'interfaceid="i"' in text
    assert '<tag id="43"/>' in text and "42" not in text


def test_vlans_of_a_card_are_one_line_that_is_written_in_place():
    definition = Definition.parse(STORED)
    card = editing.find(definition, "interfaces[52:54:00:00:00:01]")
    before = definition.to_xml()
    editing.assign(definition, card, {"vlans": "7 300"})
    assert editing.says(card, "vlans") == "7 300" and 'trunk="yes"' in definition.to_xml()
    editing.assign(definition, card, {"vlans": "300"})
    assert editing.says(card, "vlans") == "300" and "trunk" not in definition.to_xml()
    editing.assign(definition, card, {"vlans": None})
    assert editing.says(card, "vlans") is None and definition.to_xml() == before
    assert vlans.in_order("300 7 300") == "7 300"
    for wrong in ("0", "4095", "a", "1,2"):
        with pytest.raises(NotNow):
            read_values("set", {"vlans": wrong}, TYPES["interface"])


GROWN = """<domain type='kvm'><maxMemory slots='4' unit='MiB'>1024</maxMemory><memory unit='KiB'>393216</memory>
<currentMemory unit='KiB'>{current}</currentMemory><devices><memory model='virtio-mem'><target><size unit='KiB'>262144</size>
<node>0</node><block unit='KiB'>2048</block><requested unit='KiB'>{wanted}</requested>{has}</target></memory></devices></domain>"""
HAS = "<current unit='KiB'>65536</current>"


def test_what_a_module_that_grows_has_by_now_is_told_and_is_no_change_that_waits():
    live, stored = (
        GROWN.format(current=196608, wanted=131072, has=HAS),
        GROWN.format(current=131072, wanted=131072, has=""),
    )
    found = reading.read(live, stored)
    assert found.pending == ()
    (module,) = found.of("memory")
    assert module.words["text"] == "size=256 MiB requested=128 MiB current=64 MiB"
    mib = 2**20
    assert (found.machine["now"]["memory"], found.machine["then"]["memory"]) == (192 * mib, 256 * mib)
    other = GROWN.format(current=131072, wanted=65536, has="")
    assert [change.path.partition("/")[2] for change in reading.read(live, other).pending], "another wish waits"


@pytest.mark.parametrize(
    ("has", "model", "then"), [(131072, "dimm", 262144), (65536, "dimm", 65536), (131072, "virtio-mem", 131072)]
)
def test_a_fixed_module_is_not_taken_away_again_by_the_balloon_at_the_next_boot(has, model, then):
    memory = f"<memory unit='KiB'>131072</memory><currentMemory unit='KiB'>{has}</currentMemory>"
    definition = Definition.parse(f"<domain type='kvm'>{memory}<devices/></domain>")
    editing.add(definition, TYPES["memory"], {"model": model, "target.size": 128 * 2**20, "target.node": 0})
    assert definition.current_memory == then * 1024
