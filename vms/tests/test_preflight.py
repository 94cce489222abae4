"""Whether a guest may go to a host: each check with what lets it pass and what does not. Plain facts, no database."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from vms.moving.preflight.baseline import baselines
from vms.moving.preflight.engine import NAMES, Table
from vms.moving.preflight.facts import (
    Ability,
    Card,
    Cpu,
    Device,
    Disk,
    Guest,
    Machine,
    Pages,
    Platform,
    Pool,
    Processors,
    Secret,
    Wishes,
)
from vms.moving.preflight.reading import guest_of, numbers

GIB = 2**30
PC = frozenset({"pc-i440fx-7.2", "pc", "pc-q35-7.2"})
WORDS = {"graphics.type": ["vnc"], "tpm.backendModel": ["emulator"]}
MODELS = {"EPYC": "yes", "Denverton": "no", "Penryn": "no"}
OVMF = "/usr/share/OVMF.fd"
SEEN: Any = "a time"


def make_machine(number: int = 2, **facts: Any) -> Machine:
    """A host that lacks nothing."""
    usual: dict[str, Any] = {
        "arch": "x86_64", "libvirt": (9, 0, 0), "qemu": (7, 2, 0), "cpus": 8, "memory": 32 * GIB, "free": 16 * GIB, "cpu": "EPYC",
        "cells": {0: {"cpus": 8, "pages": {4096: 1000, 2 * 2**20: 512}}}, "processors_of": frozenset(range(8)),
        "platforms": {"x86_64": Platform(PC, frozenset({"kvm", "qemu"}), frozenset({"/usr/bin/qemu-system-x86_64"}))},
        "abilities": {("x86_64", kind): Ability(kind, 255, WORDS) for kind in ("pc", "q35")},
        "processors": {("x86_64", "kvm"): Processors(frozenset({"sse4", "avx", "aes"}), MODELS, {"Penryn": ["mpx"]}, (OVMF,))},
        "networks": {"default": (True, frozenset({"web"})), "lab": (False, frozenset())}, "filters": frozenset({"clean-traffic"}),
        "bridges": frozenset({"br0"}), "devices": frozenset({"br0", "eth0"}), "addresses": frozenset({"10.0.0.2"}),
        "pools": (Pool("shared", "netfs", "/shared", "k", True, 100 * GIB), Pool("local", "dir", "/images", "", True, 10 * GIB)),
        "peer": f"qemu+tcp://kvm{number}/system", "reached_from": frozenset({1}), "resources_at": SEEN, "abilities_at": SEEN,
    }  # fmt: skip
    return Machine(id=number, name=f"kvm{number}", **usual | facts)


def make_guest(**facts: Any) -> Guest:
    """A guest that may go anywhere."""
    usual: dict[str, Any] = {
        "arch": "x86_64", "machine": "pc-i440fx-7.2", "virt": "kvm", "emulator": "/usr/bin/qemu-system-x86_64", "memory": GIB,
        "vcpus": 2, "cpu": Cpu("custom", "EPYC", frozenset({"avx"})), "disks": (Disk("vda", path="/shared/a.qcow2", cache="none"),),
        "cards": (Card("network", "default"),), "screens": ("vnc",),
    }  # fmt: skip
    return Guest(uuid="u", name="web-1", host=1, **usual | facts)


def finding(
    check: str, guest: Guest, target: Machine, source: Machine | None = None, wishes: Wishes | None = None
) -> Any:
    table = Table([guest], [source or make_machine(1), target], wishes)
    return table.cells(0, 1)[NAMES.index(check)][1]


def test_a_guest_that_lacks_nothing_on_the_target_may_go_there_by_every_check():
    table = Table([make_guest()], [make_machine(1), make_machine()])
    assert {check.name: found.name for check, found in table.cells(0, 1)} == dict.fromkeys(NAMES, "ok")
    assert table.verdicts == [[3, 0]], "where it is already is no target"
    assert all(found.reason and "%" not in found.reason for _check, found in table.cells(0, 1))


#: a host with UEFI for both machine types, and Secure Boot for the one that can have it
SECURE: dict[str, Any] = {
    "abilities": {
        ("x86_64", "pc"): Ability("pc", 255, {"os.firmware": ["efi"], "loader.secure": ["no"]}),
        ("x86_64", "q35"): Ability(
            "q35", 255, {"os.firmware": ["efi"], "loader.secure": ["yes", "no"], "loader.path": ["/secure.fd"]}
        ),
    }
}
KEY = "11111111-2222-3333-4444-555555555555"
BY_USE = Secret(use="ceph", name="client.kvm")
#: huge pages are free in the second cell alone
TWO_CELLS: dict[str, Any] = {
    "cells": {number: {"cpus": 4, "pages": {4096: 1000, 2 * 2**20: 512}} for number in (0, 1)},
    "free_pages": {0: {2 * 2**20: 0}, 1: {2 * 2**20: 512}},
}
#: check, what the guest has, what the target has, verdict, a word of the reason
CASES: list[tuple[str, dict[str, Any], dict[str, Any], str, str]] = [
    ("host", {}, {"enabled": False}, "no", "disabled"),
    ("host", {}, {"state": "unreachable", "why": "No route."}, "no", "No route."),
    ("host", {}, {"maintenance": True}, "no", "maintenance"),
    ("guest", {"state": "crashed"}, {}, "no", "neither running nor off"),
    ("guest", {"state": "shutoff"}, {}, "ok", "is off"),
    ("guest", {"state": "shutoff", "saved": True}, {}, "no", "saved memory"),
    ("guest", {"state": "shutoff", "nvram": True}, {}, "no", "firmware"),
    ("networks", {"state": "shutoff", "cards": (Card("network", "dmz"),)}, {}, "warning", "dmz"),
    ("snapshots", {"state": "shutoff", "snapshots": 1}, {}, "no", "1 snapshots"),
    ("guest", {"present": False}, {}, "no", "on no host"),
    ("guest", {}, {"running": frozenset({"u"})}, "no", "to run on kvm2 too"),
    ("guest", {}, {"names": {"web-1": "other"}}, "no", "another guest called web-1"),
    ("guest", {}, {"held": frozenset({"u"}), "names": {"web-1": "u"}}, "warning", "replaced"),
    ("cpu", {"cpu": Cpu("custom", "EPYC", frozenset({"avx512f"}))}, {}, "no", "avx512f"),
    ("cpu", {}, {"processors": {}}, "unknown", "not told"),
    ("cpu", {"cpu": Cpu("host-passthrough")}, {"cpu": "Rome"}, "warning", "Rome"),
    ("cpu", {"cpu": Cpu("host-passthrough")}, {}, "ok", "alike"),
    ("machine", {"machine": "pc-q35-9.0"}, {}, "no", "pc-q35-9.0"),
    ("machine", {"arch": "aarch64"}, {}, "no", "aarch64"),
    ("machine", {"arch": "aarch64"}, {"platforms": {}}, "no", "x86_64"),
    ("machine", {"virt": "hvf"}, {}, "no", "hvf"),
    ("machine", {"emulator": "/opt/qemu"}, {}, "unknown", "/opt/qemu"),
    ("machine", {}, {"platforms": {}}, "unknown", "not told"),
    ("firmware", {"loader": "/usr/share/OVMF.fd", "nvram": True}, {}, "ok", "sent along"),
    ("firmware", {"loader": "/opt/mine.fd"}, {}, "unknown", "/opt/mine.fd"),
    ("firmware", {"firmware": "efi", "loader": "/secure.fd", "machine": "pc-q35-7.2"}, SECURE, "ok", "has the files"),
    ("firmware", {"firmware": "efi", "loader": "/secure.fd"}, SECURE, "unknown", "/secure.fd"),
    ("firmware", {"firmware": "bios"}, {}, "ok", "no files"),
    ("firmware", {"firmware": "secure", "machine": "pc-q35-7.2"}, SECURE, "ok", "has the firmware"),
    ("firmware", {"firmware": "secure"}, SECURE, "no", "Secure Boot"),
    ("firmware", {"firmware": "efi"}, SECURE, "ok", "has the firmware"),
    ("firmware", {"firmware": "efi"}, {"abilities": {("x86_64", "pc"): Ability("pc", 255, {"os.firmware": []})}}, "no", "no UEFI"),
    ("firmware", {"firmware": "efi"}, {}, "unknown", "UEFI"),
    ("firmware", {"files": ("/k/vmlinuz",)}, {"opened": frozenset({"/k/vmlinuz"})}, "ok", "has the files"),
    ("memory", {"memory": 64 * GIB}, {}, "no", "64.0 GiB"),
    ("memory", {"memory": 20 * GIB}, {}, "warning", "16.0 GiB"),
    ("memory", {}, {"free": None}, "unknown", "not known"),
    ("memory", {}, {"memory": 0}, "unknown", "not told"),
    ("memory", {"pages": (Pages(2 * 2**20, 2 * GIB),)}, {}, "no", "huge pages"),
    ("memory", {"pages": (Pages(0, GIB),)}, {}, "warning", "huge pages"),
    ("memory", {"pages": (Pages(0, GIB),)}, {"free_pages": {0: {2 * 2**20: 512}}}, "ok", "1.0 GiB of 1.0 GiB"),
    ("memory", {"pages": (Pages(0, GIB),)}, {"free_pages": {0: {2 * 2**20: 511}}}, "warning", "only 1022.0 MiB were free"),
    ("memory", {"pages": (Pages(0, GIB),)}, {"free_pages": {0: {2**30: 9}}}, "warning", "only 0 B were free"),
    ("memory", {"pages": (Pages(0, GIB),), "nodes": (1,)}, TWO_CELLS, "ok", "1.0 GiB"),
    ("memory", {"pages": (Pages(0, GIB),), "nodes": (0,)}, TWO_CELLS, "warning", "only 0 B were free"),
    ("memory", {"pages": (Pages(2**30, GIB),)}, {"cells": {}}, "unknown", "huge pages"),
    ("vcpus", {"vcpus": 16}, {}, "warning", "only 8"),
    ("vcpus", {"vcpus": 300}, {}, "no", "at most 255"),
    ("vcpus", {"pins": (30, 31)}, {}, "no", "30, 31"),
    ("vcpus", {"pins": (3, 31)}, {}, "warning", "31"),
    ("vcpus", {"nodes": (1,)}, {}, "no", "NUMA"),
    ("cache", {"disks": (Disk("vda", path="/shared/a", cache="writeback"),)}, {}, "ok", "drops"),
    ("networks", {"cards": (Card("network", "dmz"),)}, {}, "no", "no network dmz"),
    ("networks", {"cards": (Card("network", "lab"),)}, {}, "no", "is off"),
    ("networks", {"cards": (Card("network", "default", "web"),)}, {}, "ok", "default"),
    ("networks", {"cards": (Card("network", "default", "db"),)}, {}, "warning", "db"),
    ("networks", {"cards": (Card("network", "default"), Card("network", "dmz"))}, {}, "no", "dmz"),
    ("networks", {}, {"resources_at": None}, "unknown", "not told"),
    ("networks", {"cards": (Card("bridge", "br0"),)}, {}, "ok", "br0"),
    ("networks", {"cards": (Card("bridge", "br9"),)}, {}, "no", "br9"),
    ("networks", {"cards": (Card("bridge", "br0"),)}, {"bridges": None}, "unknown", "br0"),
    ("networks", {"cards": (Card("direct", "eth9"),)}, {}, "no", "eth9"),
    ("networks", {"cards": (Card("hostdev", ""),)}, {}, "no", "handed through"),
    ("networks", {"cards": (Card("network", "default", "", "clean-traffic"),)}, {}, "ok", "default"),
    ("networks", {"cards": (Card("network", "default", "", "mine"),)}, {}, "no", "filter mine"),
    ("devices", {"devices": (Device("hostdev", "pci 0000:3b:00:0"),)}, {}, "no", "0000:3b"),
    ("devices", {"devices": (Device("virtiofs", "/srv"),)}, {}, "no", "10.0"),
    ("devices", {"devices": (Device("filesystem", "/srv"),)}, {}, "warning", "/srv"),
    ("devices", {"devices": (Device("shmem", "x"),)}, {}, "no", "shares memory"),
    ("devices", {"devices": (Device("sev"),)}, {}, "no", "encrypted"),
    ("devices", {"devices": (Device("file", "/dev/ttyS0"),)}, {}, "unknown", "/dev/ttyS0"),
    ("screens", {"screens": ("spice",)}, {}, "no", "spice"),
    ("screens", {"listens": ("10.0.0.1",)}, {}, "warning", "10.0.0.1"),
    ("screens", {"listens": ("10.0.0.2", "0.0.0.0")}, {}, "ok", "can be"),
    ("tpm", {"tpm": "passthrough"}, {}, "no", "own TPM"),
    ("tpm", {"tpm": "emulator"}, {}, "ok", "sent along"),
    ("tpm", {"tpm": "emulator"}, {"abilities": {}}, "unknown", "not known"),
    ("tpm", {"tpm": "emulator"}, {"abilities": {("x86_64", "pc"): Ability("pc", 1, {"tpm": ["no"]})}}, "no", "swtpm"),
    ("snapshots", {"snapshots": 2}, {}, "no", "2 snapshots"),
    ("secrets", {"secrets": (Secret(KEY),)}, {}, "unknown", "1 secrets"),
    ("secrets", {"secrets": (Secret(KEY),)}, {"secrets": frozenset()}, "no", KEY),
    ("secrets", {"secrets": (Secret(KEY),)}, {"secrets": frozenset({Secret(KEY, "volume", "/a")})}, "warning", "values are set"),
    ("secrets", {"secrets": (BY_USE,)}, {"secrets": frozenset({Secret(KEY, "ceph", "client.kvm")})}, "warning", "values are set"),
    ("secrets", {"secrets": (BY_USE,)}, {"secrets": frozenset({Secret(KEY, "iscsi", "client.kvm")})}, "no", "client.kvm"),
    ("secrets", {"secrets": (BY_USE, Secret("b"))}, {"secrets": frozenset({Secret(KEY, "ceph", "client.kvm")})}, "no", "b"),
    ("road", {}, {"reached_from": frozenset()}, "unknown", "Nobody has moved"),
    ("road", {}, {"reached_from": frozenset(), "peer": "qemu+tls://kvm2/system"}, "unknown", "client certificate"),
    ("road", {}, {"reached_from": frozenset(), "peer": ""}, "warning", "no address"),
    ("versions", {}, {"qemu": (6, 0, 0)}, "warning", "older"),
    ("versions", {}, {"qemu": (8, 0, 0)}, "ok", "the way back may fail"),
    ("versions", {}, {"libvirt": ()}, "unknown", "not both known"),
    ("versions", {"virt": "qemu"}, {"qemu": (9, 1, 0)}, "warning", "may lose what they write"),
    ("versions", {"virt": "qemu", "state": "shutoff"}, {}, "ok", "Both have"),
]  # fmt: skip


@pytest.mark.parametrize(("check", "guest", "target", "verdict", "word"), CASES)
def test_each_check_says_what_it_found(check: str, guest: Any, target: Any, verdict: str, word: str):
    found = finding(check, make_guest(**guest), make_machine(**target))
    text = f"{found.reason} {found.remedy}"
    assert found.name == verdict and word in text and "%(" not in text, (found.name, text)


def test_an_emulated_guest_on_a_qemu_that_loses_nothing_is_not_warned_of():
    source, target = make_machine(1, qemu=(9, 0, 0)), make_machine(qemu=(9, 0, 0))
    assert finding("versions", make_guest(virt="qemu"), target, source).name == "ok"


def test_a_passed_through_processor_needs_all_that_its_host_has():
    less = {("x86_64", "kvm"): Processors(frozenset({"sse4", "avx"}), {}, {})}
    found = finding("cpu", make_guest(cpu=Cpu("host-passthrough")), make_machine(processors=less))
    assert found.name == "no" and "aes" in found.reason


NAMED = {
    "EPYC": "ok",
    "Nehalem": "no",  # QEMU there does not know it
    "Denverton": "no",  # it cannot be had, and nothing says why
    "Penryn": "no",  # it lacks mpx
}


@pytest.mark.parametrize(("model", "verdict"), NAMED.items())
def test_a_named_model_is_judged_by_itself_where_the_source_has_more(model: str, verdict: str):
    more = {("x86_64", "kvm"): Processors(frozenset({"sse4", "avx", "aes", "mpx"}), {}, {})}
    source = make_machine(1, processors=more)
    assert finding("cpu", make_guest(cpu=Cpu("custom", model)), make_machine(), source).name == verdict
    # Whatever runs on a host that has no more runs there too, whatever the model is called.
    assert finding("cpu", make_guest(cpu=Cpu("custom", model)), make_machine()).name == "ok"


def test_a_model_without_the_features_that_the_target_lacks_may_go_there():
    more = {("x86_64", "kvm"): Processors(frozenset({"sse4", "avx", "aes", "mpx"}), {}, {})}
    source = make_machine(1, processors=more)
    without = Cpu("custom", "Penryn", without=frozenset({"mpx"}))
    assert finding("cpu", make_guest(cpu=without), make_machine(), source).name == "ok"
    unsure = Cpu("custom", "Denverton", without=frozenset({"mpx"}))
    assert finding("cpu", make_guest(cpu=unsure), make_machine(), source).name == "unknown"


SHARED = Pool("shared", "netfs", "/shared", "k", True, 100 * GIB)
#: the disk, the target's pools, verdict, a word of the reason
DISKS: list[tuple[Disk, tuple[Pool, ...], str, str]] = [
    (Disk("vda", path="/shared/a"), (SHARED._replace(path="/elsewhere"),), "no", "/elsewhere"),
    (Disk("vda", path="/shared/a"), (SHARED._replace(active=False),), "no", "is off"),
    (Disk("vda", pool="shared", volume="a"), (SHARED,), "ok", "shared pool"),
    (Disk("vda", pool="shared", volume="a"), (SHARED._replace(name="other"),), "no", "another pool"),
    (Disk("vda", path="/images/a"), (Pool("local", "dir", "/images", "", True, 10 * GIB),), "no", "can be copied"),
    (Disk("vda", path="/images/a"), (Pool("local", "dir", "/images", "", True, 1),), "no", "does not fit"),
    (Disk("vda", path="/images/a"), (), "unknown", "no pool there"),
    (Disk("vda", path="/elsewhere/a"), (), "unknown", "in no pool"),
    (Disk("vda", server="nbd1"), (), "unknown", "nbd1"),
    (Disk("sda", "cdrom", "/images/a.iso", readonly=True), (), "unknown", "a.iso"),
    (Disk("sda", "cdrom", "/images/a.iso", readonly=True), (Pool("local", "dir", "/images", "", True, 1),), "no", "a.iso"),
]  # fmt: skip


@pytest.mark.parametrize(("disk", "pools", "verdict", "word"), DISKS)
def test_a_disk_must_be_seen_by_the_target_or_be_copied(disk: Disk, pools: Any, verdict: str, word: str):
    source = make_machine(1, volumes={"/images/a": 2 * GIB})
    found = finding("disks", make_guest(disks=(disk,)), make_machine(pools=pools), source)
    assert found.name == verdict and word in f"{found.reason} {found.remedy}", found.reason


def test_a_folder_that_is_shared_is_told_apart_from_one_that_libvirt_sees_to_be():
    pools = (SHARED._replace(type="dir"),)
    found = finding("disks", make_guest(), make_machine(pools=pools), make_machine(1, pools=pools))
    assert found.name == "warning" and "“The storage is shared”" in found.remedy


def test_a_folder_within_a_network_share_is_one_that_libvirt_sees_to_be_shared():
    pools = (SHARED._replace(type="dir", seen_shared=True),)
    found = finding("disks", make_guest(), make_machine(pools=pools), make_machine(1, pools=pools))
    assert found.name == "ok" and "network file system" in found.reason
    mixed = make_machine(pools=(SHARED._replace(type="dir"),))
    assert finding("disks", make_guest(), mixed, make_machine(1, pools=pools)).name == "warning"


SECRETS = """<domain type='kvm'><os><type arch='x86_64' machine='pc'>hvm</type></os><devices>
<disk type='network'><source protocol='rbd' name='p/i'><auth username='kvm'><secret type='ceph' usage='client.kvm'/></auth>
<encryption format='luks'><secret type='passphrase' uuid='AB'/></encryption></source><target dev='vda'/></disk>
<disk type='file'><source file='/a'/><backingStore type='file'><source file='/b'>
<encryption format='luks'><secret type='passphrase' uuid='ab'/></encryption></source></backingStore><target dev='vdb'/></disk>
<tpm><backend type='emulator'><encryption secret='cd'/></backend></tpm></devices></domain>"""


def test_secrets_are_read_by_what_they_are_called_each_once():
    guest = guest_of(SECRETS, SECRETS, uuid="u", name="n", host=1)
    assert guest.secrets == (Secret(use="ceph", name="client.kvm"), Secret("ab"), Secret("cd"))


def test_a_disk_on_a_server_that_others_there_use_is_reached():
    guest = make_guest(disks=(Disk("vda", server="nbd1"),))
    assert finding("disks", guest, make_machine(servers=frozenset({"nbd1"}))).name == "ok"


def test_what_is_ticked_makes_of_disks_that_are_not_shared_a_yes():
    local = Disk("vda", path="/images/a")
    guest = make_guest(disks=(local,))
    assert finding("disks", guest, make_machine()).name == "no"
    assert finding("disks", guest, make_machine(), wishes=Wishes(copy_storage=True)).name == "ok"
    assert finding("disks", guest, make_machine(), wishes=Wishes(unsafe=True)).name == "warning"
    cd = make_guest(disks=(Disk("sda", "cdrom", "/images/new.iso", readonly=True),))
    assert finding("disks", cd, make_machine()).name == "no"
    found = finding("disks", cd, make_machine(), wishes=Wishes(unsafe=True))
    assert found.name == "warning", "of a folder that is shared the target's list of files may be older"
    full = make_machine(pools=(Pool("local", "dir", "/images", "", True, 1),))
    source = make_machine(1, volumes={"/images/a": 2 * GIB})
    assert finding("disks", guest, full, source, Wishes(copy_storage=True)).name == "no", "there is no room for a copy"


def test_of_several_disks_the_one_that_nothing_mends_is_told():
    guest = make_guest(disks=(Disk("vda", path="/images/a"), Disk("sda", "cdrom", "/images/b.iso", readonly=True)))
    found = finding("disks", guest, make_machine(), wishes=Wishes(copy_storage=True))
    assert found.name == "no" and "b.iso" in found.reason


def test_an_old_qemu_keeps_what_it_holds_of_disks():
    guest = make_guest(disks=(Disk("vda", path="/shared/a", cache="writeback"),))
    found = finding("cache", guest, make_machine(), make_machine(1, qemu=(2, 8, 0)))
    assert found.name == "warning" and "vda" in found.reason


def test_the_best_target_comes_first_and_those_that_cannot_be_last():
    full = make_machine(2, free=2 * GIB)
    roomy = make_machine(3, free=30 * GIB)
    lacking = make_machine(4, networks={})
    table = Table([make_guest()], [make_machine(1), full, roomy, lacking])
    names = [table.machines[number].name for number in table.best(0)]
    assert names[:2] == ["kvm3", "kvm2"] and set(names[2:]) == {"kvm1", "kvm4"}


def test_guests_that_are_alike_are_judged_alike_and_others_apart():
    guests = [make_guest()._replace(uuid=str(n), name=f"g{n}") for n in range(3)]
    guests.append(make_guest(cards=(Card("network", "dmz"),))._replace(uuid="x", name="x"))
    table = Table(guests, [make_machine(1), make_machine()])
    assert [row[1] for row in table.verdicts] == [0, 0, 0, 3]


def test_the_baseline_is_what_all_have_and_says_what_each_has_beyond():
    one = make_machine(1)
    less = replace(make_machine(2), processors={("x86_64", "kvm"): Processors(frozenset({"sse4"}), {"EPYC": "no"}, {})})
    silent = make_machine(3, processors={})
    (found,) = baselines([one, less, silent])
    assert (found.features, found.models, found.silent) == (("sse4",), (), ("kvm3",))
    assert [(member.machine.name, member.more) for member in found.members] == [("kvm1", ("aes", "avx")), ("kvm2", ())]
    assert not found.is_uniform and baselines([one])[0].is_uniform and baselines([silent]) == []


LIVE = """<domain type='kvm' id='1'><memory unit='GiB'>2</memory><vcpu placement='static' cpuset='0-1,^1,4'>2</vcpu>
<memoryBacking><hugepages><page size='1' unit='GiB'/></hugepages></memoryBacking>
<numatune><memory mode='strict' nodeset='1'/></numatune><cputune><vcpupin vcpu='0' cpuset='6'/></cputune>
<os><type arch='x86_64' machine='pc-q35-7.2'>hvm</type><loader>/fw.fd</loader><nvram>/nv.fd</nvram><kernel>/k</kernel></os>
<cpu mode='custom'><model>EPYC</model><feature policy='require' name='aes'/><feature policy='disable' name='svm'/></cpu>
<devices><emulator>/usr/bin/qemu</emulator>
<disk type='file' device='disk'><driver cache='none'/><source file='/a//b.qcow2'>
<encryption><secret uuid='x'/></encryption></source><target dev='vda'/></disk>
<disk type='network' device='disk'><source protocol='rbd' name='p/i'><host name='Mon1'/></source><target dev='vdb'/></disk>
<disk type='file' device='cdrom'><target dev='sda'/></disk>
<interface type='bridge'><source bridge='br0'/><filterref filter='f'/></interface>
<hostdev mode='subsystem' type='pci'><source><address domain='0x0000' bus='0x3b' slot='0x00' function='0x0'/></source></hostdev>
<filesystem><driver type='virtiofs'/><source dir='/srv'/></filesystem><tpm><backend type='emulator'/></tpm>
<graphics type='vnc' listen='10.0.0.1'/></devices></domain>"""


def test_what_a_guest_needs_is_read_from_its_live_definition():
    stored = LIVE.replace(" listen='10.0.0.1'", "")
    guest = guest_of(LIVE, stored, uuid="u", name="n", host=1)
    assert (guest.arch, guest.machine, guest.virt, guest.loader) == ("x86_64", "pc-q35-7.2", "kvm", "/fw.fd")
    assert (guest.nvram, guest.files, guest.secrets, guest.tpm) == (True, ("/k",), (Secret("x"),), "emulator")
    assert guest.cpu == Cpu("custom", "EPYC", frozenset({"aes"}), frozenset({"svm"}))
    assert [(disk.target, disk.path, disk.server) for disk in guest.disks] == [
        ("vda", "/a/b.qcow2", ""),
        ("vdb", "", "mon1"),
    ]
    assert guest.cards == (Card("bridge", "br0", "", "f"),)
    assert guest.devices == (Device("hostdev", "pci 0000:3b:00:0"), Device("virtiofs", "/srv"))
    assert guest.pages == (Pages(GIB, 2 * GIB),) and guest.pins == (0, 4, 6) and guest.nodes == (1,)
    assert guest.listens == (), "where it listens is chosen anew on each host unless the stored definition says it"


@pytest.mark.parametrize(
    "text", ["", "<domain", "<volume/>", "<domain/>", "<domain><devices><disk/></devices></domain>"]
)
def test_a_definition_that_says_little_or_nothing_is_judged_and_never_called_good(text: str):
    guest = guest_of(text, "", uuid="u", name="n", host=1)
    assert finding("cpu", guest, make_machine()).name == "unknown"
    assert finding("machine", guest, make_machine()).name == "unknown"


@pytest.mark.parametrize(
    ("text", "found"), [("0-3,^2,8", {0, 1, 3, 8}), ("", set()), ("x", set()), ("0-99999999", set()), ("^1", set())]
)
def test_lists_of_processors_are_read_as_libvirt_writes_them(text: str, found: set[int]):
    assert numbers(text) == found
