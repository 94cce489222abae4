"""The guests' live pieces."""


def register() -> None:
    """Make them known."""
