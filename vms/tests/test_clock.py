"""When a schedule's turn is, by clocks that change and months that end early."""

from __future__ import annotations

import datetime as dt
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vms.clock import Rule, next_after

BERLIN, UTC = ZoneInfo("Europe/Berlin"), ZoneInfo("UTC")


def at(text: str, zone: dt.tzinfo = UTC) -> dt.datetime:
    return dt.datetime.fromisoformat(text).replace(tzinfo=zone)


@pytest.mark.parametrize(
    ("rule", "moment", "turn"),
    [
        (Rule("hours", hours=1), "2026-11-25T17:00:00", "2026-11-25T18:00:00"),
        (Rule("hours", hours=6), "2026-11-25T17:59:59", "2026-11-25T18:00:00"),
        (Rule("hours", hours=5), "2026-11-25T20:30:00", "2026-11-26T00:00:00"),
        (Rule("day", at=dt.time(3)), "2026-11-25T02:59:00", "2026-11-25T03:00:00"),
        (Rule("day", at=dt.time(3)), "2026-11-25T03:00:00", "2026-11-26T03:00:00"),
        (Rule("week", at=dt.time(3), weekday=0), "2026-11-25T12:00:00", "2026-11-30T03:00:00"),
        (Rule("month", at=dt.time(3), day=31), "2026-02-01T00:00:00", "2026-02-28T03:00:00"),
        (Rule("month", at=dt.time(3), day=31), "2026-02-28T03:00:00", "2026-03-31T03:00:00"),
        (Rule("month", at=dt.time(3), day=1), "2026-12-15T00:00:00", "2027-01-01T03:00:00"),
    ],
)
def test_the_next_turn_is_the_first_one_after_the_moment(rule: Rule, moment: str, turn: str) -> None:
    assert next_after(rule, at(moment), UTC) == at(turn)


def test_a_time_that_the_clock_leaves_out_comes_as_much_later_and_none_comes_twice() -> None:
    rule = Rule("day", at=dt.time(2, 30))
    assert next_after(rule, at("2026-03-29T00:00:00", BERLIN), BERLIN) == at("2026-03-29T01:30:00")  # 3:30 by the clock
    first = next_after(rule, at("2026-10-25T00:00:00", BERLIN), BERLIN)
    assert first == at("2026-10-25T00:30:00")
    assert next_after(rule, first, BERLIN) == at("2026-10-26T01:30:00")


@given(
    st.sampled_from(["hours", "day", "week", "month"]),
    st.integers(1, 12),
    st.times(),
    st.integers(0, 6),
    st.integers(1, 31),
    st.datetimes(at("2020-01-01T00:00:00").replace(tzinfo=None), at("2040-01-01T00:00:00").replace(tzinfo=None)),
)
def test_every_rule_has_a_turn_within_its_time(
    every: str, hours: int, time: dt.time, weekday: int, day: int, moment: dt.datetime
) -> None:
    rule = Rule(every, hours, time.replace(second=0, microsecond=0), weekday, day)
    now = moment.replace(tzinfo=UTC)
    turn = next_after(rule, now, BERLIN)
    longest = {"hours": hours, "day": 25, "week": 7 * 24 + 1, "month": 31 * 24 + 1}[every]
    assert now < turn <= now + dt.timedelta(hours=longest + 1)
