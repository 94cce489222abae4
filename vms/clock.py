"""When a schedule's turn is. Pure."""

from __future__ import annotations

import calendar
import datetime as dt
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Rule:
    """``every`` hours, day, week or month, as vms.models.SnapshotSchedule says it."""

    every: str
    hours: int = 6
    at: dt.time = dt.time(3, 0)
    weekday: int = 0
    day: int = 1


def next_after(rule: Rule, moment: dt.datetime, zone: dt.tzinfo) -> dt.datetime:
    """The first turn after ``moment`` (aware), by the clock of ``zone``; in UTC.

    A time that a change of the clock leaves out comes as much later; one that comes twice counts the first time.
    """
    local = moment.astimezone(zone)
    days = (local.date() + dt.timedelta(days=number) for number in range(800))
    for day in days:
        for time in _times(rule, day):
            turn = dt.datetime.combine(day, time, zone).astimezone(dt.UTC)
            if turn > moment:
                return turn
    raise ValueError("This rule has no turn.")


def _times(rule: Rule, day: dt.date) -> list[dt.time]:
    """The turns of one day, in order."""
    if rule.every == "hours":
        return [dt.time(hour) for hour in range(0, 24, rule.hours)]
    last = calendar.monthrange(day.year, day.month)[1]
    due = {
        "day": True,
        "week": day.weekday() == rule.weekday,
        "month": day.day == min(rule.day, last),
    }
    return [rule.at] if due[rule.every] else []
