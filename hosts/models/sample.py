"""History of figures, in a database of its own (alias ``metrics``) so that it never stands in the way of facts."""

from __future__ import annotations

from django.db import models


class Sample(models.Model):
    """The mean of one stretch of ``step`` seconds that began at ``at`` (Unix seconds). Rates are bytes a second."""

    subject = models.CharField(max_length=40)
    step = models.PositiveIntegerField()
    at = models.BigIntegerField()
    cpu = models.FloatField(null=True)
    memory = models.FloatField(null=True)
    read = models.FloatField(null=True)
    write = models.FloatField(null=True)
    received = models.FloatField(null=True)
    sent = models.FloatField(null=True)
    count = models.PositiveIntegerField(default=1)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["subject", "step", "at"], name="one_sample_per_stretch")]
        indexes = [models.Index(fields=["step", "at"], name="sample_age")]

    def __str__(self) -> str:
        return f"{self.subject} {self.step}s at {self.at}"
