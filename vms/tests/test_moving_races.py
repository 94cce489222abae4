"""What two hosts say of a guest, asked one after the other while its move ends. Read wrongly it would be a lie."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any
from unittest.mock import patch

import libvirt
import pytest
from django.conf import settings

from hosts.hypervisor.errors import Conflict, Failed, NotFound
from hosts.hypervisor.records import JobFigures
from hosts.models import Host, Operation
from hosts.operations.kind import Uncertain
from vms.moving import move, watching
from vms.moving.ending import Unsettled
from vms.moving.move import Move
from vms.moving.offline import OfflineMove
from vms.moving.places import Place
from vms.moving.watching import Standstill

SOURCE, TARGET = Host(name="kvm1"), Host(name="kvm2")


class Clock:
    """Time that passes only while somebody waits."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now


class Asked:
    """The task of a move that nobody steers."""

    arguments: dict[str, Any] = {"undefine_source": True, "timeout": 0}
    host = SOURCE
    uuid = "0"

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.operation = Operation()

    def wait(self, seconds: float) -> None:
        self.clock.now += seconds

    def log(self, *words: str) -> None: ...

    def progress(self, *, now: bool = False, **figures: Any) -> None:
        self.operation.progress |= figures


@pytest.fixture
def clock() -> Iterator[Clock]:
    found = Clock()
    with patch.object(move, "time", found), patch.object(watching, "time", found):
        yield found


Said = list[tuple[bool, tuple[str, str], tuple[str, str]]]


def observed(kind: type[Move], clock: Clock, said: Said, task: Any = None) -> Any:
    """What the move makes of (a job under way, the source's word, the target's) at each look; the last is said for ever."""
    looks = itertools.chain(said, itertools.repeat(said[-1]))
    now: list[Any] = []

    class Recorded(kind):  # type: ignore[misc, valid-type]
        def _is_still_moving(self) -> bool:
            now[:] = next(looks)
            return bool(now[0])

        def places(self) -> tuple[Place, Place]:
            return Place(SOURCE, *now[1]), Place(TARGET, *now[2])

        def _place(self, end: str) -> Place:
            """Asked again, a moment later."""
            now[:] = next(looks)
            return Place(SOURCE, *now[1]) if end == "source" else Place(TARGET, *now[2])

        def look_again(self) -> None: ...

        @property
        def target(self) -> Any:
            return None

        def _succeeded(self) -> dict[str, Any]:
            return {"host": TARGET.name}

    recorded = Recorded(task or Asked(clock), TARGET)
    with patch.object(recorded.steering, "obey"), patch.object(recorded.steering, "hear_of_cancelling"):
        return recorded.observe()


RUNS, SENT, GONE = ("running", ""), ("paused", "migration"), ("absent", "")


def test_a_guest_handed_over_between_two_questions_is_asked_for_again_and_found_arrived(clock: Clock) -> None:
    said = [(True, RUNS, SENT), (False, RUNS, ("running", "migrated")), (False, GONE, ("running", "migrated"))]
    assert observed(Move, clock, said) == {"host": "kvm2"}


def test_two_copies_that_run_are_told_and_the_one_that_came_later_is_paused(clock: Clock) -> None:
    with (
        patch("hosts.hypervisor.guest.Guest.suspend") as suspend,
        pytest.raises(Uncertain, match="on kvm1 and on kvm2"),
    ):
        observed(Move, clock, [(False, RUNS, RUNS)])
    suspend.assert_called_once()


def test_a_copy_that_cannot_be_paused_is_told_as_well(clock: Clock) -> None:
    busy = patch("hosts.hypervisor.guest.Guest.suspend", side_effect=Conflict("busy"))
    with busy as suspend, pytest.raises(Uncertain, match="kvm1: running; kvm2: running"):
        observed(Move, clock, [(False, RUNS, RUNS)])
    assert suspend.call_count > 1 and clock.now - 1000 > move.SETTLE_SECONDS


