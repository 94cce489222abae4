"""Every way to move a guest, on real QEMU: asked of kvmdash, checked with virsh."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from conftest import wait_until
from kvmdash.tests.test_lab_cluster import hosts_running, other_host
from kvmdash.tests.test_lab_disks import forget_volume, output_of

pytestmark = pytest.mark.lab
GUEST = "cache-1"
OFF = "build-1"
ON_DISK = "web-1"


def moved(program: Any, lab: Any, guest: str, **arguments: Any) -> dict[str, Any]:
    """Moved to another host so: the operation, once virsh and kvmdash say the same."""
    program.running(guest)
    target = other_host(program, guest)
    ended: dict[str, Any] = program.do(guest, "migrate", host=target, **arguments)
    assert ended["state"] == "succeeded", ended
    assert hosts_running(lab, guest) == [target] and ended["result"]["host"] == target
    wait_until(lambda: program.vm(guest)["host"] == target, 30, "the move to be seen")
    return ended


@pytest.mark.parametrize(
    ("way", "words"),
    [
        (
            {"connections": 2},
            "--p2p --abort-on-error --persistent --undefinesource --parallel --parallel-connections 2",
        ),
        ({"compression": "xbzrle"}, "--compressed --comp-methods xbzrle"),
        ({"compression": "mt"}, "--compressed --comp-methods mt"),
        ({"transport": "tunnelled"}, "--p2p --tunnelled"),
        ({"transport": "managed"}, "--live --abort-on-error"),
        ({"tls": True}, "--tls"),
        ({"policy": "fast"}, "--auto-converge --parallel --parallel-connections 4"),
        ({"policy": "huge"}, "--postcopy --parallel --parallel-connections 8 --timeout 600 --timeout-postcopy"),
    ],
)
def test_a_guest_moves_in_this_way(program, lab_cluster, way: dict[str, Any], words: str) -> None:
    assert words in moved(program, lab_cluster, GUEST, **way)["virsh"]


def test_what_goes_wrong_between_the_hosts_leaves_the_guest_where_it_was(program, lab_cluster) -> None:
    program.running(GUEST)
    source = program.vm(GUEST)["host"]
    # The lab's hosts may not lock memory, which zero-copy needs.
    ended = program.do(GUEST, "migrate", host=other_host(program, GUEST), connections=2, zero_copy=True)
    assert ended["state"] == "failed" and "lock" in ended["error"]["message"], ended
    assert hosts_running(lab_cluster, GUEST) == [source]


@pytest.fixture
def other_network(lab_cluster: Any) -> Iterator[str]:
    """A network that all hosts have."""
    for host in lab_cluster.hosts:
        file = lab_cluster.host(host).directory / "other.xml"
        file.write_text("<network><name>other</name></network>")
        lab_cluster.virsh(host, "net-define", str(file))
        lab_cluster.virsh(host, "net-start", "other")
    yield "other"
    for host in lab_cluster.hosts:
        lab_cluster.virsh(host, "net-destroy", "other")
        lab_cluster.virsh(host, "net-undefine", "other")


def test_a_network_has_another_name_on_the_target(program, lab_cluster, other_network: str) -> None:
    for host in lab_cluster.hosts:
        seen = lambda host=host: any(one["host"] == host for one in program.get("networks?q=other")["items"])  # noqa: E731
        wait_until(seen, 60, "the network to be seen")
    refused = program.api(
        f"vms/{program.vm(GUEST)['uuid']}/migrate",
        {"host": other_host(program, GUEST), "networks": {"default": "nowhere"}},
    )
    assert refused[0] == 409 and "nowhere" in str(refused[1])
    ended = moved(program, lab_cluster, GUEST, networks={"default": "other"})
    host = ended["result"]["host"]
    for state in ((), ("--inactive",)):
        assert "other" in lab_cluster.virsh(host, "domiflist", GUEST, *state)
    back = moved(program, lab_cluster, GUEST, networks={"other": "default"})
    assert "other" not in lab_cluster.virsh(back["result"]["host"], "domiflist", GUEST)


def test_a_guest_that_is_off_moves_by_its_definition(program, lab_cluster) -> None:
    wait_until(lambda: program.vm(OFF)["power_state"] == "shutoff", 30, "it to be off")
    target = other_host(program, OFF)
    ended = program.do(OFF, "migrate", host=target)
    assert ended["state"] == "succeeded" and "--offline" in ended["virsh"], ended
    holders = [host for host in lab_cluster.hosts if OFF in lab_cluster.virsh(host, "list", "--all", "--name").split()]
    assert holders == [target] and lab_cluster.state(target, OFF) == "shut off"
    wait_until(lambda: program.vm(OFF)["host"] == target, 30, "the move to be seen")


def test_a_guest_moves_by_its_saved_memory_and_nothing_stays_behind(program, lab_cluster) -> None:
    program.running(GUEST)
    wait_until(lambda: program.vm(GUEST)["agent_connected"], 90, "it to have booted")
    booted = uptime(lab_cluster, GUEST)
    ended = moved(program, lab_cluster, GUEST, mode="saved", state_pool="shared")
    assert uptime(lab_cluster, GUEST) > booted, "it was booted anew"
    for host in lab_cluster.hosts:
        lab_cluster.virsh(host, "pool-refresh", "shared")
        assert "kvmdash-state" not in lab_cluster.virsh(host, "vol-list", "shared")
    assert "virsh save" in ended["virsh"]


def test_a_target_that_cannot_read_the_memory_has_the_guest_run_on_where_it_was(program, lab_cluster) -> None:
    program.running(GUEST)
    wait_until(lambda: program.vm(GUEST)["agent_connected"], 90, "it to have booted")
    booted, source, target = uptime(lab_cluster, GUEST), program.vm(GUEST)["host"], other_host(program, GUEST)
    hidden = ["mount", "-t", "tmpfs", "tmpfs", str(lab_cluster.shared)]
    assert lab_cluster.execute(target, hidden).returncode == 0
    try:
        ended = program.do(GUEST, "migrate", host=target, mode="saved", state_pool="shared")
    finally:
        lab_cluster.execute(target, ["umount", str(lab_cluster.shared)])
    assert ended["state"] == "failed" and f"running on {source}" in ended["error"]["message"], ended
    assert hosts_running(lab_cluster, GUEST) == [source] and uptime(lab_cluster, GUEST) > booted
    assert GUEST not in lab_cluster.virsh(target, "list", "--all", "--name").split()
    lab_cluster.virsh(source, "pool-refresh", "shared")
    assert "kvmdash-state" not in lab_cluster.virsh(source, "vol-list", "shared")


def uptime(lab: Any, guest: str) -> float:
    """Seconds since it booted, as its kernel says."""
    return float(output_of(lab, guest, "/bin/cat", "/proc/uptime").split()[0])


def test_a_definition_left_behind_is_tidied_and_the_guest_is_not_touched(program, lab_cluster) -> None:
    source = hosts_running(lab_cluster, GUEST)[0]
    moved(program, lab_cluster, GUEST, undefine_source=False)
    assert lab_cluster.state(source, GUEST) == "shut off"
    path = f"vms/{program.vm(GUEST)['uuid']}/leftovers"
    wait_until(lambda: program.get(path)["definitions"] == [{"host": source, "name": GUEST}], 60, "it to be seen")
    tidied = program.do(GUEST, "tidy")
    assert tidied["state"] == "succeeded", tidied
    assert GUEST not in lab_cluster.virsh(source, "list", "--all", "--name").split()
    assert len(hosts_running(lab_cluster, GUEST)) == 1
    wait_until(lambda: not program.get(path)["definitions"], 30, "nothing to be left")
    status, answer = program.api(f"vms/{program.vm(GUEST)['uuid']}/tidy", {})
    assert status == 409, answer


def test_disks_are_copied_one_by_one_into_a_pool_of_the_target(program, lab_cluster) -> None:
    program.running(ON_DISK)
    wait_until(lambda: program.vm(ON_DISK)["power_state"] == "running", 30, "it to run")
    out = program.do(
        ON_DISK, "block-copy", target="vda", pool="local", name="own.qcow2", format="qcow2", delete_source=True
    )
    assert out["state"] == "succeeded", out
    source = hosts_running(lab_cluster, ON_DISK)[0]
    wait_until(lambda: "own.qcow2" in str(program.get(f"vms/{program.vm(ON_DISK)['uuid']}")["disks"]), 30, "the disk")
    ended = moved(program, lab_cluster, ON_DISK, disks={"vda": "shared"})
    host = ended["result"]["host"]
    for state in ((), ("--inactive",)):
        assert f"{lab_cluster.shared}/own.qcow2" in lab_cluster.virsh(host, "domblklist", ON_DISK, *state)
    assert "own.qcow2" in lab_cluster.virsh(source, "vol-list", "local"), (
        "what is left is removed only when it is asked for"
    )
    path = f"vms/{program.vm(ON_DISK)['uuid']}/leftovers"
    wait_until(lambda: program.get(path)["disks"], 60, "the old disk to be seen as left behind")
    assert [(one["host"], one["name"]) for one in program.get(path)["disks"]] == [(source, "own.qcow2")]
    tidied = program.do(ON_DISK, "tidy")
    assert tidied["state"] == "succeeded" and "own.qcow2" in str(tidied["result"]), tidied
    assert "own.qcow2" not in lab_cluster.virsh(source, "vol-list", "local")
    assert "own.qcow2" in lab_cluster.virsh(host, "domblklist", ON_DISK)
    put_back(program, lab_cluster)


@pytest.fixture
def narrow(program: Any, lab_cluster: Any) -> Iterator[tuple[str, str]]:
    """(Target, folder) of a pool that a file system of its own limits; the guest's disk has something on it to be copied."""
    program.running(ON_DISK)
    target, folder = other_host(program, ON_DISK), "/var/lib/libvirt/narrow"
    run = lambda *command: lab_cluster.execute(target, list(command))  # noqa: E731
    assert run("mkdir", "-p", folder).returncode == 0
    assert run("mount", "-t", "tmpfs", "-o", "size=96m", "tmpfs", folder).returncode == 0
    lab_cluster.virsh(target, "pool-create-as", "narrow", "dir", "--target", folder)
    wait_until(lambda: program.api(f"pools/{target}/narrow")[0] == 200, 60, "the pool to be seen")
    output_of(lab_cluster, ON_DISK, "/bin/dd", "if=/dev/urandom", "of=/data/full", "bs=1M", "count=24")
    output_of(lab_cluster, ON_DISK, "/bin/sync")
    yield target, folder
    output_of(lab_cluster, ON_DISK, "/bin/rm", "/data/full")
    lab_cluster.virsh(target, "pool-destroy", "narrow")
    run("umount", folder)


