"""Storage on real libvirtd: acted on here and checked with virsh and qemu-img, a pool that hangs, storage of two hosts."""

from __future__ import annotations

import json
import shlex

import pytest

from conftest import wait_until
from lab.errors import LabError

pytestmark = pytest.mark.lab
MIB = 1 << 20


def inside(lab, *command):
    """Run a program on kvm1; what it printed."""
    ended = lab.execute("kvm1", command)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


@pytest.fixture
def folder(lab_cluster):
    """A folder on kvm1 of the test's own, gone afterwards with every pool in it."""
    path = "/var/lib/libvirt/images/of-tests"
    inside(lab_cluster, "mkdir", "-p", path)
    yield path
    for name in lab_cluster.virsh("kvm1", "pool-list", "--all", "--name").split():
        if name.startswith("t-"):
            if "running" in lab_cluster.virsh("kvm1", "pool-info", name):
                lab_cluster.virsh("kvm1", "pool-destroy", name)
            lab_cluster.virsh("kvm1", "pool-undefine", name)
    inside(lab_cluster, "rm", "-rf", path)


def do(program, address, /, **body):
    """Ask and wait for the end."""
    status, answer = program.api(address, body)
    assert status == 202, answer
    return program.ended(answer["id"])


def done(program, address, /, **body):
    ended = do(program, address, **body)
    assert ended["state"] == "succeeded", ended
    return ended


def volume(program, pool, name):
    found = program.get(f"pools/kvm1/{pool}/volumes?q={name}")["items"]
    return next((item for item in found if item["name"] == name), None)


def image(lab, path):
    """What qemu-img says of it, once it has found it sound."""
    if not path.endswith(".raw"):
        inside(lab, "qemu-img", "check", path)
    return json.loads(inside(lab, "qemu-img", "info", "--output=json", path))


def test_a_folder_pool_and_real_images_from_the_first_to_the_last_step(program, lab_cluster, folder):
    path = f"{folder}/first"
    done(
        program, "hosts/kvm1/pool-define", type="dir", name="t-first", path=path, build=True, start=True, autostart=True
    )
    facts = lab_cluster.virsh("kvm1", "pool-info", "t-first")
    assert "running" in facts and "Autostart:      yes" in facts
    wait_until(lambda: any(pool["name"] == "t-first" for pool in program.get("pools?host=kvm1")["items"]))

    done(program, "pools/kvm1/t-first/volumes", name="base.qcow2", capacity=64 * MIB)
    done(program, "pools/kvm1/t-first/volumes", name="whole.raw", capacity=8 * MIB, format="raw", allocate=True)
    base = image(lab_cluster, f"{path}/base.qcow2")
    assert (base["format"], base["virtual-size"]) == ("qcow2", 64 * MIB)
    assert image(lab_cluster, f"{path}/whole.raw")["actual-size"] >= 8 * MIB
    wait_until(lambda: volume(program, "t-first", "base.qcow2"))
    done(program, "pools/kvm1/t-first/volumes", name="top.qcow2", capacity=64 * MIB, backing=f"{path}/base.qcow2")
    assert image(lab_cluster, f"{path}/top.qcow2")["backing-filename"] == f"{path}/base.qcow2"

    top = wait_until(lambda: volume(program, "t-first", "top.qcow2"))
    assert top["backing_path"] == f"{path}/base.qcow2"
    done(program, f"volumes/{top['id']}/clone", name="copy.qcow2")
    copy = image(lab_cluster, f"{path}/copy.qcow2")
    assert "backing-filename" not in copy and copy["virtual-size"] == 64 * MIB
    row = wait_until(lambda: volume(program, "t-first", "copy.qcow2"))
    done(program, f"volumes/{row['id']}/resize", capacity=96 * MIB)
    assert image(lab_cluster, f"{path}/copy.qcow2")["virtual-size"] == 96 * MIB
    wait_until(lambda: volume(program, "t-first", "copy.qcow2")["capacity"] == 96 * MIB)

    status, answer = program.api(f"volumes/{volume(program, 't-first', 'base.qcow2')['id']}/delete", {})
    assert status == 409 and "top.qcow2" in answer["detail"]
    whole = wait_until(lambda: volume(program, "t-first", "whole.raw"))
    inside(lab_cluster, "sh", "-c", f"echo secret | dd of={shlex.quote(whole['path'])} conv=notrunc 2>/dev/null")
    done(program, f"volumes/{whole['id']}/wipe", confirm="whole.raw")
    assert "secret" not in inside(lab_cluster, "head", "-c", "6", whole["path"])
    for name in ("copy.qcow2", "whole.raw", "top.qcow2", "base.qcow2"):
        done(program, f"volumes/{volume(program, 't-first', name)['id']}/delete")
        wait_until(lambda name=name: volume(program, "t-first", name) is None)
    assert lab_cluster.virsh("kvm1", "vol-list", "t-first").strip().splitlines()[2:] == []
    done(program, "pools/kvm1/t-first/delete", delete_storage=True, confirm="t-first")
    assert "t-first" not in lab_cluster.virsh("kvm1", "pool-list", "--all", "--name").split()
    assert "first" not in inside(lab_cluster, "ls", folder).split()


