"""The cluster app."""

from django.apps import AppConfig


class HostsConfig(AppConfig):
    """Hosts, what they offer, people, and the record of every change."""

    name = "hosts"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from hosts import live, operations

        operations.load_kinds()
        live.register()
