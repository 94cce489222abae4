"""Making guests where something breaks in the middle: a pool that fills up, a host that is cut off while it copies."""

from __future__ import annotations

import shlex

import pytest

from conftest import wait_until
from hosts.tests.images_host import some_bytes
from kvmdash.tests.test_lab_creating import body, do, image, made, volumes
from kvmdash.tests.test_lab_storage import folder, inside
from vms.tests.appliance.packing import ovf, tar

__all__ = ["folder", "image", "made"]
pytestmark = pytest.mark.lab
MIB = 1 << 20


def guests(lab):
    return lab.virsh("kvm1", "list", "--all", "--name").split()


def test_a_pool_that_fills_up_in_the_middle_leaves_nothing_behind(program, lab_cluster, image, folder):
    path = f"{folder}/small"
    inside(lab_cluster, "mkdir", path)
    inside(lab_cluster, "mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", path)
    try:
        asked = program.api("hosts/kvm1/pool-define", {"type": "dir", "name": "t-small", "path": path, "start": True})[
            1
        ]
        assert program.ended(asked["id"])["state"] == "succeeded"
        wait_until(lambda: program.api("pools/kvm1/t-small")[0] == 200)
        inside(lab_cluster, "dd", "if=/dev/zero", f"of={path}/filler", "bs=1M", "count=50")
        ended = do(program, "vms", **body(image, "full-1", pool="t-small"))
        assert ended["state"] == "failed" and "removed again" in ended["error"]["message"], ended
        assert "No space" in ended["error"]["message"] or "pool is full" in ended["error"]["message"], ended
        lab_cluster.virsh("kvm1", "pool-refresh", "t-small")
        assert volumes(lab_cluster, "t-small") == {"filler"} and "full-1" not in guests(lab_cluster)
        status, answer = program.api("vms", body(image, "full-2", pool="t-small", size=2 << 40, allocate=True))
        assert (status, "free" in answer["detail"]) in {(409, True), (202, False)}
    finally:
        lab_cluster.virsh("kvm1", "pool-destroy", "t-small")
        inside(lab_cluster, "umount", path)


@pytest.fixture
def slow_copies(lab_cluster, folder):
    """On kvm1 images are copied by a program that does not end before it is told to."""
    script, number = f"{folder}/does-not-end", f"{folder}/its-pid"
    text = f"#!/bin/sh\necho $$ > {number}\nexec sleep 600\n"
    inside(lab_cluster, "sh", "-c", f"printf %s {shlex.quote(text)} > {script}; chmod +x {script}")
    program = inside(lab_cluster, "sh", "-c", "readlink -f $(command -v qemu-img)").strip()
    inside(lab_cluster, "mount", "--bind", script, program)
    yield number
    inside(lab_cluster, "umount", program)
    lab_cluster.execute("kvm1", ["sh", "-c", f"kill $(cat {number})"])


def test_a_host_cut_off_while_it_copies_has_nothing_left_of_it_afterwards(program, lab_cluster, image, slow_copies):
    before = volumes(lab_cluster)
    _status, asked = program.api("vms", body(image, "cut-1"))
    wait_until(
        lambda: lab_cluster.execute("kvm1", ["test", "-s", slow_copies]).returncode == 0, 30, "the copy to begin"
    )
    lab_cluster.cut("kvm1")
    wait_until(lambda: program.operation(asked["id"])["progress"].get("waiting_for"), 60, "the loss to be noticed")
    lab_cluster.join("kvm1")
    inside(lab_cluster, "sh", "-c", f"kill $(cat {slow_copies})")
    ended = program.ended(asked["id"], 120)
    assert ended["state"] == "failed" and "removed again" in ended["error"]["message"], ended
    assert volumes(lab_cluster) == before and "cut-1" not in guests(lab_cluster)


def test_what_was_unpacked_of_an_appliance_when_kvmdash_was_killed_is_taken_back(program, lab_cluster, image):
    """kill -9 while the disk's bytes are on their way: who comes after finds the temporary volume and the mark on it."""
    disk = some_bytes(400 * MIB)
    described = ovf(
        files='<File ovf:id="file1" ovf:href="disk.img"/>',
        disks=f'<Disk ovf:diskId="vmdisk1" ovf:fileRef="file1" ovf:capacity="{len(disk)}"/>',
    )
    file = lab_cluster.shared / "large.ova"
    file.write_bytes(tar([("large.ovf", described), ("disk.img", disk)]))
    before = volumes(lab_cluster)
    try:
        program.refresh("pools/kvm1/shared")
        row = wait_until(lambda: program.get("pools/kvm1/shared/volumes?q=large.ova")["items"], 30)[0]
        asked = program.api(f"volumes/{row['id']}/read-ova", {})[1]
        assert program.ended(asked["id"])["state"] == "succeeded"
        wanted = {
            "name": "killed-1",
            "host": "kvm1",
            "road": "ova",
            "image": "shared/large.ova",
            "pool": "local",
            "virt": "qemu",
        }
        status, asked = program.api("vms", wanted)
        assert status == 202, asked
        wait_until(lambda: program.operation(asked["id"])["progress"].get("remaining"), 30, "bytes to be on their way")
        program.kill()
        assert "killed-1.qcow2.unpacking" in volumes(lab_cluster)
        program.start()
        ended = program.ended(asked["id"], 120)
        assert ended["state"] == "failed" and "removed again" in ended["error"]["message"], ended
        assert volumes(lab_cluster) == before and "killed-1" not in guests(lab_cluster)
    finally:
        file.unlink()
