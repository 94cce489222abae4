"""Who uses kvmdash: users with one role each, and the API tokens they made."""

from __future__ import annotations

import hashlib
import secrets
from datetime import datetime

from django.contrib.auth.models import AbstractUser
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _


class User(AbstractUser):
    """A person. What the role allows is decided in hosts.access only."""

    class Role(models.TextChoices):
        ADMINISTRATOR = "administrator", _("Administrator")
        OPERATOR = "operator", _("Operator")
        VIEWER = "viewer", _("Viewer")

    role = models.CharField(
        _("role"),
        max_length=16,
        choices=Role.choices,
        default=Role.VIEWER,
        help_text=_("Administrators do everything; operators act on guests; viewers look."),
    )
    may_watch_consoles = models.BooleanField(
        _("may watch consoles"),
        default=False,
        help_text=_("Lets a viewer open consoles without keyboard or mouse."),
    )

    def __str__(self) -> str:
        return self.get_full_name() or self.username


class ApiToken(models.Model):
    """A bearer token: only its SHA-256 is kept. It can do no more than its owner can."""

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="tokens")
    name = models.CharField(_("name"), max_length=80)
    digest = models.CharField(max_length=64, unique=True, editable=False)
    prefix = models.CharField(max_length=12, editable=False)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    expires_at = models.DateTimeField(_("expires"), null=True, blank=True)
    last_used_at = models.DateTimeField(null=True, editable=False)
    revoked_at = models.DateTimeField(null=True, editable=False)

    class Meta:
        ordering = ["-created_at"]

    def __str__(self) -> str:
        return f"{self.name} ({self.prefix}…)"

    @staticmethod
    def digest_of(text: str) -> str:
        """What is stored of the token ``text``: 256 random bits need no slow hash."""
        return hashlib.sha256(text.encode()).hexdigest()

    @classmethod
    def issue(cls, user: User, name: str, expires_at: datetime | None = None) -> tuple[ApiToken, str]:
        """Make a token; the second value is its text, which is shown once and never stored."""
        text = "kvd_" + secrets.token_urlsafe(32)
        row = cls.objects.create(
            user=user, name=name, digest=cls.digest_of(text), prefix=text[:8], expires_at=expires_at
        )
        return row, text

    @classmethod
    def lookup(cls, text: str) -> ApiToken | None:
        """The usable token with this text: not revoked, not expired, its owner active."""
        row = cls.objects.select_related("user").filter(digest=cls.digest_of(text), revoked_at=None).first()
        if row is None or not row.user.is_active:
            return None
        if row.expires_at is not None and row.expires_at <= timezone.now():
            return None
        return row
