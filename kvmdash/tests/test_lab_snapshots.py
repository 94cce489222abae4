"""Snapshots on real QEMU: inside the images with memory, and in files beside them, seen by virsh and qemu-img."""

from __future__ import annotations

import json

import pytest

from conftest import wait_until

pytestmark = pytest.mark.lab


def names(program, guest):
    uuid = program.vm(guest)["uuid"]
    return [snapshot["name"] for snapshot in program.get(f"vms/{uuid}")["snapshots"]]


def chain_of(lab, host, guest):
    """The files under the guest's first disk, the one written to first."""
    rows = [line.split() for line in lab.virsh(host, "domblklist", guest).splitlines()]
    source = next(row[1] for row in rows if row and row[0] == "vda")
    told = lab.execute(host, ["qemu-img", "info", "-U", "--backing-chain", "--output=json", source])
    assert told.returncode == 0, told.stderr
    return [image["filename"] for image in json.loads(told.stdout)]


def test_a_running_guest_goes_back_to_the_moment_of_its_snapshot(program, lab_cluster):
    guest = "web-1"
    program.running(guest)
    host = program.vm(guest)["host"]
    taken = program.do(guest, "snapshot-create", name="moment", description="with memory")
    assert taken["state"] == "succeeded", taken
    assert "moment" in lab_cluster.virsh(host, "snapshot-list", guest, "--name").split()
    wait_until(lambda: names(program, guest) == ["moment"])
    lab_cluster.virsh(host, "suspend", guest)
    wait_until(lambda: program.vm(guest)["power_state"] == "paused")
    program.done(guest, "snapshot-revert", name="moment")
    assert lab_cluster.state(host, guest) == "running"
    wait_until(lambda: program.vm(guest)["power_state"] == "running")
    program.done(guest, "snapshot-delete", name="moment")
    assert lab_cluster.virsh(host, "snapshot-list", guest, "--name").split() == []
    wait_until(lambda: names(program, guest) == [])


def test_a_snapshot_in_files_lengthens_the_chain_and_deleting_it_merges_them(program, lab_cluster):
    guest = "web-2"
    program.running(guest)
    host = program.vm(guest)["host"]
    before = chain_of(lab_cluster, host, guest)
    taken = program.do(guest, "snapshot-create", name="beside", where="external")
    assert taken["state"] == "succeeded", taken
    assert len(chain_of(lab_cluster, host, guest)) == len(before) + 1
    wait_until(lambda: names(program, guest) == ["beside"])
    status, problem = program.api(f"vms/{program.vm(guest)['uuid']}/snapshot-revert", {"name": "beside"})
    assert status == 409 and "9.9.0" in problem["detail"]
    deleted = program.do(guest, "snapshot-delete", name="beside")
    assert deleted["state"] == "succeeded", deleted
    assert chain_of(lab_cluster, host, guest) == before
    assert lab_cluster.state(host, guest) == "running"


def test_a_schedule_takes_snapshots_by_itself_and_merges_the_oldest_away(program, lab_cluster):
    guest = "web-1"
    program.running(guest)
    host, uuid = program.vm(guest)["host"], program.vm(guest)["uuid"]
    wait_until(lambda: names(program, guest) == [])
    status, schedule = program.api(f"vms/{uuid}/schedules", {"every": "hours", "hours": 1, "keep": 1})
    assert status == 201, schedule
    first = turn(program, lab_cluster, uuid, host, guest, [])
    second = turn(program, lab_cluster, uuid, host, guest, first)
    assert len(second) == 1 and second != first
    assert program.get(f"vms/{uuid}/schedules")[0]["taken"] == second
    forget = "from vms.models import SnapshotSchedule as S; S.objects.all().delete()"
    program.manage("shell", "-v0", "-c", forget)
    program.done(guest, "snapshot-delete", name=second[0])


def turn(program, lab, uuid, host, guest, before):
    """Have the schedule's turn come; the snapshots of the guest when it has settled."""
    imports = "from django.utils import timezone; from vms.models import SnapshotSchedule as S"
    program.manage("shell", "-v0", "-c", f"{imports}; S.objects.update(next_at=timezone.now())")

    def settled():
        found = lab.virsh(host, "snapshot-list", guest, "--name").split()
        schedule = program.get(f"vms/{uuid}/schedules")[0]
        assert not schedule["trouble"], schedule
        return found if schedule["operation"] is None and found and found != before and len(found) == 1 else None

    return wait_until(settled, 60, "the schedule to have done its work")
