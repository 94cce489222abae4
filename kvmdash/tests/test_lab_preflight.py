"""What the preflight says, against what libvirt does: on real hosts, for guests that fit and for those that something keeps."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from lxml import etree

from conftest import wait_until
from kvmdash.tests.test_lab_cluster import hosts_running, other_host

pytestmark = pytest.mark.lab
Make = Callable[..., tuple[str, str, str]]


def cells(program: Any, guest: str, target: str) -> dict[str, Any]:
    """Check → cell for one guest and one host."""
    told = program.get(f"vms/{program.vm(guest)['uuid']}/preflight")
    found = next(one for one in told["targets"] if one["host"] == target)
    return {cell["check"]: cell for cell in found["cells"]} | {"verdict": found["verdict"]}


def refused_by_libvirt(lab: Any, source: str, guest: str, target: str, *more: str) -> str:
    """libvirt's own words against the same move, asked by virsh."""
    peer = lab.facts["hosts"][target]["peer_uri"]
    done = lab.host(source).virsh("migrate", guest, peer, "--live", "--p2p", *more, timeout=60)
    assert done.returncode != 0, f"libvirt moved {guest}, which the preflight said it would not"
    return str(done.stderr)


@pytest.fixture
def make(program: Any, lab_cluster: Any) -> Iterator[Make]:
    """Makes a small guest on a host, with something changed in its definition; (its name, host, another host)."""
    made: list[tuple[str, str]] = []

    def one(change: Callable[[etree._Element, str], None], *, start: bool = True) -> tuple[str, str, str]:
        home = program.vm("cache-1")["host"]
        domain = etree.fromstring(lab_cluster.virsh(home, "dumpxml", "cache-1", "--inactive"))
        name = f"pf-{uuid.uuid4().hex[:6]}"
        domain.find("name").text, domain.find("uuid").text = name, str(uuid.uuid4())
        for nic in domain.findall("devices/interface"):
            nic.remove(nic.find("mac"))
        change(domain, home)
        made.append((home, name))
        file = lab_cluster.host(home).directory / f"{name}.xml"
        file.write_bytes(etree.tostring(domain))
        lab_cluster.virsh(home, "define", str(file))
        if start:
            lab_cluster.virsh(home, "start", name)
        state = "running" if start else "shutoff"
        wait_until(
            lambda: any(vm["power_state"] == state for vm in program.get(f"vms?q={name}")["items"]), 60, "it to be seen"
        )
        return name, home, other_host(program, "cache-1")

    yield one
    for home, name in made:
        lab_cluster.host(home).virsh("destroy", name)
        lab_cluster.host(home).virsh("undefine", name, "--snapshots-metadata")


def test_a_guest_that_fits_is_let_go_and_arrives(program, lab_cluster):
    guest = program.running("cache-1")
    target = other_host(program, guest)
    wait_until(lambda: cells(program, guest, target)["cpu"]["verdict"] == "ok", 60, "the processors to be told")
    found = cells(program, guest, target)
    assert found["verdict"] != "no", found
    sure = ("host", "guest", "cpu", "machine", "networks", "devices")
    assert {name: found[name]["verdict"] for name in sure} == dict.fromkeys(sure, "ok"), found
    source = program.vm(guest)["host"]
    program.done(guest, "migrate", host=target)
    assert hosts_running(lab_cluster, guest) == [target]
    wait_until(lambda: program.vm(guest)["host"] == target, 30, "it to be seen there")
    # The road is known from then on, and the way back is judged anew.
    road = next(
        one for one in program.get(f"vms/{program.vm(guest)['uuid']}/preflight")["targets"] if one["host"] == source
    )
    assert road["verdict"] != "no"


def test_a_network_that_the_target_lacks_keeps_a_guest_as_it_does_with_virsh(program, lab_cluster, make):
    home = program.vm("cache-1")["host"]
    lab_cluster.host(home).directory.joinpath("only.xml").write_text("<network><name>only-here</name></network>")
    lab_cluster.virsh(home, "net-define", str(lab_cluster.host(home).directory / "only.xml"))
    lab_cluster.virsh(home, "net-start", "only-here")
    try:
        guest, source, target = make(
            lambda domain, _home: domain.find("devices/interface/source").set("network", "only-here")
        )
        found = cells(program, guest, target)["networks"]
        assert found["verdict"] == "no" and "only-here" in found["reason"], found
        status, answer = program.api(f"vms/{program.vm(guest)['uuid']}/migrate", {"host": target})
        assert status == 409 and "only-here" in answer["detail"], answer
        assert "only-here" in refused_by_libvirt(lab_cluster, source, guest, target)
        assert hosts_running(lab_cluster, guest) == [source]
    finally:
        lab_cluster.host(home).virsh("net-destroy", "only-here")
        lab_cluster.host(home).virsh("net-undefine", "only-here")


