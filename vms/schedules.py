"""Schedules of snapshots as people make, change and remove them."""

from __future__ import annotations

import datetime as dt
from typing import Any

from django.contrib.auth.models import AnonymousUser
from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _

from hosts import access, audit, notify
from hosts.audit import Actor
from hosts.operations.kind import InvalidArguments, Refused
from hosts.operations.storage_base import NotNow
from vms import scheduling, snapshots
from vms.models import SnapshotSchedule, VirtualMachine

VERB = "vm.snapshot_schedule"
#: of one guest
MOST = 10
MOST_KEPT = 100
FIELDS = ("enabled", "every", "hours", "at", "weekday", "day", "where", "quiesce", "keep")
#: least and most of the numbers
RANGES = {"hours": (1, 12), "weekday": (0, 6), "day": (1, 31), "keep": (1, MOST_KEPT)}


def of(vm: VirtualMachine) -> QuerySet[SnapshotSchedule]:
    """Those of a guest."""
    return SnapshotSchedule.objects.filter(vm=vm).select_related("vm__host")


def clean(given: dict[str, Any]) -> dict[str, Any]:
    """The fields of a schedule as checked plain data; what is left out stays as it is. Raises InvalidArguments."""
    for name in given:
        if name not in FIELDS:
            raise InvalidArguments(name, _("A schedule has no %(name)s.") % {"name": repr(name[:40])})
    for name in ("enabled", "quiesce"):
        if not isinstance(given.get(name, True), bool):
            raise InvalidArguments(name, _("Either true or false."))
    for name, choices in (("every", SnapshotSchedule.Every.values), ("where", SnapshotSchedule.Where.values)):
        if given.get(name, choices[0]) not in choices:
            raise InvalidArguments(name, _("One of: %(values)s.") % {"values": ", ".join(choices)})
    for name, (least, most) in RANGES.items():
        value = given.get(name, least)
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            raise InvalidArguments(name, _("A number from %(least)d to %(most)d.") % {"least": least, "most": most})
    if not isinstance(given.get("at", dt.time()), dt.time):
        raise InvalidArguments("at", _("A time of day, such as 03:00."))
    return dict(given)


def save(
    vm: VirtualMachine, given: dict[str, Any], actor: Actor, row: SnapshotSchedule | None = None
) -> SnapshotSchedule:
    """Make one, or change ``row``; from then on it acts in the name of whoever did. Raises Denied, Refused, InvalidArguments."""
    access.require(actor.user or AnonymousUser(), VERB, vm)
    values = clean(given)
    schedule = row or SnapshotSchedule(vm=vm)
    for name, value in values.items():
        setattr(schedule, name, value)
    _check(vm, schedule)
    schedule.owner, schedule.owner_name = actor.user, actor.label
    schedule.next_at = scheduling.turn_after(schedule, timezone.now())
    with transaction.atomic():
        if row is None:
            schedule.save()
        else:
            # Not what the clock writes meanwhile.
            schedule.save(update_fields=[*FIELDS, "owner", "owner_name", "next_at"])
        audit.record(actor, VERB, vm.name, subject_uuid=vm.uuid, schedule=schedule.pk, rule=words(schedule))
    if not schedule.enabled:
        scheduling.drop_alarm(schedule.pk)
    notify.changed(f"vm:{vm.uuid}")
    return schedule


def _check(vm: VirtualMachine, schedule: SnapshotSchedule) -> None:
    if not vm.persistent:
        raise Refused(_("%(name)s is forgotten when it stops: it has no stored definition.") % {"name": vm.name})
    if schedule.pk is None and of(vm).count() >= MOST:
        raise Refused(_("A guest has at most %(most)d schedules.") % {"most": MOST})
    internal = schedule.where == SnapshotSchedule.Where.INTERNAL
    why = snapshots.why_no_internal(vm) if internal else snapshots.why_no_external(vm)
    if why and schedule.enabled:
        raise NotNow("where", why)
    if not internal and snapshots.version_of(vm) < snapshots.DELETES_EXTERNAL:
        raise NotNow("where", _("The host's libvirt cannot merge snapshots in files of their own (9.0.0 can)."))


def remove(schedule: SnapshotSchedule, actor: Actor) -> None:
    """Remove it; the snapshots that it took stay. Raises Denied."""
    vm = schedule.vm
    access.require(actor.user or AnonymousUser(), VERB, vm)
    pk = schedule.pk
    with transaction.atomic():
        schedule.delete()
        audit.record(actor, VERB, vm.name, subject_uuid=vm.uuid, schedule=pk, removed=True)
    scheduling.drop_alarm(pk)
    notify.changed(f"vm:{vm.uuid}")


def words(schedule: SnapshotSchedule) -> str:
    """When its turns are, in words."""
    at = f"{schedule.at:%H:%M}"
    if schedule.every == SnapshotSchedule.Every.HOURS:
        return _("every hour") if schedule.hours == 1 else _("every %(n)d hours") % {"n": schedule.hours}
    if schedule.every == SnapshotSchedule.Every.WEEK:
        return _("every %(day)s at %(time)s") % {"day": weekdays()[schedule.weekday], "time": at}
    if schedule.every == SnapshotSchedule.Every.MONTH:
        return _("on day %(day)d of every month at %(time)s") % {"day": schedule.day, "time": at}
    return _("every day at %(time)s") % {"time": at}


def weekdays() -> list[str]:
    """Their names, Monday first."""
    return [_("Monday"), _("Tuesday"), _("Wednesday"), _("Thursday"), _("Friday"), _("Saturday"), _("Sunday")]
