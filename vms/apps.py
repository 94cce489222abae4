"""The guests app."""

from django.apps import AppConfig


class VmsConfig(AppConfig):
    """Virtual machines, their definitions, operations and consoles."""

    name = "vms"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from hosts import timers
        from vms import fragments, inventory, operations, scheduling
        from vms.moving.plans import driving

        operations.load_kinds()
        inventory.register()
        fragments.register()
        timers.every(scheduling.LOOK_SECONDS, scheduling.look)
        timers.every(driving.LOOK_SECONDS, driving.look)
