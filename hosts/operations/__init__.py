"""Every change is an Operation: asked for, checked, run, watched, cancelled and, after a crash, recovered."""


def load_kinds() -> None:
    """Import the modules whose kinds register themselves."""
    from hosts.operations import (  # noqa: F401
        filter_define,
        filter_delete,
        filter_edit,
        host_refresh,
        host_test,
        network_autostart,
        network_define,
        network_delete,
        network_edit,
        network_start,
        network_stop,
        network_update,
        pool_autostart,
        pool_define,
        pool_delete,
        pool_find,
        pool_refresh,
        pool_start,
        pool_stop,
        volume_clone,
        volume_create,
        volume_delete,
        volume_fetch,
        volume_resize,
        volume_upload,
        volume_wipe,
    )
