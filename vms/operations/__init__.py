"""What can be done to a guest: one file per kind."""


def load_kinds() -> None:
    """Import the modules whose kinds register themselves."""
    from vms.operations import (  # noqa: F401
        autostart,
        block_copy,
        block_resize,
        create,
        define,
        destroy,
        fs_freeze,
        fs_thaw,
        fs_trim,
        guest_info,
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
        set_user_password,
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
