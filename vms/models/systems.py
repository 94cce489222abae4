"""What is known of operating systems, where an administrator brought more than is installed."""

from __future__ import annotations

from django.db import models
from django.utils import timezone


class SystemDatabase(models.Model):
    """An osinfo-db as it was brought: ``data`` is the tarball, read as it lies. The last one counts."""

    version = models.CharField(max_length=60, blank=True)
    count = models.PositiveIntegerField()
    data = models.BinaryField()
    brought_by = models.CharField(max_length=255)
    brought_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["-pk"]

    def __str__(self) -> str:
        return f"osinfo-db {self.version}"
