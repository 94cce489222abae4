"""`manage.py consoles`: the console gateway as a process of its own."""

from __future__ import annotations

import os
import signal
import sys
import threading
import warnings
from typing import Any

from django.core.management.base import BaseCommand

from kvmdash.checks import TAG


class Command(BaseCommand):
    """Carries consoles between browsers and guests until told to stop."""

    # All checks would load every page and the API, which this process never serves: 37 MB.
    requires_system_checks = [TAG]
    help = "Run the console gateway (KVMDASH_CONSOLE_GATEWAY says where it listens)."

    def handle(self, *args: Any, **options: Any) -> None:
        from django.conf import settings

        # websockify would load it for a way of unmasking that is not used here.
        sys.modules.setdefault("numpy", None)  # type: ignore[arg-type]
        warnings.filterwarnings("ignore", "no 'numpy' module")
        from vms.console.gateway import Gateway
        from vms.console.targets import LibvirtTargets

        host, _colon, port = settings.CONSOLE_GATEWAY.rpartition(":")
        done = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: done.set())
        targets = LibvirtTargets()
        gateway = Gateway(targets, host.strip("[]"), int(port))
        gateway.start()
        wait_for(done, os.environ.get("KVMDASH_PARENT", ""))
        gateway.stop()
        targets.close()


def wait_for(done: threading.Event, parent: str) -> None:
    """Until told to stop, or until the program that started us is gone without a word (kill -9)."""
    while not done.wait(1.0 if parent else None):
        if str(os.getppid()) != parent:
            return
