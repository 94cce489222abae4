"""Snapshots that are taken by the clock."""

from __future__ import annotations

import datetime as dt

from django.db import models
from django.utils.translation import gettext_lazy as _

from hosts.models import User


class SnapshotSchedule(models.Model):
    """When snapshots of a guest are taken, how, and how many of its own it keeps. Run by vms.scheduling in its owner's name."""

    class Every(models.TextChoices):
        HOURS = "hours", _("every few hours")
        DAY = "day", _("every day")
        WEEK = "week", _("every week")
        MONTH = "month", _("every month")

    class Where(models.TextChoices):
        INTERNAL = "internal", _("inside the images")
        EXTERNAL = "external", _("in files beside the images")

    vm = models.ForeignKey("vms.VirtualMachine", on_delete=models.CASCADE, related_name="snapshot_schedules")
    owner = models.ForeignKey(User, null=True, on_delete=models.SET_NULL, related_name="+")
    owner_name = models.CharField(max_length=150, blank=True)
    enabled = models.BooleanField(default=True)
    every = models.CharField(max_length=8, choices=Every.choices, default=Every.DAY)
    #: for every few hours; counted from midnight
    hours = models.PositiveSmallIntegerField(default=6)
    #: otherwise: the time of day, by the server's clock and time zone
    at = models.TimeField(default=dt.time(3, 0))
    #: 0 is Monday; the day of the month is the last one in months that are shorter
    weekday = models.PositiveSmallIntegerField(default=0)
    day = models.PositiveSmallIntegerField(default=1)
    where = models.CharField(max_length=8, choices=Where.choices, default=Where.INTERNAL)
    #: have the agent freeze file systems where it answers; for files beside the images only
    quiesce = models.BooleanField(default=True)
    #: how many of those that it took are kept; older ones are merged away
    keep = models.PositiveSmallIntegerField(default=7)

    next_at = models.DateTimeField(db_index=True)
    #: names of the snapshots that it took and that are not deleted, oldest first
    taken = models.JSONField(default=list)
    #: what it asked for and waits for: an operation, what it does ('create' or 'delete') and to which snapshot
    pending = models.UUIDField(null=True)
    pending_what = models.CharField(max_length=6, blank=True)
    pending_name = models.CharField(max_length=63, blank=True)
    last_at = models.DateTimeField(null=True)
    #: why the last turn failed, in English as it is stored everywhere; '' when it did not
    trouble = models.TextField(blank=True)

    class Meta:
        ordering = ["pk"]

    def __str__(self) -> str:
        return f"snapshot schedule {self.pk} of {self.vm_id}"
