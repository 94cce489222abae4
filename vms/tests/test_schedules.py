"""Snapshots by the clock: who may, in whose name, what is kept, and what happens when it does not work."""

from __future__ import annotations

import datetime as dt
import json
from typing import Any

import pytest
from django.utils import timezone

from hosts.audit import Actor
from hosts.models import Alarm, AuditEntry, Operation, User
from hosts.operations.kind import InvalidArguments, Refused
from hosts.operations.storage_base import NotNow
from vms import schedules, scheduling
from vms.models import Sighting, SnapshotSchedule, VirtualMachine
from vms.tests.making import HTMX, browser, make_guest, make_host

pytestmark = pytest.mark.django_db
State = Operation.State


@pytest.fixture
def guest(db: None) -> VirtualMachine:
    return make_guest(make_host(libvirt_version="9.0.0"))


@pytest.fixture
def owner(people: dict[str, Any]) -> Actor:
    return Actor(user=people["operator"])


@pytest.fixture
def due(guest: VirtualMachine, owner: Actor) -> SnapshotSchedule:
    """A schedule that keeps two, and whose turn is now."""
    row = schedules.save(guest, {"every": "hours", "hours": 1, "keep": 2}, owner)
    return make_due(row)


def make_due(row: SnapshotSchedule, ago: float = 1) -> SnapshotSchedule:
    SnapshotSchedule.objects.filter(pk=row.pk).update(next_at=timezone.now() - dt.timedelta(seconds=ago))
    row.refresh_from_db()
    return row


def end(row: SnapshotSchedule, state: str = State.SUCCEEDED, **columns: Any) -> None:
    """What it asked for has ended, and the host tells of it."""
    row.refresh_from_db()
    Operation.objects.filter(pk=row.pending).update(state=state, finished_at=timezone.now(), **columns)
    if state == State.SUCCEEDED:
        sighting = Sighting.objects.get(vm=row.vm)
        kept = [one for one in sighting.snapshots if one["name"] != row.pending_name]
        made = [snapshot(row.pending_name)] if row.pending_what == "create" else []
        sighting.snapshots = kept + made
        sighting.save()


def snapshot(name: str) -> dict[str, Any]:
    disks = [{"target": "vda", "where": "internal", "file": ""}]
    return {"name": name, "parent": "", "created": 1, "state": "running", "memory": "internal", "description": "",
            "current": False, "disks": disks}  # fmt: skip


def asked() -> list[tuple[str, str]]:
    return [(row.kind, row.arguments["name"]) for row in Operation.objects.order_by("created_at")]


def test_a_schedule_takes_one_when_its_turn_has_come_and_never_twice(due) -> None:
    scheduling.look()
    scheduling.look()
    due.refresh_from_db()
    operation = Operation.objects.get()
    assert (operation.kind, operation.actor_name) == ("snapshot-create", "operator")
    assert due.pending == operation.pk and due.next_at > timezone.now()
    assert AuditEntry.objects.filter(road="schedule", action="vm.snapshot", result="queued").exists()


def test_of_two_processes_that_look_at_once_one_asks(due) -> None:
    twin = SnapshotSchedule.objects.select_related("vm__host", "owner").get(pk=due.pk)
    now = timezone.now()
    scheduling.take(due, now)
    Operation.objects.update(state=State.SUCCEEDED)
    scheduling.take(twin, now)
    assert Operation.objects.count() == 1


def test_the_oldest_of_its_own_goes_when_there_are_more_than_it_keeps_and_no_other(due) -> None:
    oldest, newer = "oldest", "newer"
    SnapshotSchedule.objects.update(taken=["oldest-of-all", oldest, newer])
    Sighting.objects.update(snapshots=[snapshot(name) for name in ("by-hand", "oldest-of-all", oldest, newer)])
    scheduling.look()
    end(due)
    scheduling.look()
    assert asked()[-1] == ("snapshot-delete", "oldest-of-all")
    end(due)
    scheduling.look()
    assert asked()[-1] == ("snapshot-delete", oldest)
    end(due)
    scheduling.look()
    due.refresh_from_db()
    assert len(due.taken) == 2 and due.taken[0] == newer and due.pending is None
    assert "by-hand" in [one["name"] for one in Sighting.objects.get().snapshots]
    assert len(asked()) == 3


def test_snapshots_that_somebody_deleted_by_hand_are_forgotten(due) -> None:
    SnapshotSchedule.objects.update(taken=["gone-1", "gone-2", "gone-3"])
    scheduling.look()
    end(due)
    scheduling.look()
    due.refresh_from_db()
    assert due.taken == [Operation.objects.get().arguments["name"]]


def test_a_guest_that_is_busy_is_waited_for_and_then_the_turn_is_left_out(due) -> None:
    busy = Operation.objects.create(kind="migrate", state=State.RUNNING, subject_uuid=due.vm_id, exclusive=True)
    scheduling.look()
    assert Operation.objects.count() == 1
    busy.state = State.SUCCEEDED
    busy.save()
    scheduling.look()
    assert Operation.objects.filter(kind="snapshot-create").count() == 1
    end(due)
    scheduling.look()
    Operation.objects.create(kind="migrate", state=State.RUNNING, subject_uuid=due.vm_id, exclusive=True)
    make_due(due, 3600)
    scheduling.look()
    due.refresh_from_db()
    assert "is busy" in due.trouble and due.next_at > timezone.now()
    assert "is busy" in json.dumps(Alarm.objects.get(cleared_at=None).facts)


