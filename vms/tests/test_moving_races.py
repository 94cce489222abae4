"""What two hosts say of a guest, asked one after the other while its move ends. Read wrongly it would be a lie."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any
from unittest.mock import patch

import libvirt
import pytest

from hosts.hypervisor.errors import Conflict, Failed, NotFound
from hosts.models import Host
from hosts.operations.kind import Uncertain
from vms.moving import move
from vms.moving.move import Move
from vms.moving.offline import OfflineMove
from vms.moving.places import Place

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

    def wait(self, seconds: float) -> None:
        self.clock.now += seconds

    def log(self, *words: str) -> None: ...

    def progress(self, **figures: Any) -> None: ...


@pytest.fixture
def clock() -> Iterator[Clock]:
    found = Clock()
    with patch.object(move, "time", found):
        yield found


def observed(kind: type[Move], clock: Clock, said: list[tuple[bool, tuple[str, str], tuple[str, str]]]) -> Any:
    """What the move makes of (a job under way, the source's word, the target's) at each look; the last is said for ever."""
    looks = itertools.chain(said, itertools.repeat(said[-1]))
    now: list[Any] = []

    class Recorded(kind):  # type: ignore[misc, valid-type]
        def _is_still_moving(self) -> bool:
            now[:] = next(looks)
            return bool(now[0])

        def places(self) -> tuple[Place, Place]:
            return Place(SOURCE, *now[1]), Place(TARGET, *now[2])

        def _succeeded(self) -> dict[str, Any]:
            return {"host": TARGET.name}

    task: Any = Asked(clock)
    recorded = Recorded(task, TARGET, None)
    with patch.object(recorded.steering, "obey"), patch.object(recorded.steering, "hear_of_cancelling"):
        return recorded.observe()


RUNS, SENT, GONE = ("running", ""), ("paused", "migration"), ("absent", "")


def test_a_guest_handed_over_between_two_questions_is_asked_for_again_and_found_arrived(clock: Clock) -> None:
    said = [(True, RUNS, SENT), (False, RUNS, ("running", "migrated")), (False, GONE, ("running", "migrated"))]
    assert observed(Move, clock, said) == {"host": "kvm2"}


def test_two_copies_that_stay_are_told_and_neither_is_called_the_guest(clock: Clock) -> None:
    with pytest.raises(Uncertain, match="kvm1: running; kvm2: running"):
        observed(Move, clock, [(False, RUNS, RUNS)])
    assert clock.now - 1000 > move.SETTLE_SECONDS


def test_an_unfinished_copy_whose_removal_takes_a_moment_is_waited_for(clock: Clock) -> None:
    with pytest.raises(Failed, match="running on kvm1"):
        observed(Move, clock, [(False, RUNS, SENT), (False, RUNS, SENT), (False, RUNS, GONE)])


def test_a_definition_that_is_on_its_way_is_waited_for(clock: Clock) -> None:
    off = ("shutoff", "shut off")
    assert observed(OfflineMove, clock, [(False, off, off), (False, GONE, off)]) == {"host": "kvm2"}


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
    asked = Move(task, TARGET, None)
    with patch.object(Move, "source", None), patch("hosts.hypervisor.guest.Guest.job", side_effect=error):
        assert asked._is_still_moving() is moving