def test_what_virsh_does_is_seen_after_a_refresh(program, lab_cluster, folder):
    lab_cluster.virsh("kvm1", "pool-create-as", "t-virsh", "dir", "--target", folder)
    wait_until(lambda: any(pool["name"] == "t-virsh" for pool in program.get("pools")["items"]), what="its event")
    inside(lab_cluster, "qemu-img", "create", "-q", "-f", "qcow2", f"{folder}/copied.qcow2", "32M")
    assert volume(program, "t-virsh", "copied.qcow2") is None
    done(program, "pools/kvm1/t-virsh/refresh")
    assert wait_until(lambda: volume(program, "t-virsh", "copied.qcow2"))["capacity"] == 32 * MIB
    lab_cluster.virsh("kvm1", "pool-destroy", "t-virsh")
    wait_until(lambda: program.api("pools/kvm1/t-virsh")[0] == 404)


def test_the_folder_that_hosts_share_is_one_storage_and_its_users_are_those_of_all(program, lab_cluster):
    for host in lab_cluster.hosts:
        done(
            program, f"pools/{host}/shared/refresh"
        )  # libvirt looks only when told to: earlier tests changed the folder.
    shared = wait_until(lambda: _shared(program), 60, "the shared folder to be recognised")
    assert shared["shared_by"] == "volumes" and shared["sharing"] == 3
    users = wait_until(lambda: _users(program, "kvm3", "web-1.qcow2"), 60, "the volume's user to be seen")
    assert [user["name"] for user in users] == ["web-1"]
    assert program.get("pools/kvm1/local")["sharing"] == 0
    status, answer = program.api(f"volumes/{_id(program, 'kvm3', 'web-1.qcow2')}/delete", {})
    assert status == 409 and "web-1" in answer["detail"]


def _shared(program):
    pool = program.get("pools/kvm1/shared")
    return pool if pool["sharing"] == 3 else None


def _users(program, host, name):
    items = program.get(f"pools/{host}/shared/volumes")["items"]
    return next((item["users"] for item in items if item["name"] == name), None)


def _id(program, host, name):
    return next(item["id"] for item in program.get(f"pools/{host}/shared/volumes")["items"] if item["name"] == name)


def test_a_driver_that_a_host_lacks_is_told(program, lab_cluster):
    lacking = "pool type='zfs' supported='no'" in lab_cluster.virsh("kvm1", "pool-capabilities")
    status, answer = program.api("hosts/kvm1/pool-define", {"type": "zfs", "name": "t-zfs", "source_name": "tank"})
    if lacking:
        assert status == 409 and "libvirt-daemon-driver-storage-zfs" in answer["detail"]
    else:
        assert status == 202


