"""What a host offers, as last seen: storage pools and networks."""

from __future__ import annotations

from django.db import models
from django.urls import reverse

from hosts.models.host import Host
from hosts.said import said


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


SHARED_BY = ("source", "volumes", "person")


class StoragePool(Seen):
    """A libvirt storage pool; sizes in bytes."""

    host = models.ForeignKey(Host, on_delete=models.CASCADE, related_name="pools")
    type = models.CharField(max_length=20, blank=True)
    path = models.CharField(max_length=500, blank=True)
    capacity = models.BigIntegerField(default=0)
    allocation = models.BigIntegerField(default=0)
    available = models.BigIntegerField(default=0)
    #: where its bytes come from, in words: server and export, device, monitor and pool
    source = models.CharField(max_length=500, blank=True)
    #: pools of one key are the same storage; "" for storage that is this host's alone or cannot be told
    shared_key = models.CharField(max_length=300, blank=True, db_index=True)
    #: how we know: by its source, by its volumes, or by a person's word
    shared_by = models.CharField(max_length=10, blank=True, choices=[(word, word) for word in SHARED_BY])
    #: why it could not be read at the last look
    trouble = models.TextField(blank=True)
    volumes_seen_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["host__name", "name"]
        constraints = [models.UniqueConstraint(fields=["host", "uuid"], name="one_pool_row_per_host")]

    def __str__(self) -> str:
        return f"{self.name} on {self.host}"

    def get_absolute_url(self) -> str:
        return reverse("hosts:pool", args=[self.host.name, self.uuid])

    @property
    def overcommit(self) -> float | None:
        """What its volumes may grow to, in percent of its capacity; of rows with sums, while the capacity is known."""
        promised = getattr(self, "promised", None)
        return 100 * promised / self.capacity if promised is not None and self.capacity else None

    @property
    def trouble_words(self) -> str:
        """``trouble`` in the reader's language."""
        return said(self.trouble)


class Network(Seen):
    """A libvirt virtual network."""

    host = models.ForeignKey(Host, on_delete=models.CASCADE, related_name="networks")
    bridge = models.CharField(max_length=64, blank=True)
    forward = models.CharField(max_length=20, blank=True)
    addresses = models.JSONField(default=list)
    #: what it is started with next, while it is on; "" where that is the definition itself
    next_definition = models.TextField(blank=True)
    #: DHCP leases as hosts.hypervisor.records.LeaseRecord has them
    leases = models.JSONField(default=list)
    leases_seen_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["host__name", "name"]
        constraints = [models.UniqueConstraint(fields=["host", "uuid"], name="one_network_row_per_host")]

    def __str__(self) -> str:
        return f"{self.name} on {self.host}"

    def get_absolute_url(self) -> str:
        return reverse("hosts:network", args=[self.host.name, self.uuid])

    @property
    def stored_definition(self) -> str:
        """What it is started with next."""
        return self.next_definition or self.definition
