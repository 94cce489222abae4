"""Hardware of real guests: what QEMU takes while they run, what waits for the next boot, and a guest that does not let go."""

from __future__ import annotations

import re

import pytest

from conftest import wait_until

pytestmark = pytest.mark.lab
CARD = "52:54:00:aa:bb:01"
MIB = 2**20


def live(lab_cluster, program, name):
    return lab_cluster.virsh(program.vm(name)["host"], "dumpxml", name)


def stored(lab_cluster, program, name):
    return lab_cluster.virsh(program.vm(name)["host"], "dumpxml", name, "--inactive")


def up(program, lab_cluster, name):
    """A guest whose system runs: its agent answers, so that it hears of devices that come and go."""
    program.running(name)
    host = program.vm(name)["host"]

    def answers():
        try:
            return "{}" in lab_cluster.virsh(host, "qemu-agent-command", name, '{"execute":"guest-ping"}').replace(
                '{"return":{}}', "{}"
            )
        except Exception:  # libvirt says in many ways that it does not answer yet
            return False

    wait_until(answers, 90, f"the agent of {name}")
    return host


def succeeded(operation):
    assert operation["state"] == "succeeded", operation["error"]
    return operation["result"]


def test_a_disk_is_plugged_in_limited_and_taken_from_a_guest_that_runs(program, lab_cluster):
    host = up(program, lab_cluster, "web-1")
    new = {"pool": "local", "name": "hot.qcow2", "capacity": 16 * MIB, "format": "qcow2"}
    added = succeeded(program.do("web-1", "device-add", type="disk", new_volume=new))
    assert (added["live"], added["config"], added["next_boot"]) == (["disk vdb"], True, [])
    assert "hot.qcow2" in live(lab_cluster, program, "web-1") and "hot.qcow2" in stored(lab_cluster, program, "web-1")

    values = {"iotune.total_iops_sec": 50, "driver.cache": "none"}
    changed = succeeded(program.do("web-1", "device-change", device="disks[vdb]", set=values))
    assert changed["live"] == ["limits of vdb"] and changed["next_boot"] == ["disks[vdb] driver.cache"]
    limits = lab_cluster.virsh(host, "blkdeviotune", "web-1", "vdb", "--live")
    assert re.search(r"total_iops_sec\s*: 50\b", limits)
    assert "cache='none'" in stored(lab_cluster, program, "web-1")
    assert "cache='none'" not in live(lab_cluster, program, "web-1")

    gone = succeeded(program.do("web-1", "device-remove", device="disks[vdb]"))
    assert gone["config"] and gone["live"]
    assert "vdb" not in live(lab_cluster, program, "web-1") + stored(lab_cluster, program, "web-1")
    assert "hot.qcow2" in lab_cluster.virsh(host, "vol-list", "local")


def test_a_card_is_plugged_in_its_cable_pulled_and_it_is_taken_away(program, lab_cluster):
    host = up(program, lab_cluster, "web-1")
    card = {"type": "network", "source.network": "default", "model": "virtio", "mac": CARD}
    assert succeeded(program.do("web-1", "device-add", type="interface", set=card))["live"]
    device = f"interfaces[{CARD}]"
    assert succeeded(program.do("web-1", "device-change", device=device, set={"link": "down", "model": "e1000"}))
    assert "down" in lab_cluster.virsh(host, "domif-getlink", "web-1", CARD)
    assert "e1000" in stored(lab_cluster, program, "web-1") and "e1000" not in live(lab_cluster, program, "web-1")
    succeeded(program.do("web-1", "device-change", device=device, set={"link": "up"}, affect="live"))
    assert "up" in lab_cluster.virsh(host, "domif-getlink", "web-1", CARD)
    assert "link state='down'" in stored(lab_cluster, program, "web-1")
    succeeded(program.do("web-1", "device-remove", device=device))
    assert CARD not in live(lab_cluster, program, "web-1") + stored(lab_cluster, program, "web-1")


def test_a_failure_at_the_running_guest_leaves_the_definition_as_it_was_and_says_so(program, lab_cluster):
    up(program, lab_cluster, "web-1")
    before = stored(lab_cluster, program, "web-1")
    address = re.search(r"mac address='([^']+)'", before)[1]
    # The lab's kernel has no sfq, without which libvirt limits no card.
    asked = {"device": f"interfaces[{address}]", "set": {"bandwidth.inbound.average": 1000}}
    ended = program.do("web-1", "device-change", **asked)
    assert ended["state"] == "failed"
    assert "The running guest did not take it" in ended["error"]["message"]
    assert "Its definition is as it was" in ended["error"]["message"]
    assert stored(lab_cluster, program, "web-1") == before
    later = succeeded(program.do("web-1", "device-change", **asked, affect="config"))
    assert later["live"] == [] and later["next_boot"]
    assert "average='1000'" in stored(lab_cluster, program, "web-1")
    succeeded(program.do("web-1", "device-change", device=asked["device"], affect="config",
                         set={"bandwidth.inbound.average": None}))  # fmt: skip


