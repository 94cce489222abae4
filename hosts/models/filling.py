"""A volume that is being filled from outside: by an upload, or from a URL."""

from __future__ import annotations

import uuid

from django.db import models
from django.utils import timezone

from hosts.models.operation import Operation
from hosts.models.resources import StoragePool
from hosts.said import said


class Filling(models.Model):
    """How far the bytes of one volume have come. It outlives the processes that carry them; sizes in bytes.

    ``offset`` is where the next byte belongs; up to ``confirmed`` the host has said that all is written. After a break whoever
    goes on begins at ``confirmed``. While ``partial`` the volume is no image that anybody may use.
    """

    class State(models.TextChoices):
        BEGINNING = "beginning"
        OPEN = "open"
        WHOLE = "whole"
        BAD = "bad"
        ENDED = "ended"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    operation = models.OneToOneField(Operation, on_delete=models.CASCADE, related_name="filling")
    pool = models.ForeignKey(StoragePool, on_delete=models.CASCADE, related_name="fillings")
    name = models.CharField(max_length=1000)
    state = models.CharField(max_length=10, choices=State.choices, default=State.BEGINNING)
    #: whether a volume that is not whole lies in the pool under that name
    partial = models.BooleanField(default=False)
    #: 0 while it is not known
    size = models.BigIntegerField(default=0)
    offset = models.BigIntegerField(default=0)
    confirmed = models.BigIntegerField(default=0)
    #: the process that has the host's stream open
    holder = models.CharField(max_length=120, blank=True)
    moved_at = models.DateTimeField(default=timezone.now)
    #: by which whoever uploads knows the file again: SHA-256 of its beginning, in hex
    fingerprint = models.CharField(max_length=64, blank=True)
    #: what it must be, as sha256:… or sha512:…, and the SHA-256 that it was found to have
    checksum = models.CharField(max_length=140, blank=True)
    digest = models.CharField(max_length=140, blank=True)
    #: what the server of a URL called this version of it (ETag, or Last-Modified)
    version = models.CharField(max_length=300, blank=True)
    #: why it does not go on just now
    trouble = models.TextField(blank=True)

    #: whether another process held it before this one took it
    was_another = False

    class Meta:
        indexes = [models.Index(fields=["pool", "name"], name="filling_place")]

    def __str__(self) -> str:
        return f"{self.name} in {self.pool_id}: {self.offset} of {self.size}"

    @property
    def trouble_words(self) -> str:
        """Why it does not go on, in the reader's language."""
        return said(self.trouble)
