"""`manage.py web`: the web role."""

from typing import Any

from django.core.management.base import BaseCommand, CommandParser


class Command(BaseCommand):
    """Serves pages, API, pushes and the one-port console road."""

    help = "Serve the dashboard (scaled deployments run this beside the other roles)."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--host", default="127.0.0.1")
        parser.add_argument("--port", type=int, default=8000)

    def handle(self, *args: Any, **options: Any) -> None:
        from kvmdash.server import serve

        serve(options["host"], options["port"])