def test_what_a_stopped_copy_leaves_is_tidied_and_a_target_without_room_fails_at_once(
    program, lab_cluster, narrow: tuple[str, str]
) -> None:
    target, folder = narrow
    source = hosts_running(lab_cluster, ON_DISK)[0]
    whole = output_of(lab_cluster, ON_DISK, "/bin/md5sum", "/data/full")
    copied = f"{folder}/web-1.qcow2"
    identity = program.ask(ON_DISK, "migrate", host=target, disks={"vda": "narrow"}, bandwidth=1)
    wait_until(lambda: (program.operation(identity)["progress"].get("processed") or 0) > 0, 60, "the copy to begin")
    assert program.api(f"operations/{identity}/cancel", {})[0] == 202
    ended = program.ended(identity)
    assert ended["state"] == "cancelled" and hosts_running(lab_cluster, ON_DISK) == [source], ended
    path = f"vms/{program.vm(ON_DISK)['uuid']}/leftovers"
    lab_cluster.virsh(target, "pool-refresh", "narrow")
    wait_until(lambda: program.get(path)["disks"], 60, "the half copy to be seen")
    assert [(one["host"], one["name"]) for one in program.get(path)["disks"]] == [(target, "web-1.qcow2")]
    tidied = program.do(ON_DISK, "tidy")
    assert tidied["state"] == "succeeded" and copied in str(tidied["result"]), tidied
    # libvirt takes the room for the whole copy before it begins: a folder that is too full is told then, and nothing stays.
    lab_cluster.execute(target, ["dd", "if=/dev/zero", f"of={folder}/filler", "bs=1M", "count=60"])
    ended = program.do(ON_DISK, "migrate", host=target, disks={"vda": "narrow"})
    assert ended["state"] == "failed" and "No space left" in ended["error"]["message"], ended
    assert source in ended["error"]["message"] and hosts_running(lab_cluster, ON_DISK) == [source]
    assert lab_cluster.execute(target, ["test", "-e", copied]).returncode != 0
    assert output_of(lab_cluster, ON_DISK, "/bin/md5sum", "/data/full") == whole


def put_back(program: Any, lab: Any) -> None:
    """The disk where the lab made it, which other tests count on."""
    forget_volume(program, lab, "web-1.qcow2")
    wait_until(
        lambda: "shared/own.qcow2" in str(program.get(f"vms/{program.vm(ON_DISK)['uuid']}")["disks"]), 30, "its disk"
    )
    back = program.do(
        ON_DISK, "block-copy", target="vda", pool="shared", name="web-1.qcow2", format="qcow2", delete_source=True
    )
    assert back["state"] == "succeeded", back