def test_what_cannot_be_started_is_taken_back(program, lab_cluster, folder):
    body = {"type": "dir", "name": "t-none", "path": f"{folder}/is-not-there", "start": True}
    ended = do(program, "hosts/kvm1/pool-define", **body)
    assert ended["state"] == "failed" and "is-not-there" in ended["error"]["message"]
    assert "t-none" not in lab_cluster.virsh("kvm1", "pool-list", "--all", "--name").split()


def test_a_password_lies_in_a_secret_of_the_host_and_goes_with_the_pool(program, lab_cluster, folder):
    body = {"type": "iscsi", "name": "t-chap", "host": "10.199.0.250", "target": "iqn.2026-01.com.example:none",
            "username": "dash", "password": "hunter2-hunter2"}  # fmt: skip
    uuid = done(program, "hosts/kvm1/pool-define", **body)["result"]["pool"]
    definition = lab_cluster.virsh("kvm1", "pool-dumpxml", "t-chap")
    secret = lab_cluster.virsh("kvm1", "secret-list").split()
    assert "hunter2" not in definition and "username='dash'" in definition and f"kvmdash-{uuid}" in secret
    with pytest.raises(LabError):
        lab_cluster.virsh("kvm1", "secret-get-value", secret[secret.index("iscsi") - 1])  # private: told to nobody
    wait_until(lambda: program.api("pools/kvm1/t-chap")[0] == 200)
    done(program, "pools/kvm1/t-chap/delete")
    assert f"kvmdash-{uuid}" not in lab_cluster.virsh("kvm1", "secret-list")
    for table in ("operations", "pools"):
        assert "hunter2" not in json.dumps(program.get(table))
    assert "hunter2" not in program.log()


@pytest.fixture
def hanging_pool(program, lab_cluster, folder):
    """A pool of kvm1 that libvirtd keeps locked: it waits for a program that does not end, as for storage that is dead."""
    done(program, "hosts/kvm1/pool-define", type="dir", name="t-hangs", path=folder, start=True)
    done(program, "pools/kvm1/t-hangs/volumes", name="disk.qcow2", capacity=MIB)
    row = wait_until(lambda: volume(program, "t-hangs", "disk.qcow2"))
    script, number = f"{folder}/does-not-end", f"{folder}/its-pid"
    text = f"#!/bin/sh\necho $$ > {number}\nexec sleep 600\n"
    inside(lab_cluster, "sh", "-c", f"printf %s {shlex.quote(text)} > {script}; chmod +x {script}")
    image_program = inside(lab_cluster, "sh", "-c", "readlink -f $(command -v qemu-img)").strip()
    inside(lab_cluster, "mount", "--bind", script, image_program)
    status, asked = program.api(f"volumes/{row['id']}/resize", {"capacity": 2 * MIB})
    assert status == 202
    wait_until(lambda: lab_cluster.execute("kvm1", ["test", "-s", number]).returncode == 0, what="libvirtd to wait")
    yield asked["id"]
    inside(lab_cluster, "umount", image_program)
    inside(lab_cluster, "sh", "-c", f"kill $(cat {number})")
    assert program.ended(asked["id"])["state"] == "failed"


def test_a_pool_that_hangs_stops_nothing_but_itself(program, lab_cluster, hanging_pool):
    lab_cluster.virsh("kvm1", "vol-create-as", "local", "seen.raw", "1M", "--format", "raw")
    program.api("hosts/kvm1/refresh", {})
    trouble = wait_until(lambda: program.get("pools/kvm1/t-hangs")["trouble"], 90, "the trouble to be told")
    assert "does not answer" in trouble
    seen = wait_until(lambda: volume(program, "local", "seen.raw"), 60, "another pool to be read")
    done(program, f"volumes/{seen['id']}/delete")
    done(program, "pools/kvm1/local/volumes", name="made.raw", capacity=MIB, format="raw")
    made = wait_until(lambda: volume(program, "local", "made.raw"), 60)
    done(program, f"volumes/{made['id']}/delete")
    assert program.get("pools/kvm1/local")["trouble"] == ""
    assert program.get("hosts/kvm1")["state"] == "connected"
    assert program.operation(hanging_pool)["state"] == "running"
