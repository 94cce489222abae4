"""The record of one asked-for change, from the asking to its end, through crashes."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any

from django.db import models
from django.db.models import Q
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from hosts.models.host import Host
from hosts.models.people import User
from hosts.said import said


class Operation(models.Model):
    """One change. ``kind`` names which (hosts.operations.kind.registry); what it acts on is a host, or a guest by UUID."""

    class State(models.TextChoices):
        QUEUED = "queued", _("queued")
        RUNNING = "running", _("running")
        SUCCEEDED = "succeeded", _("succeeded")
        REFUSED = "refused", _("refused")
        FAILED = "failed", _("failed")
        CANCELLED = "cancelled", _("cancelled")
        UNKNOWN = "unknown", _("unknown")

    ACTIVE = (State.QUEUED, State.RUNNING)

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    kind = models.CharField(max_length=40)
    state = models.CharField(max_length=10, choices=State.choices, default=State.QUEUED)
    parent = models.ForeignKey("self", null=True, on_delete=models.CASCADE, related_name="children")
    host = models.ForeignKey(Host, null=True, on_delete=models.SET_NULL, related_name="operations")
    host_name = models.CharField(max_length=63, blank=True)
    subject_uuid = models.UUIDField(null=True, db_index=True)
    subject_name = models.CharField(max_length=255, blank=True)
    exclusive = models.BooleanField(default=False)
    arguments = models.JSONField(default=dict)
    virsh = models.TextField(blank=True)

    actor = models.ForeignKey(User, null=True, on_delete=models.SET_NULL, related_name="operations")
    actor_name = models.CharField(max_length=150, blank=True)
    address = models.GenericIPAddressField(null=True)

    created_at = models.DateTimeField(default=timezone.now, db_index=True)
    started_at = models.DateTimeField(null=True)
    #: when libvirt began to be asked for the change; before that, nothing of it can have happened
    asked_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)
    owner = models.CharField(max_length=120, blank=True)
    until = models.DateTimeField(null=True)
    attempt = models.PositiveIntegerField(default=0)

    progress = models.JSONField(default=dict)
    result = models.JSONField(default=dict)
    error = models.JSONField(default=dict)

    class Meta:
        ordering = ["-created_at"]
        indexes = [models.Index(fields=["state", "host", "created_at"], name="operation_queue")]
        constraints = [
            models.UniqueConstraint(
                fields=["subject_uuid"],
                condition=Q(exclusive=True, state__in=["queued", "running"]),
                name="one_active_change_per_subject",
            )
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.subject_name or self.host_name} ({self.state})"

    def get_absolute_url(self) -> str:
        return reverse("operations:detail", args=[self.id])

    @property
    def is_active(self) -> bool:
        """Whether it has not ended."""
        return self.state in self.ACTIVE

    @property
    def percent(self) -> float | None:
        """How much is done, 0–100, where the kind can tell."""
        value = self.progress.get("percent")
        return float(value) if value is not None else None

    @property
    def duration(self) -> float | None:
        """Seconds it ran (so far), by the clock on the wall: 0 when that was put back meanwhile."""
        if self.started_at is None:
            return None
        end: datetime = self.finished_at or timezone.now()
        return max(0.0, (end - self.started_at).total_seconds())

    def topics(self) -> list[str]:
        """The topics, besides its own, under which it is shown: its guest's, its host's, its parent's."""
        topics = []
        if self.subject_uuid:
            topics.append(f"vm:{self.subject_uuid}")
        if self.host_id:
            topics.append(f"host:{self.host_id}")
        if self.parent_id:
            topics.append(f"operation:{self.parent_id}")
        return topics

    @property
    def error_text(self) -> str:
        """The plain sentence on what went wrong, in the reader's language."""
        return said(str(self.error.get("message", "")))


class OperationLog(models.Model):
    """One line an operation said; ``serial`` counts from 1 in each operation."""

    operation = models.ForeignKey(Operation, on_delete=models.CASCADE, related_name="log")
    serial = models.PositiveIntegerField()
    at = models.DateTimeField(default=timezone.now)
    level = models.CharField(max_length=8, default="info")
    text = models.TextField()

    class Meta:
        ordering = ["serial"]
        constraints = [models.UniqueConstraint(fields=["operation", "serial"], name="one_log_line_per_serial")]

    def __str__(self) -> str:
        return self.text


class OperationSignal(models.Model):
    """Something asked of a running operation (cancel, bandwidth …): a row, so that it survives the asker and the asked."""

    operation = models.ForeignKey(Operation, on_delete=models.CASCADE, related_name="signals")
    name = models.CharField(max_length=20)
    arguments = models.JSONField(default=dict)
    actor_name = models.CharField(max_length=150, blank=True)
    created_at = models.DateTimeField(default=timezone.now)
    taken_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["id"]

    def __str__(self) -> str:
        return f"{self.name} for {self.operation_id}"

    def as_dict(self) -> dict[str, Any]:
        """Plain data for logs and the API."""
        return {"name": self.name, "arguments": self.arguments, "actor": self.actor_name}
