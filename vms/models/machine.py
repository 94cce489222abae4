"""A guest, keyed by its domain UUID across the whole cluster, and the places it was sighted at."""

from __future__ import annotations

import uuid as uuid_module

from django.db import models
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from hosts.models import Host


class Tag(models.Model):
    """A word people put on guests, kept in each guest's own ``<metadata>``; this row makes it searchable."""

    name = models.CharField(max_length=40, unique=True)

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class VirtualMachine(models.Model):
    """What is known of one guest. Written by vms.inventory only; sizes in bytes."""

    class PowerState(models.TextChoices):
        RUNNING = "running", _("running")
        PAUSED = "paused", _("paused")
        SHUTOFF = "shutoff", _("shut off")
        CRASHED = "crashed", _("crashed")
        PMSUSPENDED = "pmsuspended", _("suspended")
        MIGRATING = "migrating", _("migrating")
        UNKNOWN = "unknown", _("unknown")

    uuid = models.UUIDField(primary_key=True, default=uuid_module.uuid4, editable=False)
    name = models.CharField(max_length=255, db_index=True)
    title = models.CharField(max_length=255, blank=True)
    description = models.TextField(blank=True)
    folder = models.CharField(max_length=200, blank=True, db_index=True)
    tags = models.ManyToManyField(Tag, blank=True, related_name="vms")
    #: it may not be deleted; others are copied from it and it is not started
    protected = models.BooleanField(default=False)
    template = models.BooleanField(default=False)

    host = models.ForeignKey(Host, null=True, on_delete=models.SET_NULL, related_name="vms")
    power_state = models.CharField(max_length=12, choices=PowerState.choices, default=PowerState.UNKNOWN)
    power_reason = models.CharField(max_length=40, blank=True)
    state_since = models.DateTimeField(default=timezone.now)
    seen_at = models.DateTimeField(null=True)
    absent_since = models.DateTimeField(null=True)

    persistent = models.BooleanField(default=True)
    autostart = models.BooleanField(default=False)
    managed_save = models.BooleanField(default=False)
    agent_connected = models.BooleanField(null=True)
    os_type = models.CharField(max_length=80, blank=True)
    arch = models.CharField(max_length=20, blank=True)
    machine = models.CharField(max_length=60, blank=True)
    #: bios, efi or secure (UEFI with Secure Boot)
    firmware = models.CharField(max_length=10, blank=True)
    vcpus = models.PositiveIntegerField(default=0)
    memory = models.BigIntegerField(default=0)
    disks = models.JSONField(default=list)
    nics = models.JSONField(default=list)
    devices = models.JSONField(default=list)
    graphics = models.JSONField(default=list)
    addresses = models.JSONField(default=list)
    search_text = models.TextField(blank=True)
    #: since when it seems to run on two hosts; see vms.inventory
    suspected_at = models.DateTimeField(null=True)
    #: tags as just read, until they are written (no column)
    seen_tags: list[str] | None = None

    cpu_percent = models.FloatField(null=True, db_index=True)
    memory_used = models.BigIntegerField(null=True, db_index=True)

    class Meta:
        ordering = ["name", "uuid"]
        indexes = [models.Index(fields=["power_state", "name"], name="vm_state_name")]

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        return reverse("vms:detail", args=[self.uuid])

    @property
    def is_stale(self) -> bool:
        """Whether its host cannot be asked now: everything shown is as last seen."""
        return self.host is None or not self.host.is_connected


class Sighting(models.Model):
    """Host H holds domain U in this state, seen at T. Definitions are libvirt's XML without secrets."""

    vm = models.ForeignKey(VirtualMachine, on_delete=models.CASCADE, related_name="sightings")
    host = models.ForeignKey(Host, on_delete=models.CASCADE, related_name="sightings")
    power_state = models.CharField(max_length=12, choices=VirtualMachine.PowerState.choices)
    power_reason = models.CharField(max_length=40, blank=True)
    name = models.CharField(max_length=255, blank=True)
    persistent = models.BooleanField(default=True)
    autostart = models.BooleanField(default=False)
    managed_save = models.BooleanField(default=False)
    live_definition = models.TextField(blank=True)
    inactive_definition = models.TextField(blank=True)
    #: the version in the guest's history that this is
    version = models.ForeignKey("vms.DefinitionVersion", null=True, on_delete=models.SET_NULL, related_name="sightings")
    #: as vms.definition.snapshot.read gives them, with "current"
    snapshots = models.JSONField(default=list)
    digest = models.CharField(max_length=64, blank=True)
    seen_at = models.DateTimeField()
    since = models.DateTimeField(default=timezone.now)
    absent_since = models.DateTimeField(null=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["vm", "host"], name="one_sighting_per_vm_and_host")]

    def __str__(self) -> str:
        return f"{self.vm_id} on {self.host_id}: {self.power_state}"
