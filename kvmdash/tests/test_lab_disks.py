"""Disks that move to another pool and grow, on real QEMU: what virsh shows, and what is left when it does not end well."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from conftest import wait_until

pytestmark = pytest.mark.lab
GUEST = "web-1"


def sources(lab: Any, guest: str, *options: str) -> str:
    """Where the guest's disk is, as its host says."""
    host = holder(lab, guest)
    rows = [line.split() for line in lab.virsh(host, "domblklist", guest, *options).splitlines()]
    return next(row[1] for row in rows if row and row[0] == "vda")


def holder(lab: Any, guest: str) -> str:
    return next(name for name in lab.hosts if guest in lab.virsh(name, "list", "--all", "--name").split())


def volumes(lab: Any, host: str, pool: str) -> list[str]:
    return [line.split()[0] for line in lab.virsh(host, "vol-list", pool).splitlines() if "/" in line]


def output_of(lab: Any, guest: str, *command: str) -> str:
    """What a program in the guest writes, run by its agent to its end."""
    host = holder(lab, guest)

    def ask(name: str, arguments: dict[str, Any]) -> Any:
        asked = json.dumps({"execute": name, "arguments": arguments})
        return json.loads(lab.virsh(host, "qemu-agent-command", guest, asked))["return"]

    wait_until(lambda: "state='connected'" in lab.virsh(host, "dumpxml", guest), 60, "the agent to answer")
    pid = ask("guest-exec", {"path": command[0], "arg": list(command[1:]), "capture-output": True})["pid"]
    done = wait_until(lambda: (told := ask("guest-exec-status", {"pid": pid}))["exited"] and told, 60, command[0])
    assert done["exitcode"] == 0, done
    return base64.b64decode(done.get("out-data", "")).decode()


def is_seen(program: Any, guest: str, source: str) -> bool:
    vm = program.get(f"vms/{program.vm(guest)['uuid']}")
    return any(disk["target"] == "vda" and disk["source"] == source for disk in vm["disks"])


def is_volume(program: Any, host: str, pool: str, name: str) -> bool:
    found = program.get(f"pools/{host}/{pool}/volumes?page_size=200")["items"]
    return any(volume["name"] == name for volume in found)


@pytest.fixture
def full(lab_cluster: Any, disk: str) -> Any:
    """The disk with so much on it that a copy takes its time."""
    output_of(lab_cluster, GUEST, "/bin/dd", "if=/dev/urandom", "of=/data/full", "bs=1M", "count=24")
    output_of(lab_cluster, GUEST, "/bin/sync")
    yield disk
    output_of(lab_cluster, GUEST, "/bin/rm", "/data/full")


@pytest.fixture
def disk(program: Any, lab_cluster: Any) -> Any:
    """A running guest's disk; afterwards it is back where the lab made it."""
    program.running(GUEST)
    before = sources(lab_cluster, GUEST)
    host = holder(lab_cluster, GUEST)
    wait_until(lambda: is_volume(program, host, "shared", "web-1.qcow2"), 60, "the volume to be seen")
    yield before
    program.running(GUEST)
    now = sources(lab_cluster, GUEST)
    if now != before:
        wait_until(lambda: is_seen(program, GUEST, now), 30, "the move to be seen")
        lab_cluster.virsh(host, "pool-refresh", "shared")
        if "web-1.qcow2" in volumes(lab_cluster, host, "shared"):
            lab_cluster.virsh(host, "vol-delete", "web-1.qcow2", "--pool", "shared")
        forget_volume(program, lab_cluster, "web-1.qcow2")
        back = program.do(
            GUEST, "block-copy", target="vda", pool="shared", name="web-1.qcow2", format="qcow2", delete_source=True
        )
        assert back["state"] == "succeeded", back
        wait_until(lambda: is_seen(program, GUEST, before), 30, "the move back to be seen")


def forget_volume(program: Any, lab: Any, name: str) -> None:
    """Have every host see that the shared folder does not hold it any more."""
    for host in lab.hosts:
        lab.virsh(host, "pool-refresh", "shared")
        program.api(f"hosts/{host}/refresh", {})
    for host in lab.hosts:
        wait_until(lambda host=host: not is_volume(program, host, "shared", name), 60, "the old volume to be gone")


def test_a_running_disk_moves_to_another_pool_and_the_old_volume_goes(program, lab_cluster, disk) -> None:
    host = holder(lab_cluster, GUEST)
    moved = program.do(
        GUEST, "block-copy", target="vda", pool="local", name="moved.qcow2", format="qcow2", delete_source=True
    )
    assert moved["state"] == "succeeded", moved
    there = lab_cluster.virsh(host, "vol-path", "moved.qcow2", "--pool", "local").strip()
    assert sources(lab_cluster, GUEST) == sources(lab_cluster, GUEST, "--inactive") == there
    assert lab_cluster.state(host, GUEST) == "running"
    assert "blockcopy web-1 vda" in moved["virsh"]
    lab_cluster.virsh(host, "pool-refresh", "shared")
    assert "web-1.qcow2" not in volumes(lab_cluster, host, "shared")
    wait_until(lambda: is_seen(program, GUEST, there), 30, "the page to say so")


