"""Network filters, and who uses which network and filter, as last seen."""

from __future__ import annotations

from django.db import models
from django.urls import reverse

from hosts.models.host import Host


class NetworkFilter(models.Model):
    """A libvirt network filter. ``absent_since`` is set when it was not there at the last look; only people remove rows."""

    host = models.ForeignKey(Host, on_delete=models.CASCADE, related_name="filters")
    name = models.CharField(max_length=255)
    uuid = models.UUIDField()
    definition = models.TextField(blank=True)
    #: where in the host's tables its rules are: root, ipv4, arp …
    chain = models.CharField(max_length=40, blank=True)
    #: names of the filters that it takes in
    references = models.JSONField(default=list)
    seen_at = models.DateTimeField(null=True)
    absent_since = models.DateTimeField(null=True)

    class Meta:
        ordering = ["host__name", "name"]
        constraints = [models.UniqueConstraint(fields=["host", "uuid"], name="one_filter_row_per_host")]

    def __str__(self) -> str:
        return f"{self.name} on {self.host}"

    def get_absolute_url(self) -> str:
        return reverse("hosts:filter", args=[self.host.name, self.uuid])


class HostInterfaces(models.Model):
    """A host's bridges, bonds and network devices, as hosts.hypervisor.records.InterfaceRecord has them."""

    host = models.OneToOneField(Host, on_delete=models.CASCADE, related_name="interfaces")
    interfaces = models.JSONField(default=list)
    #: why the host's interface driver did not tell, in libvirt's words
    trouble = models.TextField(blank=True)
    seen_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return f"interfaces of {self.host_id}"


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
