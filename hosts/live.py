"""The live pieces of hosts, operations and resources."""

from hosts import live_hosts, live_operations


def register() -> None:
    """Make them known."""
    live_hosts.register()
    live_operations.register()
