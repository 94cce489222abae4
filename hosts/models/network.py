"""Who uses which network, as last seen."""

from __future__ import annotations

from django.db import models

from hosts.models.host import Host


class NetworkClaim(models.Model):
    """One network card of somebody's definition on ``host``. Written by the app above, which knows who ``owner`` is."""

    host = models.ForeignKey(Host, on_delete=models.CASCADE, related_name="network_claims")
    owner = models.UUIDField(db_index=True)
    owner_name = models.CharField(max_length=255)
    #: whether a hypervisor process has it open
    active = models.BooleanField(default=False)
    #: network, bridge, direct …
    type = models.CharField(max_length=20, blank=True)
    #: the virtual network, bridge or device of the host that it names
    source = models.CharField(max_length=255, blank=True)
    portgroup = models.CharField(max_length=255, blank=True)
    mac = models.CharField(max_length=17, blank=True)
    model = models.CharField(max_length=40, blank=True)
    #: the device on the host, while it runs
    target = models.CharField(max_length=40, blank=True)
    filter = models.CharField(max_length=255, blank=True)

    class Meta:
        indexes = [
            models.Index(fields=["host", "source"], name="nic_source"),
            models.Index(fields=["host", "filter"], name="nic_filter"),
        ]

    def __str__(self) -> str:
        return f"{self.owner_name} on {self.host_id}: {self.type} {self.source}"
