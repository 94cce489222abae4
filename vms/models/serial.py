"""Text consoles: which gateway carries one, and what the guests wrote on them."""

from __future__ import annotations

from django.db import models
from django.utils import timezone

from hosts.secrets import SecretField
from vms.models.machine import VirtualMachine


class SerialLine(models.Model):
    """A text console that a gateway carries. libvirt lets one in at a time, so that one gateway carries it for everybody."""

    vm = models.ForeignKey(VirtualMachine, on_delete=models.CASCADE, related_name="serial_lines")
    device = models.CharField(max_length=80)
    gateway = models.CharField(max_length=120)
    alive_at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["vm", "device"], name="one_gateway_per_serial_line")]

    def __str__(self) -> str:
        return f"{self.device} of {self.vm_id} at {self.gateway}"


class SerialLog(models.Model):
    """A piece of what a guest wrote. Sealed: guests print passwords. The bytes are stored as Latin-1, each a character."""

    vm = models.ForeignKey(VirtualMachine, on_delete=models.CASCADE, related_name="+")
    device = models.CharField(max_length=80)
    at = models.DateTimeField(default=timezone.now)
    size = models.PositiveIntegerField()
    text = SecretField()

    class Meta:
        indexes = [models.Index(fields=["vm", "device", "id"], name="serial_log_of_a_line")]

    def __str__(self) -> str:
        return f"{self.size} bytes of {self.device} of {self.vm_id}"
