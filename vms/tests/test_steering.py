"""What can be said of a move, before it and while it is under way."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import pytest

from hosts.audit import Actor
from hosts.hypervisor.records import JobFigures
from hosts.models import Operation, OperationSignal
from hosts.operations import queue
from hosts.operations.kind import InvalidArguments, Refused, get
from hosts.operations.task import Hold, Task
from vms.moving import options, wanted
from vms.moving.move import Move
from vms.moving.steering import Steering
from vms.tests.making import HTMX, browser, make_guest, make_host

pytestmark = pytest.mark.django_db


@pytest.fixture
def moving(people: dict[str, Any]) -> Operation:
    guest = make_guest(make_host())
    return Operation.objects.create(
        kind="migrate", state="running", subject_uuid=guest.pk, host=guest.host, exclusive=True
    )


def test_a_move_without_a_word_is_one_that_waits_for_ever_with_the_usual_pause(db) -> None:
    make_host("kvm2")
    said = wanted.clean({"host": "kvm2"})
    assert (said["bandwidth"], said["max_downtime"], said["timeout"], said["on_timeout"]) == (0, 0, 0, "abort")
    assert options.of_live(said) == ["--live", "--p2p", "--abort-on-error", "--persistent", "--undefinesource"]
    said = wanted.clean({"host": "kvm2", "timeout": 60, "on_timeout": "suspend", "bandwidth": "7"})
    assert options.of_live(said)[-5:] == ["--bandwidth", "7", "--timeout", "60", "--timeout-suspend"]


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"host": "nowhere"}, "host"), ({"max_downtime": 60_001}, "max_downtime"), ({"max_downtime": "long"}, "max_downtime"),
        ({"timeout": -1}, "timeout"), ({"timeout": 10**9}, "timeout"), ({"timeout": True}, "timeout"),
        ({"on_timeout": "postcopy"}, "on_timeout"), ({"unsafe": "yes"}, "unsafe"), ({"bandwidth": float("inf")}, "bandwidth"),
        ({"speed": 1}, "speed"),
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_refused_at_its_field(db, given: dict[str, Any], field: str) -> None:
    make_host("kvm2")
    with pytest.raises(InvalidArguments) as caught:
        wanted.clean({"host": "kvm2", **given})
    assert caught.value.field == field


@pytest.mark.parametrize(
    ("name", "given", "kept"),
    [
        ("downtime", {"max_downtime": 900}, {"max_downtime": 900}),
        ("bandwidth", {"bandwidth": "0"}, {"bandwidth": 0}),
        ("suspend", {}, {}),
    ],
)
def test_a_move_is_steered_by_signals(moving, people, name: str, given: dict[str, Any], kept: dict[str, Any]) -> None:
    queue.signal(moving, name, given, Actor(user=people["operator"]))
    assert OperationSignal.objects.get().arguments == kept


@pytest.mark.parametrize(
    ("name", "given"),
    [
        ("downtime", {}),
        ("downtime", {"max_downtime": 0}),
        ("downtime", {"bandwidth": 3}),
        ("suspend", {"now": True}),
        ("postcopy", {}),
    ],
)
def test_signals_that_make_no_sense_are_refused(moving, people, name: str, given: dict[str, Any]) -> None:
    with pytest.raises(Refused):
        queue.signal(moving, name, given, Actor(user=people["operator"]))
    assert not OperationSignal.objects.exists()


def test_the_buttons_of_a_move_are_for_those_who_may(moving, people) -> None:
    address = f"/vms/{moving.subject_uuid}/steer/"
    for name, status in (("viewer", 403), ("operator", 204)):
        client = browser(people[name])
        assert client.post(f"{address}downtime/", {"max_downtime": "1200"}, headers=HTMX).status_code == status
        assert client.post(f"{address}reboot/", headers=HTMX).status_code == 404
        assert client.get(f"{address}downtime/").status_code == 405
    assert OperationSignal.objects.get().arguments == {"max_downtime": 1200}


@pytest.mark.parametrize(
    ("progress", "shown", "button"),
    [
        ({"still": {"why": "silent", "since": "x"}}, "QEMU does not answer", False),
        ({"still": {"why": "still", "since": "x"}}, "the move can be stopped", False),
        ({"still": {"why": "still", "since": "x"}, "post_copy": True}, "Stop neither of them", True),
        ({"still": None, "post_copy": True}, "It cannot be stopped now", False),
    ],
)
def test_a_move_of_which_nothing_moves_says_so_and_what_can_be_done(
    moving, people, progress: dict[str, Any], shown: str, button: bool
) -> None:
    Operation.objects.update(progress={"percent": 3.0, "remaining": 5, "total": 9, **progress})
    page = browser(people["operator"]).get(f"/vms/{moving.subject_uuid}/").content.decode()
    assert shown in page
    assert ('id="move-recover"' in page) is button
    assert 'id="move-recover"' not in browser(people["viewer"]).get(f"/vms/{moving.subject_uuid}/").content.decode()


def steering_of(operation: Operation, *signals: tuple[str, dict[str, Any]]) -> Any:
    """The steering of a move that was asked so much, and a log of what it did."""
    lines: list[str] = []
    task: Any = SimpleNamespace(operation=operation, uuid=str(operation.subject_uuid), arguments={"timeout": 0})
    task.log = lambda text, _level="": lines.append(str(text))
    task.progress = lambda **figures: operation.progress.update({k: v for k, v in figures.items() if k != "now"})
    task.signals = lambda: [OperationSignal(name=name, arguments=given, actor_name="ann") for name, given in signals]
    return Steering(task, lambda: None), lines  # type: ignore[arg-type]


def test_only_what_stands_still_after_the_switch_is_broken_off(moving) -> None:
    steering, lines = steering_of(moving, ("recover", {}))
    moving.progress = {"post_copy": True}
    with patch("hosts.hypervisor.migration.break_off_post_copy") as broken_off:
        steering.obey()
        assert not broken_off.called and not steering.recover_now and "It moves" in lines[0]
        moving.progress = {"post_copy": True, "still": {"why": "still"}}
        steering.obey()
        assert broken_off.call_count == 1 and steering.recover_now
        moving.progress["broken"] = True
        steering.obey()
        assert broken_off.call_count == 1, "what is broken needs no breaking"


def test_a_connection_that_was_opened_for_a_look_counts_once_the_move_uses_it(moving) -> None:
    """Else whoever takes over after a crash would begin anew what is half done."""
    opened = SimpleNamespace(is_alive=True, close=lambda: None)
    task: Any = Task(moving, get("migrate"), lambda *_: opened, Hold())  # type: ignore[arg-type, return-value]
    move = Move(task, make_host("kvm2"))
    with task.looking():
        assert move.source is opened and move.target is opened
    assert Operation.objects.get().asked_at is None
    assert move.source is opened
    assert Operation.objects.get().asked_at is not None


def test_a_new_bandwidth_is_not_said_of_disks_whose_copy_keeps_its_own(moving) -> None:
    """libvirt takes no other speed for a copy of a disk that has begun."""
    moving.arguments = {"copy_storage": True}
    task: Any = Task(moving, get("migrate"), lambda *_: None, Hold())  # type: ignore[arg-type, return-value]
    steering = Steering(task, lambda: None)  # type: ignore[arg-type, return-value]
    assert "disks that are being copied keep their speed" in steering._say_bandwidth("ada", 7)
    steering.seen(JobFigures("unbounded", iteration=1))
    assert steering._say_bandwidth("ada", 7) == "ada set the bandwidth to 7 MiB/s."


def test_what_comes_after_the_order_to_stop_is_refused(moving) -> None:
    """libvirt takes the switch to post-copy while it aborts, and the record would tell of a switch that never came."""
    steering, lines = steering_of(moving, ("cancel", {}), ("post-copy", {}))
    steering._sending = True
    with (
        patch("hosts.hypervisor.guest.Guest.abort_job") as abort,
        patch("hosts.hypervisor.migration.start_post_copy") as switch,
    ):
        steering.obey()
    assert abort.called and not switch.called
    assert "ann has stopped the move" in lines[-1]
