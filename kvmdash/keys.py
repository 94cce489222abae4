"""Keys from the environment, from files, or, in development only, made on first use."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable
from pathlib import Path

from cryptography.fernet import Fernet
from django.core.exceptions import ImproperlyConfigured


def new_secret_key() -> str:
    """A fresh Django secret key."""
    return secrets.token_urlsafe(64)


def new_encryption_key() -> str:
    """A fresh Fernet key."""
    return Fernet.generate_key().decode()


def from_environment(name: str, file: Path, mode: str, make: Callable[[], str]) -> str:
    """The value of ``name``, or the text of the file that ``name``_FILE names, or (development) a key kept in ``file``.

    Raises ImproperlyConfigured in production when neither variable is set: a key made up at start would differ in every process.
    """
    if value := os.environ.get(name):
        return value
    if path := os.environ.get(f"{name}_FILE"):
        return Path(path).read_text().strip()
    if mode == "production":
        raise ImproperlyConfigured(f"{name} (or {name}_FILE) must be set in production mode.")
    return _kept(file, make)


def _kept(file: Path, make: Callable[[], str]) -> str:
    """The key in ``file``, made by the first process that needs it; linked into place whole, so that none reads half a key."""
    part = file.with_name(f"{file.name}.{os.getpid()}")
    if not file.exists():
        descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as handle:
            handle.write(make())
        try:
            os.link(part, file)
        except FileExistsError:
            pass  # Another process was first; its key counts.
        part.unlink()
    return file.read_text().strip()
