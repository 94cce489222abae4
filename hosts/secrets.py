"""Secrets at rest: text columns encrypted with the keys of ``settings.ENCRYPTION_KEYS``.

The first key encrypts, every key may decrypt, so a key is rotated by putting the new one in front and saving the rows again
(`manage.py rotate_secrets`). Keys come from the environment or a file, never from the database.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings
from django.db import models
from django.utils.translation import gettext_noop


class SecretUnreadable(Exception):
    """A stored secret was encrypted with a key that is not configured."""


def cipher() -> MultiFernet:
    """The cipher over all configured keys."""
    return MultiFernet([Fernet(key) for key in settings.ENCRYPTION_KEYS])


def encrypt(text: str) -> str:
    """Ciphertext (URL-safe base64) of ``text``."""
    return cipher().encrypt(text.encode()).decode()


def decrypt(token: str) -> str:
    """Plain text of ``token``; raises SecretUnreadable when no configured key fits."""
    try:
        return cipher().decrypt(token.encode()).decode()
    except InvalidToken as error:
        raise SecretUnreadable(gettext_noop("No configured encryption key opens this secret.")) from error


class Sealed:
    """A secret that stays ciphertext until :meth:`open` is called, so that printing or logging a row shows nothing."""

    __slots__ = ("token",)

    def __init__(self, token: str) -> None:
        self.token = token

    @classmethod
    def of(cls, text: str) -> Sealed:
        """Seal plain text; the empty text stays empty."""
        return cls(encrypt(text) if text else "")

    def open(self) -> str:
        """The plain text ('' when nothing is stored)."""
        return decrypt(self.token) if self.token else ""

    def __bool__(self) -> bool:
        return bool(self.token)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sealed) and other.token == self.token

    def __hash__(self) -> int:
        return hash(self.token)

    def __repr__(self) -> str:
        return "Sealed(…)" if self.token else "Sealed()"

    __str__ = __repr__


if TYPE_CHECKING:
    TextColumn = models.TextField[Any, Any]
else:
    TextColumn = models.TextField


class SecretField(TextColumn):
    """A text column holding ciphertext; the attribute is a :class:`Sealed`. Assigning a str seals it."""

    def from_db_value(self, value: str | None, *_: object) -> Sealed:
        return Sealed(value or "")

    def to_python(self, value: object) -> Sealed:
        if isinstance(value, Sealed):
            return value
        return Sealed.of(str(value or ""))

    def get_prep_value(self, value: object) -> str:
        return self.to_python(value).token
