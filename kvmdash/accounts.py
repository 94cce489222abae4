"""How people come in: nobody signs up by themselves; logging in and failing to is audited."""

from __future__ import annotations

import base64
import os
from typing import Any

import structlog
from allauth.account.adapter import DefaultAccountAdapter
from allauth.mfa.adapter import DefaultMFAAdapter
from django.contrib.auth.signals import user_logged_in, user_logged_out, user_login_failed
from django.dispatch import receiver
from django.http import HttpRequest

from hosts import audit, notify, secrets
from hosts.audit import Actor
from hosts.models import User
from hosts.requests import client_address

log = structlog.get_logger(__name__)


class AccountAdapter(DefaultAccountAdapter):  # type: ignore[misc]
    """allauth's account adapter, closed for sign-up; people are made by administrators."""

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        return False

    def get_client_ip(self, request: HttpRequest) -> str:
        return client_address(request) or "0.0.0.0"  # noqa: S104 - a name for 'unknown' in rate limits


class MfaAdapter(DefaultMFAAdapter):  # type: ignore[misc]
    """allauth's second factors, with their secrets encrypted like those of hosts."""

    def encrypt(self, text: str) -> str:
        return secrets.encrypt(text)

    def decrypt(self, encrypted_text: str) -> str:
        """What cannot be opened any more becomes a secret that nobody has: no code is right, and the log says why."""
        try:
            return secrets.decrypt(encrypted_text) if is_sealed(encrypted_text) else encrypted_text
        except secrets.SecretUnreadable:
            log.error("a second factor cannot be read: the encryption key that it was stored with is missing")
            return base64.b32encode(os.urandom(20)).decode()


def is_sealed(text: str) -> bool:
    """Whether it is ciphertext; what was stored before there was any is base32 or hexadecimal."""
    return text.startswith("gAAAA")


def _actor(request: HttpRequest | None, user: User | None, name: str = "") -> Actor:
    return Actor(user, client_address(request) if request is not None else None, name=name)


@receiver(user_logged_in)
def _logged_in(request: HttpRequest, user: User, **_: Any) -> None:
    audit.record(_actor(request, user), "login")


@receiver(user_logged_out)
def _logged_out(request: HttpRequest, user: User | None, **_: Any) -> None:
    if user is not None:
        audit.record(_actor(request, user), "logout")
        notify.changed(f"user:{user.pk}")


@receiver(user_login_failed)
def _login_failed(credentials: dict[str, Any], request: HttpRequest | None = None, **_: Any) -> None:
    name = str(credentials.get("username", ""))[:150]
    audit.record(_actor(request, None, name), "login", result="failed")
