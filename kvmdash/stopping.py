"""Being told to stop, by SIGTERM or SIGINT, in a main thread that only waits for it."""

from __future__ import annotations

import os
import select
import signal


class Told:
    """Take both signals from now on; to be made in the main thread.

    A lock or an Event would be waited on for ever when the signal came just before the waiting began, which is likely where other
    threads are busy; a signal's byte in a pipe stays.
    """

    def __init__(self) -> None:
        self._read, write = os.pipe()
        os.set_blocking(write, False)
        signal.set_wakeup_fd(write)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: None)

    def wait(self, seconds: float | None = None) -> bool:
        """Whether we were told, after at most ``seconds``."""
        return bool(select.select([self._read], [], [], seconds)[0])
