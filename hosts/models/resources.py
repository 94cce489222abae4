"""What a host offers, as last seen: storage pools and networks."""

from __future__ import annotations

from django.db import models

from hosts.models.host import Host


class Seen(models.Model):
    """Something a host has. ``absent_since`` is set when it was not there at the last look; only people remove rows."""

    name = models.CharField(max_length=255)
    uuid = models.UUIDField()
    active = models.BooleanField(default=False)
    autostart = models.BooleanField(default=False)
    persistent = models.BooleanField(default=True)
    definition = models.TextField(blank=True)
    seen_at = models.DateTimeField(null=True)
    absent_since = models.DateTimeField(null=True)

    class Meta:
        abstract = True


class StoragePool(Seen):
    """A libvirt storage pool; sizes in bytes."""

    host = models.ForeignKey(Host, on_delete=models.CASCADE, related_name="pools")
    type = models.CharField(max_length=20, blank=True)
    path = models.CharField(max_length=500, blank=True)
    capacity = models.BigIntegerField(default=0)
    allocation = models.BigIntegerField(default=0)
    available = models.BigIntegerField(default=0)

    class Meta:
        ordering = ["host__name", "name"]
        constraints = [models.UniqueConstraint(fields=["host", "uuid"], name="one_pool_row_per_host")]

    def __str__(self) -> str:
        return f"{self.name} on {self.host}"


class Network(Seen):
    """A libvirt virtual network."""

    host = models.ForeignKey(Host, on_delete=models.CASCADE, related_name="networks")
    bridge = models.CharField(max_length=64, blank=True)
    forward = models.CharField(max_length=20, blank=True)
    addresses = models.JSONField(default=list)

    class Meta:
        ordering = ["host__name", "name"]
        constraints = [models.UniqueConstraint(fields=["host", "uuid"], name="one_network_row_per_host")]

    def __str__(self) -> str:
        return f"{self.name} on {self.host}"
