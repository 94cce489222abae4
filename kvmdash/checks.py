"""Refusing to start unsafely. Production mode turns each finding into an error that names the variable to set."""

from __future__ import annotations

import os
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from cryptography.fernet import Fernet
from django.conf import settings
from django.contrib.auth.password_validation import validate_password
from django.core.checks import CheckMessage, Error, register
from django.core.exceptions import ValidationError

Findings = list[tuple[str, str]]
#: under which roles ask for these checks alone
TAG = "kvmdash"
SHORTEST_TOKEN = 32
_OTHERS = 0o007
_GROUP_WRITES = 0o020


def findings() -> Findings:
    """(variable, what is unsafe about it) for the settings as they are."""
    found: Findings = []
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
    return found + _key_findings() + _origin_findings() + _address_findings() + _secret_findings() + _file_findings()


def _key_findings() -> Findings:
    try:
        for key in settings.ENCRYPTION_KEYS:
            Fernet(key)
    except ValueError:
        return [("KVMDASH_ENCRYPTION_KEYS", "each key is 32 random bytes in URL-safe base64")]
    return []


def _origin_findings() -> Findings:
    return [
        ("KVMDASH_ORIGINS", f"'{origin}' is not one https origin, such as https://kvm.example.com")
        for origin in settings.PUBLIC_ORIGINS
        if not _is_one_origin(origin)
    ]


def _is_one_origin(origin: str) -> bool:
    try:
        parts = urlsplit(origin)
        named = bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False
    return named and "*" not in origin and origin == f"https://{parts.netloc}" and "@" not in origin


def _address_findings() -> Findings:
    found = [
        ("KVMDASH_TRUSTED_PROXIES", f"'{text}' is not one address")
        for text in settings.TRUSTED_PROXIES
        if not _is(ip_address, text)
    ]
    found += [
        ("KVMDASH_METRICS_FROM", f"'{text}' is neither an address nor a network")
        for text in settings.METRICS_FROM
        if not _is(ip_network, text)
    ]
    return found


def _is(kind: Any, text: str) -> bool:
    try:
        kind(text)
    except ValueError:
        return False
    return True


def _secret_findings() -> Findings:
    found: Findings = []
    if settings.METRICS_TOKEN and len(settings.METRICS_TOKEN) < SHORTEST_TOKEN:
        found.append(("KVMDASH_METRICS_TOKEN", f"it must be random and at least {SHORTEST_TOKEN} characters"))
    for name, limit in (("LOGIN", "login"), ("LOGIN_FAILED", "login_failed")):
        if not settings.ACCOUNT_RATE_LIMITS[limit]:
            found.append((f"KVMDASH_{name}_RATE", "without a limit passwords can be guessed"))
    password = os.environ.get("KVMDASH_ADMIN_PASSWORD", "")
    if password:
        try:
            validate_password(password)
        except ValidationError as error:
            found.append(("KVMDASH_ADMIN_PASSWORD", " ".join(error.messages).rstrip(".")))
    return found


def _file_findings() -> Findings:
    """Files that others on this machine can read."""
    found: Findings = []
    if _mode(settings.DATA_DIR) & (_OTHERS | _GROUP_WRITES):
        found.append(("KVMDASH_DATA_DIR", "others on this machine can get into it; chmod 0700"))
    for name in ("KVMDASH_SECRET_KEY_FILE", "KVMDASH_ENCRYPTION_KEYS_FILE"):
        path = os.environ.get(name)
        if path and _mode(Path(path)) & _OTHERS:
            found.append((name, "others on this machine can read it; chmod 0640 or 0600"))
    return found


def _mode(path: Path) -> int:
    return path.stat().st_mode


@register(TAG)
def safe_in_production(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """Errors for unsafe settings in production mode; nothing in development."""
    if settings.MODE not in ("production", "development"):
        return [Error("KVMDASH_MODE is 'production' or 'development'.", id="kvmdash.E001")]
    if settings.MODE == "development":
        return [Error(f"{n}: {t}.", id="kvmdash.E003") for n, t in _key_findings()]
    return [Error(f"{name}: {text}.", id="kvmdash.E002") for name, text in findings()]