def test_a_guest_handed_over_between_two_questions_is_paused_by_nobody(clock: Clock) -> None:
    class HandedOver(Move):
        def _place(self, end: str) -> Place:
            return Place(SOURCE, *GONE)

    handed: Any = HandedOver(Asked(clock), TARGET)
    handed.steering.hear_of_cancelling = lambda: None
    with patch("hosts.hypervisor.guest.Guest.suspend") as suspend, pytest.raises(Unsettled):
        handed._judge(Place(SOURCE, *RUNS), Place(TARGET, *RUNS))
    suspend.assert_not_called()


def test_an_unfinished_copy_whose_removal_takes_a_moment_is_waited_for(clock: Clock) -> None:
    with pytest.raises(Failed, match="running on kvm1"):
        observed(Move, clock, [(False, RUNS, SENT), (False, RUNS, SENT), (False, RUNS, GONE)])


def test_a_definition_that_is_on_its_way_is_waited_for(clock: Clock) -> None:
    off = ("shutoff", "shut off")
    assert observed(OfflineMove, clock, [(False, off, off), (False, GONE, off)]) == {"host": "kvm2"}


LOST = ("unknown", "")


def test_a_source_that_waits_for_a_lost_target_is_followed_until_it_gives_up(clock: Clock) -> None:
    """QEMU in its last pause waits until TCP gives up, for longer than anybody else waits for a host."""
    looks = int(10 * settings.LOST_SECONDS)
    with pytest.raises(Failed, match="running on kvm1"):
        observed(Move, clock, [*[(True, SENT, LOST)] * looks, (False, RUNS, LOST)])


def test_what_did_not_go_together_before_a_host_was_lost_is_given_its_time_again(clock: Clock) -> None:
    lost = [(True, RUNS, LOST)] * 40
    said = [(False, RUNS, SENT), *lost, (False, RUNS, SENT), (False, RUNS, GONE)]
    with pytest.raises(Failed, match="running on kvm1"):
        observed(Move, clock, said)


def test_a_host_that_answers_again_is_not_waited_for_any_more(clock: Clock) -> None:
    task = Asked(clock)
    waited: list[Any] = []
    with patch.object(task, "wait", side_effect=lambda _: waited.append(task.operation.progress.get("waiting_for"))):
        observed(Move, clock, [(True, RUNS, LOST), (True, RUNS, SENT), (False, GONE, RUNS)], task)
    assert waited == ["kvm2", ""]


def test_a_move_stands_still_when_its_figures_do_or_nobody_tells_them_and_goes_on_when_they_do(clock: Clock) -> None:
    task: Any = Asked(clock)
    standstill = Standstill(task)
    progress = task.operation.progress

    def why() -> str:
        return str((progress.get("still") or {}).get("why", ""))

    standstill.seen(JobFigures("unbounded", processed=5, iteration=1))
    task.wait(watching.STILL_SECONDS - 1)
    standstill.seen(JobFigures("unbounded", processed=5, iteration=1))
    assert not why()
    task.wait(2)
    standstill.seen(JobFigures("unbounded", processed=5, iteration=1))
    assert why() == "still"
    since = progress["still"]["since"]
    standstill.unanswered()
    assert why() == "silent" and progress["still"]["since"] == since
    standstill.seen(JobFigures("unbounded", processed=6, iteration=1))
    assert progress["still"] is None


def test_disks_may_be_copied_in_long_steps(clock: Clock) -> None:
    task: Any = Asked(clock)
    standstill = Standstill(task)
    for seconds, stands in ((0, False), (watching.STILL_DISKS_SECONDS - 1, False), (2, True)):
        task.wait(seconds)
        standstill.seen(JobFigures("unbounded", processed=5))
        assert standstill.lasts is stands


@pytest.mark.parametrize(
    ("error", "moving"),
    [
        (Conflict("", code=libvirt.VIR_ERR_OPERATION_TIMEOUT), True),
        (Conflict("", code=libvirt.VIR_ERR_OPERATION_INVALID), False),
        (NotFound("", code=libvirt.VIR_ERR_NO_DOMAIN), False),
    ],
)
def test_a_job_that_keeps_its_figures_from_being_read_is_a_job(clock: Clock, error: Exception, moving: bool) -> None:
    task: Any = Asked(clock)
    asked = Move(task, TARGET)
    with patch.object(Move, "source", None), patch("hosts.hypervisor.guest.Guest.job", side_effect=error):
        assert asked._is_still_moving() is moving
