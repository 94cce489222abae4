"""What needs a person now. Shown on every page until it is over."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.utils import timezone

from hosts.models.host import Host


class Alarm(models.Model):
    """``key`` says what it is about, so that the same trouble raises one alarm; ``cleared_at`` ends it."""

    class Level(models.TextChoices):
        WARNING = "warning"
        CRITICAL = "critical"

    key = models.CharField(max_length=120)
    level = models.CharField(max_length=8, choices=Level.choices)
    kind = models.CharField(max_length=40)
    host = models.ForeignKey(Host, null=True, on_delete=models.CASCADE, related_name="alarms")
    subject_uuid = models.UUIDField(null=True)
    subject_name = models.CharField(max_length=255, blank=True)
    facts = models.JSONField(default=dict)
    since = models.DateTimeField(default=timezone.now)
    cleared_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["-since"]
        constraints = [
            models.UniqueConstraint(fields=["key"], condition=Q(cleared_at=None), name="one_open_alarm_per_key")
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.subject_name}"
