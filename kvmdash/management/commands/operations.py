"""`manage.py operations`: the operations role as a process of its own."""

from typing import Any

from django.core.management.base import BaseCommand


class Command(BaseCommand):
    """Runs its share of the operations until told to stop."""

    help = "Run the operations role (scaled deployments; needs PostgreSQL and Redis)."

    def handle(self, *args: Any, **options: Any) -> None:
        from hosts.operations.runner import Runner
        from kvmdash.roles import run_alone

        run_alone(Runner())