def test_a_disk_of_one_host_alone_and_a_snapshot_keep_a_guest_as_they_do_with_virsh(program, lab_cluster, make):
    name = f"pf-{uuid.uuid4().hex[:6]}.qcow2"

    def with_disk(domain: etree._Element, home: str) -> None:
        lab_cluster.virsh(home, "vol-create-as", "local", name, "16M", "--format", "qcow2")
        disk = etree.fromstring(
            "<disk type='file' device='disk'><driver name='qemu' type='qcow2'/><target dev='vda' bus='virtio'/></disk>"
        )
        etree.SubElement(disk, "source").set("file", f"/var/lib/libvirt/images/{name}")
        domain.find("devices").append(disk)

    guest, source, target = make(with_disk)
    try:
        wait_until(lambda: cells(program, guest, target)["disks"]["verdict"] == "no", 60, "its disk to be seen")
        assert "not shared" in cells(program, guest, target)["disks"]["reason"]
        assert "shared storage" in refused_by_libvirt(lab_cluster, source, guest, target)
        lab_cluster.virsh(source, "snapshot-create-as", guest, "one")
        program.api(f"hosts/{source}/refresh", {})
        wait_until(lambda: cells(program, guest, target)["snapshots"]["verdict"] == "no", 60, "its snapshot to be seen")
        assert "snapshot" in refused_by_libvirt(lab_cluster, source, guest, target, "--unsafe")
        assert hosts_running(lab_cluster, guest) == [source]
    finally:
        lab_cluster.host(source).virsh("destroy", guest)
        lab_cluster.host(source).virsh("vol-delete", name, "--pool", "local")


def test_a_device_of_its_host_keeps_a_guest_as_it_does_with_virsh(program, lab_cluster, make):
    shared = etree.fromstring(
        "<shmem name='pf' role='peer'><model type='ivshmem-plain'/><size unit='M'>1</size></shmem>"
    )
    guest, source, target = make(lambda domain, _home: domain.find("devices").append(shared))
    found = cells(program, guest, target)["devices"]
    assert found["verdict"] == "no", found
    assert "shmem" in refused_by_libvirt(lab_cluster, source, guest, target)


def test_a_handed_through_device_in_the_definition_is_told_by_its_address(program, lab_cluster, make):
    text = """<hostdev mode='subsystem' type='pci' managed='yes'><source>
    <address domain='0x0000' bus='0x3b' slot='0x00' function='0x0'/></source></hostdev>"""
    guest, _source, target = make(
        lambda domain, _home: domain.find("devices").append(etree.fromstring(text)), start=False
    )
    found = cells(program, guest, target)
    # It is off: the definition may go, and could not start there.
    assert found["devices"]["verdict"] == "warning" and "0000:3b:00:0" in found["devices"]["reason"], found["devices"]


def test_more_memory_than_a_host_has_is_told_and_that_host_cannot_start_it_either(program, lab_cluster, make):
    def huge(domain: etree._Element, _home: str) -> None:
        for name in ("memory", "currentMemory"):
            element = domain.find(name)
            element.text, element.attrib["unit"] = "4", "TiB"

    guest, source, target = make(huge, start=False)
    found = cells(program, guest, target)["memory"]
    assert found["verdict"] == "warning" and "4.0 TiB" in found["reason"], found
    assert "memory" in lab_cluster.host(source).virsh("start", guest).stderr


def with_secret(key: str) -> Callable[[etree._Element, str], None]:
    """A disk whose server wants a secret: libvirt looks it up before the guest is started or taken in."""

    def change(domain: etree._Element, _home: str) -> None:
        text = f"""<disk type='network' device='disk'><driver name='qemu' type='raw'/>
        <source protocol='rbd' name='pool/image'><host name='127.0.0.1'/><auth username='kvm'>
        <secret type='ceph' uuid='{key}'/></auth></source><target dev='vdx' bus='virtio'/></disk>"""
        domain.find("devices").append(etree.fromstring(text))

    return change


def test_a_secret_that_a_host_lacks_is_told_as_soon_as_it_is_defined_there_and_never_what_it_holds(
    program, lab_cluster, make
):
    key = str(uuid.uuid4())
    guest, source, target = make(with_secret(key), start=False)
    wait_until(lambda: cells(program, guest, target)["secrets"]["verdict"] == "warning", 60, "the hosts to have told")
    # It is off: it could not start there, as libvirt says too.
    assert key in cells(program, guest, target)["secrets"]["reason"]
    assert key in lab_cluster.host(source).virsh("start", guest).stderr
    file = lab_cluster.host(target).directory / "secret.xml"
    file.write_text(f"<secret><uuid>{key}</uuid><usage type='ceph'><name>client.{key[:8]}</name></usage></secret>")
    lab_cluster.virsh(target, "secret-define", str(file))
    try:
        lab_cluster.virsh(target, "secret-set-value", key, "--base64", "ZG8tbm90LXRlbGw=")
        wait_until(
            lambda: "has the 1 secrets" in cells(program, guest, target)["secrets"]["reason"], 60, "it to be told"
        )
        assert key in cells(program, guest, other_host(program, guest, target))["secrets"]["reason"], (
            "of others it is missing"
        )
        seen = (program.folder / "kvmdash.sqlite3").read_bytes() + (program.folder / "kvmdash.sqlite3-wal").read_bytes()
        assert b"do-not-tell" not in seen and b"ZG8tbm90LXRlbGw" not in seen and "do-not-tell" not in program.log()
    finally:
        lab_cluster.host(target).virsh("secret-undefine", key)
    wait_until(lambda: key in cells(program, guest, target)["secrets"]["reason"], 60, "it to be gone")


def test_a_refresh_has_a_host_asked_again_which_processors_guests_can_have(program, lab_cluster):
    guest = program.vm("cache-1")["uuid"]

    def told() -> Any:
        targets = program.get(f"vms/{guest}/preflight")["targets"]
        return next(one["processors_at"] for one in targets if one["host"] == "kvm2")

    before = wait_until(told, 60, "the host to have told")
    program.refresh("hosts/kvm2")
    wait_until(lambda: told() > before, 60, "it to have told again")
