"""The clock on the wall jumps by hours, forward and back, under a running kvmdash; what only counts time goes on."""

from __future__ import annotations

import datetime as dt
import re
import shutil
import sys
import time
from collections.abc import Iterator

import pytest

from conftest import wait_until
from kvmdash.tests.clock import Clock
from kvmdash.tests.faults import HASTY, Stands
from kvmdash.tests.pages import get, log_in
from kvmdash.tests.program import Program
from lab.testhosts import libvirtd_path

HOURS = 5


@pytest.fixture(scope="module")
def clock(tmp_path_factory: pytest.TempPathFactory) -> Clock:
    return Clock(tmp_path_factory.mktemp("clock"))


@pytest.fixture(scope="module")
def stands(clock: Clock) -> Iterator[Stands]:
    if libvirtd_path() is None:
        pytest.skip("libvirtd is not installed")
    program = Program(**HASTY | {"KVMDASH_TICK_SECONDS": "1"}, **clock.environment)
    made = Stands(program, ["start", "suspend"])
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


def seconds_ahead(stands: Stands) -> float:
    """How far the mirror's last look at a host, which is asked for, is ahead of the true time."""
    status, asked = stands.program.api("hosts/suspend/refresh", {})
    assert status == 202 and stands.program.ended(asked["id"])["state"] == "succeeded"
    seen = dt.datetime.fromisoformat(stands.program.get("hosts/suspend")["seen_at"])
    return (seen - dt.datetime.now(dt.UTC)).total_seconds()


def begin(stands: Stands, moment: str = "hold") -> None:
    """An operation that waits in the cable, or (``after``) whose answer does."""
    stands.prepare()
    stands.all["start"].wire.arm(moment)
    stands.ask_one("start")
    wait_until(stands.all["start"].wire.changed.is_set, 30, "libvirt to be asked")


def end(stands: Stands) -> dict:
    stands.all["start"].wire.release()
    ended = stands.program.ended(stands.asked["start"])
    assert stands.all["start"].done()
    return ended


@pytest.mark.parametrize(("before", "after"), [(0, HOURS), (HOURS, 0)], ids=["forward", "back"])
def test_an_operation_under_way_is_not_taken_for_dead_when_the_clock_jumps(
    stands: Stands, clock: Clock, before: int, after: int
) -> None:
    clock.set(before)
    begin(stands)
    session = log_in(stands.program)
    since = len(stands.program.log())
    clock.set(after)
    ahead = after * 3600
    wait_until(lambda: abs(seconds_ahead(stands) - ahead) < 600, 40, "the mirror to go on by the new clock")
    look_on(stands, 4.5)
    assert stands.program.operation(stands.asked["start"])["state"] == "running"
    status, text = get(stands.program, session, "/vms/")
    assert status == 200 and not re.search(r"-\d+ (s|min|h|d) ago", text)
    ended = end(stands)
    assert ended["state"] == "succeeded" and ended["duration"] >= 0, ended
    later = stands.program.log()[since:]
    assert "recovering" not in later and "host not connected" not in later
    # What comes after the jump is as quick as ever.
    assert stands.program.do("suspend", "suspend")["state"] == "succeeded"
    wait_until(lambda: stands.program.vm("suspend")["power_state"] == "paused", 20, "the change to be mirrored")


def look_on(stands: Stands, seconds: float) -> None:
    """Watch for longer than a lease runs: that is when somebody would be taken for dead."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        assert stands.program.operation(stands.asked["start"])["state"] == "running"
        time.sleep(0.3)


def test_what_was_claimed_by_a_clock_that_was_ahead_is_recovered_at_once(stands: Stands, clock: Clock) -> None:
    clock.set(HOURS)
    begin(stands, "after")
    stands.program.kill()
    clock.set(0)
    stands.mend()
    stands.program.start()
    ended = stands.program.ended(stands.asked["start"], 30)
    assert ended["state"] == "succeeded" and ended["result"]["recovered"], ended
