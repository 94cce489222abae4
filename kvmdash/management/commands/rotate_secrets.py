"""`manage.py rotate_secrets`: encrypt every stored secret with the first key."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand

SECRETS = ("sasl_password", "tls_key", "ssh_key")
FACTORS = ("secret", "seed")


class Command(BaseCommand):
    """After a new key was put in front; the old one can then be dropped."""

    help = "Encrypt all stored secrets again with the first of KVMDASH_ENCRYPTION_KEYS."

    def handle(self, *args: Any, **options: Any) -> None:
        from hosts.models import Host
        from hosts.secrets import Sealed

        for host in Host.objects.all():
            for name in SECRETS:
                setattr(host, name, Sealed.of(getattr(host, name).open()))
            host.save(update_fields=SECRETS)
        _second_factors()
        self.stdout.write(f"{Host.objects.count()} hosts done.")


def _second_factors() -> None:
    """What authenticator apps and recovery codes are made from."""
    from allauth.mfa.adapter import get_adapter
    from allauth.mfa.models import Authenticator

    adapter = get_adapter()
    for row in Authenticator.objects.all():
        sealed = {name: adapter.encrypt(adapter.decrypt(row.data[name])) for name in FACTORS if name in row.data}
        row.data |= sealed
        row.save(update_fields=["data"])