def test_memory_goes_through_the_balloon_of_a_guest_that_runs(program, lab_cluster):
    host = up(program, lab_cluster, "web-1")
    for size in (96, 128):
        result = succeeded(program.do("web-1", "memory", memory=size * MIB))
        assert result["live"] and result["config"]
        wait_until(
            lambda size=size: re.search(rf"actual {size * 1024}\b", lab_cluster.virsh(host, "dommemstat", "web-1")), 30
        )


def test_a_processor_is_plugged_into_a_guest_that_runs(program, lab_cluster):
    host = program.vm("build-1")["host"]
    # QEMU's emulator gives up a guest that gets another processor when its small cache of translations is full.
    text = re.sub(r"<tcg>.*?</tcg>", "", stored(lab_cluster, program, "build-1"), flags=re.DOTALL)
    path = lab_cluster.directory / "build-1.xml"
    path.write_text(text)
    lab_cluster.virsh(host, "define", str(path))
    program.running("build-1")
    result = succeeded(program.do("build-1", "vcpus", count=2))
    assert result["live"] == ["2 processors"] and result["next_boot"] == []
    assert "2" in lab_cluster.virsh(host, "vcpucount", "build-1", "--active", "--live")
    result = succeeded(program.do("build-1", "vcpus", count=3, maximum=4))
    assert result["live"] == [] and result["next_boot"] == ["3 processors", "room for 4 processors"]
    program.done("build-1", "destroy")


def test_a_guest_that_does_not_let_go_is_reported_and_may_do_so_later(program, lab_cluster):
    up(program, lab_cluster, "web-2")
    assert succeeded(program.do("web-2", "device-add", type="watchdog", set={"model": "i6300esb"}))["live"]
    before = stored(lab_cluster, program, "web-2")
    program.done("web-2", "suspend")
    wait_until(lambda: program.vm("web-2")["power_state"] == "paused")
    ended = program.do("web-2", "device-remove", device="watchdogs[i6300esb]")
    assert ended["state"] == "failed", ended
    assert "did not let go of watchdogs[i6300esb]" in ended["error"]["message"]
    assert "Its definition is as it was" in ended["error"]["message"]
    assert stored(lab_cluster, program, "web-2") == before and "<watchdog" in live(lab_cluster, program, "web-2")
    program.done("web-2", "resume")
    wait_until(lambda: "<watchdog" not in live(lab_cluster, program, "web-2"), 60, "the guest to let go after all")
    # It is in the definition alone now.
    result = succeeded(program.do("web-2", "device-remove", device="watchdogs[i6300esb]"))
    assert result["config"] and "<watchdog" not in stored(lab_cluster, program, "web-2")


def test_a_drive_comes_with_a_restart_and_media_go_in_and_out_while_the_guest_runs(program, lab_cluster):
    host = up(program, lab_cluster, "web-1")
    added = succeeded(program.do("web-1", "device-add", type="cdrom", set={"target.bus": "ide"}))
    assert added["live"] == [] and added["next_boot"] == ["cdrom hda"]
    restarted = program.do("web-1", "restart", wait=60)
    assert succeeded(restarted)["left"] == 0, restarted["log"]
    assert "dev='hda'" in live(lab_cluster, program, "web-1")
    lab_cluster.virsh(host, "vol-create-as", "local", "disc.iso", "1M", "--format", "raw")
    medium = lab_cluster.virsh(host, "vol-path", "disc.iso", "--pool", "local").strip()
    result = succeeded(program.do("web-1", "media", device="disks[hda]", source=medium))
    assert result["live"] and medium in live(lab_cluster, program, "web-1")
    assert medium in stored(lab_cluster, program, "web-1")
    wait_until(
        lambda: any(d["source"] == medium for d in program.get(f"vms/{program.vm('web-1')['uuid']}")["disks"]), 20
    )
    succeeded(program.do("web-1", "media", device="disks[hda]", source=""))
    assert medium not in live(lab_cluster, program, "web-1") + stored(lab_cluster, program, "web-1")
    succeeded(program.do("web-1", "device-remove", device="disks[hda]"))


def test_a_guest_that_does_not_shut_down_runs_on_as_it_was(program, lab_cluster):
    program.running("dirty-1")
    host = program.vm("dirty-1")["host"]
    before = lab_cluster.virsh(host, "domid", "dirty-1").strip()
    # In its first second it has no system yet that hears the power button.
    ended = program.do("dirty-1", "restart", wait=1)
    assert ended["state"] == "failed", ended
    assert "did not shut down within 1 s" in ended["error"]["message"]
    assert "It runs on as it was" in ended["error"]["message"]
    assert lab_cluster.virsh(host, "domid", "dirty-1").strip() == before
    program.done("dirty-1", "destroy")
