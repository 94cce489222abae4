"""Refusing to start unsafely. Production mode turns each finding into an error that names the variable to set."""

from __future__ import annotations

from typing import Any

from cryptography.fernet import Fernet
from django.conf import settings
from django.core.checks import CheckMessage, Error, register


def findings() -> list[tuple[str, str]]:
    """(variable, what is unsafe about it) for the settings as they are."""
    found = []
    if settings.DEBUG:
        found.append(("KVMDASH_DEBUG", "debug pages show secrets to whoever causes an error"))
    if len(settings.SECRET_KEY) < 50 or settings.SECRET_KEY.startswith("django-insecure"):
        found.append(("KVMDASH_SECRET_KEY", "it must be random and at least 50 characters"))
    found += [
        ("KVMDASH_ALLOWED_HOSTS", "'*' lets any site name this server")
        for name in settings.ALLOWED_HOSTS
        if name == "*"
    ]
    if not settings.TLS_PROXY:
        found.append(("KVMDASH_TLS_PROXY", "without TLS in front, passwords and cookies travel in the clear"))
    return found + _key_findings()


def _key_findings() -> list[tuple[str, str]]:
    try:
        for key in settings.ENCRYPTION_KEYS:
            Fernet(key)
    except ValueError:
        return [("KVMDASH_ENCRYPTION_KEYS", "each key is 32 random bytes in URL-safe base64")]
    return []


@register()
def safe_in_production(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """Errors for unsafe settings in production mode; nothing in development."""
    if settings.MODE not in ("production", "development"):
        return [Error("KVMDASH_MODE is 'production' or 'development'.", id="kvmdash.E001")]
    if settings.MODE == "development":
        return [Error(f"{n}: {t}.", id="kvmdash.E003") for n, t in _key_findings()]
    return [Error(f"{name}: {text}.", id="kvmdash.E002") for name, text in findings()]
