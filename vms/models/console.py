"""The right to open one console once, and the record of each console that was open."""

from __future__ import annotations

import hashlib
import secrets
from datetime import timedelta

from django.db import models
from django.db.models.functions import Now
from django.utils import timezone

from hosts.models import User
from vms.models.machine import VirtualMachine


class ConsoleTicket(models.Model):
    """A single-use, short-lived right of one user to one guest's console. Only its SHA-256 is kept."""

    LIFETIME = timedelta(seconds=30)

    digest = models.CharField(max_length=64, unique=True)
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="+")
    vm = models.ForeignKey(VirtualMachine, on_delete=models.CASCADE, related_name="+")
    session_key = models.CharField(max_length=64, blank=True)
    token_id = models.BigIntegerField(null=True)
    view_only = models.BooleanField(default=True)
    #: the alias of a text console; '' for the screen
    device = models.CharField(max_length=80, blank=True)
    address = models.GenericIPAddressField(null=True)
    created_at = models.DateTimeField(default=timezone.now)
    until = models.DateTimeField()
    used_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return f"console ticket of {self.user_id} for {self.vm_id}"

    @staticmethod
    def digest_of(text: str) -> str:
        """What is stored of a ticket."""
        return hashlib.sha256(text.encode()).hexdigest()

    @classmethod
    def issue(
        cls,
        user: User,
        vm: VirtualMachine,
        *,
        view_only: bool,
        device: str = "",
        session_key: str = "",
        token_id: int | None = None,
        address: str | None = None,
    ) -> str:
        """Make a ticket and return its text (256 random bits), which is stored nowhere."""
        text = secrets.token_urlsafe(32)
        cls.objects.create(
            digest=cls.digest_of(text),
            user=user,
            vm=vm,
            view_only=view_only,
            device=device,
            session_key=session_key,
            token_id=token_id,
            address=address,
            until=Now() + cls.LIFETIME,
        )
        return text

    @classmethod
    def redeem(cls, text: str) -> ConsoleTicket | None:
        """Use the ticket up; None when there is no such ticket, it was used, or it ran out. One of many callers wins."""
        fresh = cls.objects.filter(digest=cls.digest_of(text), used_at=None, until__gt=Now())
        if fresh.update(used_at=Now()) != 1:
            return None
        return cls.objects.select_related("user", "vm", "vm__host").get(digest=cls.digest_of(text))


class ConsoleSession(models.Model):
    """A console that is or was open; who watches is read from the rows without ``closed_at``."""

    ticket = models.OneToOneField(ConsoleTicket, null=True, on_delete=models.SET_NULL, related_name="session")
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="console_sessions")
    vm = models.ForeignKey(VirtualMachine, on_delete=models.CASCADE, related_name="console_sessions")
    kind = models.CharField(max_length=10, default="vnc")
    device = models.CharField(max_length=80, blank=True)
    view_only = models.BooleanField(default=True)
    address = models.GenericIPAddressField(null=True)
    gateway = models.CharField(max_length=120)
    opened_at = models.DateTimeField(default=timezone.now)
    alive_at = models.DateTimeField(default=timezone.now)
    closed_at = models.DateTimeField(null=True)
    close_reason = models.CharField(max_length=60, blank=True)
    bytes_to_browser = models.BigIntegerField(default=0)
    bytes_to_guest = models.BigIntegerField(default=0)

    class Meta:
        ordering = ["-opened_at"]
        indexes = [models.Index(fields=["vm", "closed_at"], name="console_open")]

    def __str__(self) -> str:
        return f"{self.kind} console of {self.vm_id} by {self.user_id}"
