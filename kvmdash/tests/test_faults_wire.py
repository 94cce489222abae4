"""A host that is cut off, frozen or loses power, and a kvmdash that is killed, in the middle of every kind of operation.

All kinds are hit at once, each on a host of its own; every test looks at what became of one of them.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from kvmdash.tests.faults import ENDED, HASTY, KINDS, REPEATABLE, TRIALS, Outcome, Stand, Stands
from kvmdash.tests.program import Program
from lab.testhosts import libvirtd_path

Outcomes = dict[str, Outcome]


@pytest.fixture(scope="module")
def stands() -> Iterator[Stands]:
    if libvirtd_path() is None:
        pytest.skip("libvirtd is not installed")
    program = Program(**HASTY)
    made = Stands(program)
    try:
        program.start()
        made.start()
        yield made
    finally:
        program.stop()
        made.remove()
    if "Traceback" in program.log():
        sys.stderr.write(program.log()[-6000:])
    shutil.rmtree(program.folder, ignore_errors=True)


def ask_through_armed_cables(stands: Stands, moment: str, freezing: bool = False) -> None:
    """Have every cable go silent at the change, and ask for everything; what only looks finds its host frozen."""
    for stand in stands.all.values():
        stand.wire.arm(moment, then=stand.host.freeze if freezing else lambda: None)
    stands.ask(freezing=lambda stand: stand.only_looks)


def cut_off(stands: Stands, moment: str, **how: bool) -> None:
    """Ask for everything, until kvmdash has seen of each that its host is lost."""
    stands.prepare()
    ask_through_armed_cables(stands, moment, **how)
    stands.wait_for_all(is_noticed, "every loss to be noticed")


def is_noticed(_stand: Stand, record: dict[str, Any]) -> bool:
    return record["state"] in ENDED or bool(record["progress"].get("waiting_for"))


@pytest.fixture(scope="module")
def cut(stands: Stands) -> Outcomes:
    """The change never reaches the host."""
    cut_off(stands, "before")
    stands.mend()
    return stands.outcomes()


@pytest.fixture(scope="module")
def frozen(stands: Stands) -> Outcomes:
    """The change waits in the frozen daemon's queue and may be carried out as late as when it is thawed."""
    cut_off(stands, "after", freezing=True)
    stands.mend()
    return stands.outcomes()


@pytest.fixture(scope="module")
def power_cut(stands: Stands) -> Outcomes:
    """Each host goes down with everything it knew, right after the change reached it."""
    cut_off(stands, "after")
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(Stand.power_cut, stands.all.values()))
    stands.mend()
    return stands.outcomes()


@pytest.fixture(scope="module")
def killed_after_asking(stands: Stands) -> Outcomes:
    """kvmdash is killed when every change has reached its host and before the answer is back."""
    stands.prepare()
    ask_through_armed_cables(stands, "after")
    stands.wait_for_all(lambda stand, record: stand.wire.changed.is_set() or stand.cannot_be_hit(record), "the changes")
    stands.program.kill()
    stands.mend()
    stands.program.start()
    return stands.outcomes()


@pytest.fixture(scope="module")
def killed_before_asking(stands: Stands) -> Outcomes:
    """kvmdash has claimed everything, cannot even look because all daemons are frozen, and is killed."""
    stands.prepare()
    for stand in stands.all.values():
        stand.wire.arm("open")
    stands.ask(freezing=lambda stand: True)
    stands.wait_for_all(
        lambda _stand, record: record["state"] == "running" or record["state"] in ENDED, "all to be claimed"
    )
    stands.program.kill()
    stands.too_late = [kind for kind, record in stands.last_records.items() if record["state"] in ENDED]
    assert len(stands.too_late) <= len(KINDS) // 4, stands.too_late
    for stand in stands.all.values():
        stand.host.thaw()
    stands.program.start()
    return stands.outcomes()


def test_every_kind_is_tried() -> None:
    assert set(KINDS) == set(TRIALS), "kvmdash/tests/faults.py must say how a new kind is tried"


def is_told(outcome: Outcome, kind: str) -> bool:
    """Whether the record must say exactly what libvirt shows."""
    return outcome.done is not None and TRIALS[kind].told


@pytest.mark.parametrize("kind", KINDS)
def test_cut_off_before_the_change_arrived(cut: Outcomes, kind: str) -> None:
    outcome = cut[kind]
    outcome.check_truth()
    if kind in REPEATABLE:
        assert outcome.done is None or (outcome.done and outcome.state == "succeeded"), outcome.record
        return
    assert not outcome.delivered, f"it was run again blindly: {outcome.delivered}"
    assert outcome.state in ("unknown", "failed") and not outcome.done, outcome.record


@pytest.mark.parametrize("kind", KINDS)
def test_frozen_in_the_middle_and_thawed(frozen: Outcomes, kind: str) -> None:
    outcome = frozen[kind]
    outcome.require_daemon()
    if outcome.done is not None:
        assert (outcome.state, outcome.done) not in (("succeeded", False), ("failed", True)), outcome.record


@pytest.mark.parametrize("kind", KINDS)
def test_kvmdash_killed_after_the_change_arrived(killed_after_asking: Outcomes, kind: str) -> None:
    outcome = killed_after_asking[kind]
    outcome.check_truth()
    if kind in REPEATABLE or not outcome.delivered:
        return
    most = TRIALS[kind].calls
    assert len(set(outcome.delivered)) == len(outcome.delivered) <= most, (
        f"it was run again blindly: {outcome.delivered}"
    )
    assert outcome.state in ("succeeded", "unknown"), outcome.record
    if is_told(outcome, kind):
        assert outcome.done and outcome.state == "succeeded", outcome.record


@pytest.mark.parametrize("kind", KINDS)
def test_kvmdash_killed_before_it_asked_anything_does_it_once(killed_before_asking: Outcomes, kind: str) -> None:
    outcome = killed_before_asking[kind]
    outcome.check_truth()
    if outcome.too_late:
        assert outcome.state in ("failed", "unknown") and not outcome.delivered, outcome.record
        pytest.skip("the loss of its host was noticed before kvmdash was killed")
    assert outcome.state == ("succeeded" if TRIALS[kind].known else "failed"), outcome.record
    if TRIALS[kind].done is not None:
        assert outcome.done and outcome.delivered, outcome.record


@pytest.mark.parametrize("kind", KINDS)
def test_power_lost_in_the_middle(power_cut: Outcomes, kind: str) -> None:
    outcome = power_cut[kind]
    outcome.check_truth()
    if outcome.done is None:
        assert outcome.state in ("failed", "unknown"), outcome.record
