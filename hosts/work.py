"""Database manners of long-lived threads."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import InterfaceError, OperationalError, close_old_connections, connections

#: the database cannot be asked just now: locked by another, its disk full, its server gone
DATABASE_AWAY = (OperationalError, InterfaceError)


@contextmanager
def database_work() -> Iterator[None]:
    """Around each piece of work of a thread that is no request: drop dead connections before, lend pooled ones back after."""
    close_old_connections()
    try:
        yield
    finally:
        lend_back()


def lend_back() -> None:
    """Give pooled connections back before something that may last: while a host is asked, others want the database."""
    for connection in connections.all(initialized_only=True):
        if connection.vendor != "sqlite" and not connection.in_atomic_block:
            connection.close()