def test_a_failure_raises_an_alarm_that_the_next_success_ends(due, people) -> None:
    scheduling.look()
    end(due, State.FAILED, error={"message": "No space left on device"})
    scheduling.look()
    due.refresh_from_db()
    assert due.trouble == "No space left on device" and not due.taken
    assert Alarm.objects.get(cleared_at=None).kind == "snapshot-schedule"
    text = browser(people["viewer"]).get(f"/vms/{due.vm_id}/snapshots/").content.decode()
    assert "No space left on device" in text
    make_due(due)
    scheduling.look()
    end(due)
    scheduling.look()
    due.refresh_from_db()
    assert due.trouble == "" and len(due.taken) == 1
    assert not Alarm.objects.filter(cleared_at=None).exists()


@pytest.mark.parametrize("change", [{"role": User.Role.VIEWER}, {"is_active": False}])
def test_who_may_not_any_more_takes_none(due, change: dict[str, Any]) -> None:
    User.objects.filter(pk=due.owner_id).update(**change)
    scheduling.look()
    due.refresh_from_db()
    assert not Operation.objects.exists() and "do not have the right" in due.trouble


def test_a_schedule_whose_owner_is_gone_takes_none_and_says_so(due) -> None:
    User.objects.filter(pk=due.owner_id).delete()
    scheduling.look()
    due.refresh_from_db()
    assert not Operation.objects.exists() and due.trouble
    assert Alarm.objects.filter(cleared_at=None).exists()


def test_a_schedule_that_is_off_rests(due, owner) -> None:
    schedules.save(due.vm, {"enabled": False}, owner, due)
    make_due(due)
    scheduling.look()
    assert not Operation.objects.exists()


def test_the_one_that_was_missed_is_taken_once(due) -> None:
    make_due(due, 86400 * 5)
    scheduling.look()
    end(due)
    scheduling.look()
    scheduling.look()
    assert len(asked()) == 1


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"every": "minute"}, "every"), ({"hours": 0}, "hours"), ({"hours": 24}, "hours"), ({"hours": "6"}, "hours"),
        ({"weekday": 7}, "weekday"), ({"day": 0}, "day"), ({"day": 32}, "day"), ({"at": "03:00"}, "at"),
        ({"where": "moon"}, "where"), ({"keep": 0}, "keep"), ({"keep": 101}, "keep"), ({"keep": True}, "keep"),
        ({"enabled": "no"}, "enabled"), ({"colour": "red"}, "colour"), ({"vm": 7}, "vm"),
    ],
)  # fmt: skip
def test_a_rule_that_makes_no_sense_is_refused_at_its_field(guest, owner, given: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidArguments) as caught:
        schedules.save(guest, given, owner)
    assert caught.value.field == field and not SnapshotSchedule.objects.exists()


def test_disks_that_hold_no_snapshots_get_no_schedule_inside_them(guest, owner) -> None:
    VirtualMachine.objects.update(disks=[{**guest.disks[0], "format": "raw"}])
    guest.refresh_from_db()
    with pytest.raises(NotNow, match="Only qcow2"):
        schedules.save(guest, {}, owner)
    assert schedules.save(guest, {"where": "external"}, owner).pk
    guest.host.libvirt_version = "8.0.0"
    with pytest.raises(NotNow, match=r"9\.0\.0"):
        schedules.save(guest, {"where": "external"}, owner)


def test_a_guest_has_so_many_schedules_and_no_more(guest, owner) -> None:
    for _number in range(schedules.MOST):
        schedules.save(guest, {}, owner)
    with pytest.raises(Refused, match="at most"):
        schedules.save(guest, {}, owner)


def test_by_the_page_a_schedule_is_made_changed_and_removed_by_operators_alone(guest, people) -> None:
    address = f"/vms/{guest.uuid}/schedules/add/"
    form = {
        "every": "week",
        "weekday": "2",
        "at": "04:30",
        "where": "internal",
        "keep": "4",
        "enabled": "on",
        "quiesce": "on",
    }
    for name in ("viewer", "viewer-watching"):
        assert browser(people[name]).get(address, headers=HTMX).status_code == 403
        assert browser(people[name]).post(address, form, headers=HTMX).status_code == 403
    client = browser(people["operator"])
    assert client.post(address, form | {"keep": "0"}, headers=HTMX).status_code == 422
    assert client.post(address, form, headers=HTMX).status_code == 204
    row = SnapshotSchedule.objects.get()
    assert (row.every, row.weekday, row.at, row.keep, row.owner_name) == ("week", 2, dt.time(4, 30), 4, "operator")
    text = client.get(f"/vms/{guest.uuid}/snapshots/").content.decode()
    assert "every Wednesday at 04:30" in text
    change = f"/vms/{guest.uuid}/schedules/{row.pk}/"
    assert 'value="04:30"' in client.get(change, headers=HTMX).content.decode()
    assert client.post(change, form | {"every": "day"}, headers=HTMX).status_code == 204
    assert client.get(f"/vms/{guest.uuid}/schedules/{row.pk + 1}/").status_code == 404
    other = make_guest(guest.host, name="other")
    assert client.get(f"/vms/{other.uuid}/schedules/{row.pk}/").status_code == 404
    assert browser(people["viewer"]).post(f"{change}remove/", headers=HTMX).status_code == 403
    assert client.post(f"{change}remove/", headers=HTMX).status_code == 204
    assert not SnapshotSchedule.objects.exists()
    assert AuditEntry.objects.filter(action="vm.snapshot_schedule", actor_name="operator").count() == 3
