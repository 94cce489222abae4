"""What can be done to a guest: one file per kind."""


def load_kinds() -> None:
    """Import the modules whose kinds register themselves."""
    from vms.operations import (  # noqa: F401
        autostart,
        define,
        destroy,
        managed_save,
        managed_save_remove,
        media,
        memory,
        metadata,
        migrate,
        protect,
        reboot,
        reset,
        resume,
        shutdown,
        snapshot_create,
        snapshot_delete,
        snapshot_describe,
        snapshot_revert,
        start,
        suspend,
        template,
        undefine,
        vcpus,
    )
