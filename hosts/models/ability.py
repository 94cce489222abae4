"""What guests can have on a host, as last seen."""

from __future__ import annotations

from django.db import models

from hosts.models.host import Host


class HostAbility(models.Model):
    """What guests of one machine type can have on ``host``; ``words`` are the choices by place, such as {"disk.bus": [...]}."""

    host = models.ForeignKey(Host, on_delete=models.CASCADE, related_name="abilities")
    arch = models.CharField(max_length=20)
    machine = models.CharField(max_length=60)
    virt = models.CharField(max_length=20)
    emulator = models.CharField(max_length=500, blank=True)
    most_vcpus = models.PositiveIntegerField(default=0)
    words = models.JSONField(default=dict)

    class Meta:
        ordering = ["pk"]
        constraints = [models.UniqueConstraint(fields=["host", "arch", "machine"], name="one_ability_per_machine")]

    def __str__(self) -> str:
        return f"{self.machine} on {self.host_id}"

    def has(self, place: str, word: str) -> bool:
        """Whether the choice is there."""
        return word in self.words.get(place, ())

    def lacks(self, place: str, word: str) -> bool:
        """Whether the host says that the choice is not there, or nothing of its kind."""
        if self.words.get(place.partition(".")[0]) == ["no"]:
            return True
        return place in self.words and not self.has(place, word)


class HostProcessors(models.Model):
    """Which processors guests run by ``virt`` can have on ``host``, as hosts.hypervisor.records.Processors has them."""

    host = models.ForeignKey(Host, on_delete=models.CASCADE, related_name="processors")
    arch = models.CharField(max_length=20)
    virt = models.CharField(max_length=20)
    model = models.CharField(max_length=120, blank=True)
    vendor = models.CharField(max_length=60, blank=True)
    features = models.JSONField(default=list)
    known_models = models.JSONField(default=dict)
    blockers = models.JSONField(default=dict)
    #: firmware that the host has for guests
    loaders = models.JSONField(default=list)
    seen_at = models.DateTimeField()

    class Meta:
        ordering = ["pk"]
        constraints = [models.UniqueConstraint(fields=["host", "arch", "virt"], name="one_processors_row_per_virt")]

    def __str__(self) -> str:
        return f"{self.virt} processors of {self.host_id}"


class HostSupply(models.Model):
    """What ``host`` has at hand for guests, as hosts.hypervisor.records.Supply has it; None for what it does not tell."""

    host = models.OneToOneField(Host, on_delete=models.CASCADE, related_name="supply")
    pages = models.JSONField(null=True)
    #: [uuid, what it is for, its name there]: never what it holds
    secrets = models.JSONField(null=True)
    seen_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"supply of {self.host_id}"
