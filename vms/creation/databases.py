"""Which osinfo-db counts: the one that an administrator brought last, or the one that is installed."""

from __future__ import annotations

from vms.creation import osinfo


def current() -> osinfo.Database:
    """All systems that are known."""
    return osinfo.installed()
