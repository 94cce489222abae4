"""The guests app."""

from django.apps import AppConfig


class VmsConfig(AppConfig):
    """Virtual machines, their definitions, operations and consoles."""

    name = "vms"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from vms import fragments, inventory, operations

        operations.load_kinds()
        inventory.register()
        fragments.register()
