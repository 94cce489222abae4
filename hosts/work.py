"""Database manners of long-lived threads."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import close_old_connections, connections


@contextmanager
def database_work() -> Iterator[None]:
    """Around each piece of work of a thread that is no request: drop dead connections before, lend pooled ones back after."""
    close_old_connections()
    try:
        yield
    finally:
        for connection in connections.all(initialized_only=True):
            if connection.vendor != "sqlite":
                connection.close()
