"""Every change is an Operation: asked for, checked, run, watched, cancelled and, after a crash, recovered."""


def load_kinds() -> None:
    """Import the modules whose kinds register themselves."""
    from hosts.operations import host_refresh, host_test  # noqa: F401
