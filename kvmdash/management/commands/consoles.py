"""`manage.py consoles`: the console gateway as a process of its own."""

from __future__ import annotations

import os
import sys
import warnings
from typing import Any

from django.core.management.base import BaseCommand

from kvmdash import readiness, stopping
from kvmdash.checks import TAG


class Command(BaseCommand):
    """Carries consoles between browsers and guests until told to stop."""

    # All checks would load every page and the API, which this process never serves: 37 MB.
    requires_system_checks = [TAG]
    help = "Run the console gateway (KVMDASH_CONSOLE_GATEWAY says where it listens)."

    def handle(self, *args: Any, **options: Any) -> None:
        from django.conf import settings

        load_websockify_without_numpy()
        from vms.console.gateway import Gateway
        from vms.console.targets import LibvirtTargets

        host, _colon, port = settings.CONSOLE_GATEWAY.rpartition(":")
        told = stopping.Told()
        targets = LibvirtTargets()
        gateway = Gateway(targets, host.strip("[]"), int(port), consoles=targets)
        gateway.start()
        readiness.tell()
        wait_for(told, os.environ.get("KVMDASH_PARENT", ""))
        gateway.stop()
        targets.close()


def load_websockify_without_numpy() -> None:
    """websockify would load it for a way of unmasking that is not used here."""
    absent = sys.modules.setdefault("numpy", None) is None  # type: ignore[arg-type]
    warnings.filterwarnings("ignore", "no 'numpy' module")
    import websockify.websocket  # noqa: F401

    if absent:  # PostgreSQL's driver takes whatever is there for numpy itself.
        del sys.modules["numpy"]


def wait_for(told: stopping.Told, parent: str) -> None:
    """Until told to stop, or until the program that started us is gone without a word (kill -9)."""
    while not told.wait(1.0 if parent else None):
        if str(os.getppid()) != parent:
            return
