"""What stays of a move: its curve, and who steered what."""

from __future__ import annotations

from django.db import models

from hosts.models import Operation


class MoveRecord(models.Model):
    """Of one operation of kind migrate. Written by whoever runs it."""

    operation = models.OneToOneField(Operation, primary_key=True, on_delete=models.CASCADE, related_name="move")
    #: vms.moving.curve.Point.plain of each point, oldest first
    points = models.JSONField(default=list)
    #: what was steered: [{t, who, what, value, done}], oldest first
    steered = models.JSONField(default=list)
    #: the pause that QEMU may make at the end, in milliseconds
    allowed_ms = models.PositiveIntegerField(default=300)

    def __str__(self) -> str:
        return f"record of move {self.operation_id}"


class MoveSettings(models.Model):
    """How guests are moved in this cluster where nothing else is said; one row."""

    policy = models.CharField(max_length=20, default="safe")
    changed_by = models.CharField(max_length=255, blank=True)
    changed_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return self.policy

    @classmethod
    def load(cls) -> MoveSettings:
        """The row; one with the defaults, not stored yet, where nobody chose."""
        return cls.objects.filter(pk=1).first() or cls(pk=1)
