"""The audit list: who, from where, what, when, and how it went. Rows are only ever added."""

from __future__ import annotations

from django.db import models
from django.utils import timezone

from hosts.models.people import User


class AuditEntry(models.Model):
    """One thing a person did or tried."""

    at = models.DateTimeField(default=timezone.now, db_index=True)
    actor = models.ForeignKey(User, null=True, on_delete=models.SET_NULL, related_name="+")
    actor_name = models.CharField(max_length=150, blank=True)
    address = models.GenericIPAddressField(null=True)
    road = models.CharField(max_length=10, default="page")
    action = models.CharField(max_length=60)
    subject = models.CharField(max_length=300, blank=True)
    subject_uuid = models.UUIDField(null=True, db_index=True)
    result = models.CharField(max_length=20, default="done")
    detail = models.JSONField(default=dict)

    class Meta:
        ordering = ["-at", "-id"]

    def __str__(self) -> str:
        return f"{self.actor_name} {self.action} {self.subject}"
