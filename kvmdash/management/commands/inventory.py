"""`manage.py inventory`: the inventory role as a process of its own."""

from typing import Any

from django.core.management.base import BaseCommand


class Command(BaseCommand):
    """Mirrors its share of the hosts until told to stop."""

    help = "Run the inventory role (scaled deployments; needs PostgreSQL and Redis)."

    def handle(self, *args: Any, **options: Any) -> None:
        from hosts.supervisor import Supervisor
        from kvmdash.roles import run_alone

        run_alone(Supervisor())
