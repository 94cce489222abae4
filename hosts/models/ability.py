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
