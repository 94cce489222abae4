"""`manage.py inventory`: the inventory role as a process of its own."""

from typing import Any

from django.core.management.base import BaseCommand

from kvmdash.checks import TAG


class Command(BaseCommand):
    """Mirrors its share of the hosts until told to stop."""

    # All checks would load every page and the API, which this process never serves: 37 MB.
    requires_system_checks = [TAG]
    help = "Run the inventory role (scaled deployments; needs PostgreSQL and Redis)."

    def handle(self, *args: Any, **options: Any) -> None:
        from hosts.supervisor import Supervisor
        from kvmdash.roles import run_alone

        run_alone(Supervisor())
