"""`manage.py operations`: the operations role as a process of its own."""

from typing import Any

from django.core.management.base import BaseCommand

from kvmdash.checks import TAG


class Command(BaseCommand):
    """Runs its share of the operations until told to stop."""

    # All checks would load every page and the API, which this process never serves: 37 MB.
    requires_system_checks = [TAG]
    help = "Run the operations role (scaled deployments; needs PostgreSQL and Redis)."

    def handle(self, *args: Any, **options: Any) -> None:
        from hosts.operations.runner import Runner
        from kvmdash.roles import run_alone

        run_alone(Runner())
