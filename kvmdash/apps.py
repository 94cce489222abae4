"""The composition root as an app: its template tags, checks and signal receivers."""

from django.apps import AppConfig


class KvmdashConfig(AppConfig):
    """Wires hosts and vms together."""

    name = "kvmdash"

    def ready(self) -> None:
        from kvmdash import accounts, checks, overview, shell  # noqa: F401

        shell.register()
        overview.register()
