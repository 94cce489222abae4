"""`manage.py rotate_secrets`: encrypt every stored secret with the first key."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand
from django.db.models import Model

FACTORS = ("secret", "seed")


class Command(BaseCommand):
    """After a new key was put in front; the old one can then be dropped."""

    help = "Encrypt all stored secrets again with the first of KVMDASH_ENCRYPTION_KEYS."

    def handle(self, *args: Any, **options: Any) -> None:
        from django.apps import apps

        from hosts.secrets import SecretField

        count = _second_factors()
        for model in apps.get_models():
            for field in model._meta.concrete_fields:
                if isinstance(field, SecretField):
                    count += _column(model, field.attname)
        self.stdout.write(f"{count} secrets done.")


def _column(model: type[Model], name: str) -> int:
    """All secrets of one column; one that somebody changes meanwhile is written with the new key anyway."""
    from hosts.secrets import Sealed

    count = 0
    for pk, sealed in model._default_manager.exclude(**{name: ""}).values_list("pk", name).iterator(500):
        same = model._default_manager.filter(**{"pk": pk, name: sealed})
        count += same.update(**{name: Sealed.of(sealed.open())})
    return count


def _second_factors() -> int:
    """What authenticator apps and recovery codes are made from."""
    from allauth.mfa.adapter import get_adapter
    from allauth.mfa.models import Authenticator

    adapter, rows = get_adapter(), list(Authenticator.objects.all())
    for row in rows:
        sealed = {name: adapter.encrypt(adapter.decrypt(row.data[name])) for name in FACTORS if name in row.data}
        row.data |= sealed
        row.save(update_fields=["data"])
    return len(rows)
