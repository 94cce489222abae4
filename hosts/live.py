"""The live pieces of hosts, operations and resources."""


def register() -> None:
    """Make them known."""