def test_a_move_that_is_stopped_leaves_the_disk_where_it_was_and_nothing_else(program, lab_cluster, full) -> None:
    host = holder(lab_cluster, GUEST)
    identity = program.ask(GUEST, "block-copy", target="vda", pool="local", name="slow.raw", format="raw", bandwidth=2)
    wait_until(lambda: program.operation(identity)["progress"].get("percent"), 30, "the copy to be under way")
    assert "slow.raw" in volumes(lab_cluster, host, "local")
    status, answer = program.api(f"operations/{identity}/cancel", {})
    assert status in (200, 202), answer
    ended = program.ended(identity)
    assert ended["state"] == "cancelled", ended
    assert sources(lab_cluster, GUEST) == sources(lab_cluster, GUEST, "--inactive") == full
    assert "slow.raw" not in volumes(lab_cluster, host, "local")
    assert lab_cluster.virsh(host, "blockjob", GUEST, "vda", "--raw").strip() in ("", "No current block job for vda")


def test_a_move_goes_on_when_the_program_is_killed_and_started_again(program, lab_cluster, full) -> None:
    host = holder(lab_cluster, GUEST)
    identity = program.ask(
        GUEST, "block-copy", target="vda", pool="local", name="killed.raw", format="raw", bandwidth=4
    )
    wait_until(lambda: program.operation(identity)["progress"].get("percent"), 30, "the copy to be under way")
    program.kill()
    program.start()
    ended = program.ended(identity, 120)
    assert ended["state"] == "succeeded" and ended["result"]["recovered"], ended
    assert sources(lab_cluster, GUEST) == lab_cluster.virsh(host, "vol-path", "killed.raw", "--pool", "local").strip()
    assert full == ended["result"]["before"]


def test_a_pool_that_fills_up_meanwhile_ends_the_move_and_the_guest_runs_on_its_old_disk(
    program, lab_cluster, full
) -> None:
    host = holder(lab_cluster, GUEST)
    folder = "/run/kvmdash-small"
    lab_cluster.execute(host, ["mkdir", "-p", folder])
    assert lab_cluster.execute(host, ["mount", "-t", "tmpfs", "-o", "size=80M", "tmpfs", folder]).returncode == 0
    lab_cluster.virsh(host, "pool-create-as", "small", "dir", "--target", folder)
    try:
        wait_until(lambda: small_pool(program, host), 60, "the pool to be seen")
        asked = {"target": "vda", "pool": "small", "name": "w.raw", "format": "raw", "bandwidth": 4}
        identity = program.ask(GUEST, "block-copy", **asked)
        wait_until(lambda: program.operation(identity)["progress"].get("percent"), 30, "the copy to be under way")
        lab_cluster.execute(host, ["dd", "if=/dev/zero", f"of={folder}/full", "bs=1M"])
        ended = program.ended(identity, 120)
        assert ended["state"] == "failed", ended
        assert sources(lab_cluster, GUEST) == sources(lab_cluster, GUEST, "--inactive") == full
        assert lab_cluster.state(host, GUEST) == "running"
        assert "w.raw" not in volumes(lab_cluster, host, "small")
    finally:
        lab_cluster.virsh(host, "pool-destroy", "small")
        lab_cluster.execute(host, ["umount", folder])


def small_pool(program: Any, host: str) -> bool:
    found = program.get(f"pools?host={host}&page_size=200")["items"]
    return any(pool["name"] == "small" and pool["active"] for pool in found)


def test_the_disk_of_a_guest_that_is_off_moves_with_its_definition(program, lab_cluster) -> None:
    guest = "build-1"
    host = holder(lab_cluster, guest)
    before = sources(lab_cluster, guest)
    wait_until(lambda: is_volume(program, host, "shared", "build-1.qcow2"), 60, "the volume to be seen")
    there = program.do(guest, "block-copy", target="vda", pool="local", name="b.qcow2", format="qcow2")
    assert there["state"] == "succeeded", there
    path = lab_cluster.virsh(host, "vol-path", "b.qcow2", "--pool", "local").strip()
    assert sources(lab_cluster, guest, "--inactive") == path
    wait_until(lambda: is_seen(program, guest, path), 30, "the move to be seen")
    bigger = program.do(guest, "block-resize", target="vda", capacity=96 * 2**20)
    assert bigger["state"] == "succeeded", bigger
    assert "100663296" in lab_cluster.virsh(host, "vol-info", "b.qcow2", "--pool", "local", "--bytes")
    status, problem = program.api(
        f"vms/{program.vm(guest)['uuid']}/block-copy", {"target": "vda", "pool": "shared", "name": "build-1.qcow2"}
    )
    assert status == 409 and "of that name" in problem["detail"], problem
    back = program.do(guest, "block-copy", target="vda", pool="shared", name="back.qcow2", delete_source=True)
    assert back["state"] == "succeeded", back
    assert "b.qcow2" not in volumes(lab_cluster, host, "local")
    put_back(lab_cluster, host, guest, before)


def put_back(lab: Any, host: str, guest: str, source: str) -> None:
    """Have the guest on the disk that the lab made for it."""
    now = sources(lab, guest, "--inactive")
    text = lab.virsh(host, "dumpxml", guest, "--inactive", "--security-info").replace(now, source)
    file = lab.host(host).directory / "put-back.xml"
    file.write_text(text)
    lab.virsh(host, "define", str(file))
    lab.virsh(host, "vol-delete", now)


def test_a_running_disk_grows_and_the_guest_sees_it_at_once(program, lab_cluster, disk) -> None:
    host = holder(lab_cluster, GUEST)
    grown = program.do(GUEST, "block-resize", target="vda", capacity=80 * 2**20)
    assert grown["state"] == "succeeded", grown
    assert "83886080" in lab_cluster.virsh(host, "domblkinfo", GUEST, "vda")
    status, problem = program.api(
        f"vms/{program.vm(GUEST)['uuid']}/block-resize", {"target": "vda", "capacity": 64 * 2**20}
    )
    wait_until(lambda: status in (409, 422), 1)
    assert "only made larger" in str(problem), problem
