"""What lies in storage pools, and who lays claim to it, as last seen."""

from __future__ import annotations

from django.db import models
from django.urls import reverse

from hosts.models.host import Host
from hosts.models.operation import Operation
from hosts.models.resources import StoragePool
from hosts.secrets import SecretField


class StorageVolume(models.Model):
    """One volume of one host's pool; sizes in bytes. Storage that several hosts share has a row for each of them."""

    pool = models.ForeignKey(StoragePool, on_delete=models.CASCADE, related_name="volumes")
    name = models.CharField(max_length=1000)
    key = models.TextField(blank=True)
    path = models.CharField(max_length=2000, blank=True, db_index=True)
    type = models.CharField(max_length=20, blank=True)
    format = models.CharField(max_length=20, blank=True)
    #: what the guest sees, and what it takes of the pool
    capacity = models.BigIntegerField(default=0)
    allocation = models.BigIntegerField(default=0)
    backing_path = models.CharField(max_length=2000, blank=True, db_index=True)
    backing_format = models.CharField(max_length=20, blank=True)
    encrypted = models.BooleanField(default=False)
    modified = models.DateTimeField(null=True)
    #: why nothing but the name is known
    trouble = models.TextField(blank=True)
    seen_at = models.DateTimeField(null=True)
    absent_since = models.DateTimeField(null=True)

    class Meta:
        ordering = ["name"]
        constraints = [models.UniqueConstraint(fields=["pool", "name"], name="one_volume_row_per_pool")]

    def __str__(self) -> str:
        return f"{self.name} in {self.pool_id}"

    def get_absolute_url(self) -> str:
        return reverse("hosts:volume", args=[self.pool.host.name, self.pool.uuid, self.pk])

    @property
    def is_iso(self) -> bool:
        """Whether it is an image of a CD or DVD, by what libvirt found in it or by its name."""
        return self.format == "iso" or self.name.lower().endswith(".iso")


class StorageClaim(models.Model):
    """Somebody's definition on ``host`` names this storage. Written by the app above, which knows who ``owner`` is.

    ``path`` is what libvirt's volumes call path; disks of type volume name ``pool_name`` and ``volume_name`` instead. ``depth``
    counts from the image that is written to (0) to what it lies on.
    """

    host = models.ForeignKey(Host, on_delete=models.CASCADE, related_name="storage_claims")
    owner = models.UUIDField(db_index=True)
    owner_name = models.CharField(max_length=255)
    #: whether a hypervisor process has it open
    active = models.BooleanField(default=False)
    path = models.CharField(max_length=2000, blank=True)
    pool_name = models.CharField(max_length=255, blank=True)
    volume_name = models.CharField(max_length=1000, blank=True)
    #: disk, cdrom, floppy, lun, or nvram, kernel …
    device = models.CharField(max_length=20, blank=True)
    target = models.CharField(max_length=40, blank=True)
    depth = models.PositiveIntegerField(default=0)
    readonly = models.BooleanField(default=False)

    class Meta:
        indexes = [
            models.Index(fields=["path"], name="claim_path"),
            models.Index(fields=["volume_name"], name="claim_volume"),
        ]

    def __str__(self) -> str:
        return f"{self.owner_name} on {self.host_id}: {self.path or f'{self.pool_name}/{self.volume_name}'}"


class StorageTypes(models.Model):
    """For which types of pools a host has the driver, as libvirt says: type → whether."""

    host = models.OneToOneField(Host, on_delete=models.CASCADE, related_name="storage_types")
    types = models.JSONField(default=dict)

    def __str__(self) -> str:
        return f"pool types of {self.host_id}"


class OperationSecret(models.Model):
    """A password that an operation needs; kept sealed beside it until it has ended, never in its arguments."""

    operation = models.ForeignKey(Operation, on_delete=models.CASCADE, related_name="secrets")
    sealed = SecretField()

    def __str__(self) -> str:
        return f"secret of {self.operation_id}"
