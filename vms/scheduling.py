"""Snapshots by the clock: who is due takes one in its owner's name, and merges away what it need not keep any more.

Several processes may do this at once: whoever moves ``next_at`` on, or takes ``pending`` away, by one conditional UPDATE goes on.
"""

from __future__ import annotations

import datetime as dt

from django.db import transaction
from django.utils import timezone

from hosts import access, alarms, notify
from hosts.audit import Actor
from hosts.hypervisor.sentences import say
from hosts.models import Operation
from hosts.operations import queue
from hosts.operations.kind import Refused
from hosts.said import kept
from vms import snapshots
from vms.agent import why_no_agent
from vms.clock import Rule, next_after
from vms.models import SnapshotSchedule

#: seconds between two looks
LOOK_SECONDS = 5.0
#: a guest that is busy is waited for as long as this; then the turn is left out
PATIENCE = dt.timedelta(minutes=30)
MOST_AT_ONCE = 200
ROAD = "schedule"


def rule_of(schedule: SnapshotSchedule) -> Rule:
    """Its rule as plain data."""
    return Rule(schedule.every, schedule.hours, schedule.at, schedule.weekday, schedule.day)


def turn_after(schedule: SnapshotSchedule, moment: dt.datetime) -> dt.datetime:
    """Its first turn after ``moment``."""
    return next_after(rule_of(schedule), moment, timezone.get_default_timezone())


def look() -> None:
    """One round."""
    now = timezone.now()
    for schedule in _rows(pending__isnull=False):
        settle(schedule)
    for schedule in _rows(enabled=True, pending=None, next_at__lte=now):
        take(schedule, now)


def _rows(**wanted: object) -> list[SnapshotSchedule]:
    rows = SnapshotSchedule.objects.filter(**wanted).select_related("vm__host", "owner")
    return list(rows.order_by("next_at")[:MOST_AT_ONCE])


def take(schedule: SnapshotSchedule, now: dt.datetime) -> None:
    """Its turn has come: take a snapshot, or leave this turn out and say why."""
    if _is_busy(schedule) and now - schedule.next_at < PATIENCE:
        return
    mine = SnapshotSchedule.objects.filter(pk=schedule.pk, next_at=schedule.next_at, pending=None, enabled=True)
    with transaction.atomic():
        # The turn and what is asked for it are written together, or not at all.
        if not mine.update(next_at=turn_after(schedule, now), last_at=now):
            return
        name = f"auto{schedule.pk}-{timezone.localtime(now):%Y%m%d-%H%M%S}"
        _ask(schedule, "create", name, _arguments(schedule, name))
    notify.changed(f"vm:{schedule.vm_id}")


def _arguments(schedule: SnapshotSchedule, name: str) -> dict[str, object]:
    external = schedule.where == SnapshotSchedule.Where.EXTERNAL
    return {
        "name": name,
        "where": schedule.where,
        "memory": False if external else None,
        "quiesce": external and schedule.quiesce and not why_no_agent(schedule.vm),
    }


def _is_busy(schedule: SnapshotSchedule) -> bool:
    active = Operation.objects.filter(subject_uuid=schedule.vm_id, exclusive=True, state__in=Operation.ACTIVE)
    return active.exists()


def _ask(schedule: SnapshotSchedule, what: str, name: str, arguments: dict[str, object]) -> None:
    """Ask in the owner's name, and remember what is waited for."""
    actor = Actor(user=schedule.owner, road=ROAD, name=schedule.owner_name)
    try:
        operation = queue.enqueue(f"snapshot-{what}", schedule.vm, arguments, actor)
    except (Refused, access.Denied) as error:
        _fail(schedule, _english(error))
        return
    SnapshotSchedule.objects.filter(pk=schedule.pk).update(pending=operation.pk, pending_what=what, pending_name=name)


def _english(error: Exception) -> str:
    with kept():
        return str(error)


def settle(schedule: SnapshotSchedule) -> None:
    """See how what it asked for ended; then merge away the oldest that it need not keep."""
    operation = Operation.objects.filter(pk=schedule.pending).first() if schedule.pending else None
    if operation is not None and operation.state in Operation.ACTIVE:
        return
    what, name = schedule.pending_what, schedule.pending_name
    done = operation is not None and operation.state == Operation.State.SUCCEEDED
    taken = list(schedule.taken)
    if done and what == "create":
        taken.append(name)
    if done and what == "delete":
        taken = [one for one in taken if one != name]
    waiting = SnapshotSchedule.objects.filter(pk=schedule.pk, pending=schedule.pending)
    with transaction.atomic():
        if not waiting.update(pending=None, pending_what="", pending_name="", taken=taken):
            return
        schedule.taken = taken
        if not done:
            _fail(schedule, _why(operation))
            return
        _succeed(schedule)
        _prune(schedule)
    notify.changed(f"vm:{schedule.vm_id}")


def _why(operation: Operation | None) -> str:
    if operation is None:
        return say("The operation is not known any more.")
    return str((operation.error or {}).get("message") or operation.state)


def _prune(schedule: SnapshotSchedule) -> None:
    """Ask for the oldest surplus one to be merged away. Those that somebody else deleted are forgotten."""
    there = {snapshot["name"] for snapshot in snapshots.snapshots_of(schedule.vm)}
    newest = schedule.taken[-1:]
    taken = [name for name in schedule.taken if name in there or name in newest]
    if taken != schedule.taken:
        SnapshotSchedule.objects.filter(pk=schedule.pk).update(taken=taken)
        schedule.taken = taken
    surplus = taken[: -schedule.keep]
    if surplus:
        _ask(schedule, "delete", surplus[0], {"name": surplus[0]})


def _fail(schedule: SnapshotSchedule, why: str) -> None:
    SnapshotSchedule.objects.filter(pk=schedule.pk).update(trouble=why)
    alarms.raise_alarm(
        _alarm(schedule), "snapshot-schedule", level="warning", host=schedule.vm.host, subject_uuid=schedule.vm_id,
        subject_name=schedule.vm.name, text=why,
    )  # fmt: skip
    notify.changed(f"vm:{schedule.vm_id}")


def _succeed(schedule: SnapshotSchedule) -> None:
    SnapshotSchedule.objects.filter(pk=schedule.pk).update(trouble="")
    alarms.clear(_alarm(schedule))


def _alarm(schedule: SnapshotSchedule) -> str:
    return f"snapshot-schedule-{schedule.pk}"


def drop_alarm(pk: int) -> None:
    """A schedule that is gone, or off, is no trouble any more."""
    alarms.clear(f"snapshot-schedule-{pk}")
