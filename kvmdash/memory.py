"""Memory of a program with many threads that must answer within milliseconds."""

from __future__ import annotations

import ctypes
import gc
import os
import threading
import time
from pathlib import Path

#: new objects before the young ones are looked through: a look at a host makes thousands that live on
YOUNG = 2000
#: in effect never
NEVER = 1_000_000_000
#: bytes by which the process may grow before it is all looked through, how often its size is looked at, and the longest between
GROWTH = 16 * 2**20
LOOK_SECONDS, LONGEST_SECONDS = 1.0, 600.0
#: mallopt(3)'s number for the most arenas, and how many there may be
_ARENA_MAX, ARENAS = -8, 2
_STATM, _PAGE = Path("/proc/self/statm"), os.sysconf("SC_PAGE_SIZE")


def use_few_arenas() -> None:
    """Called before threads are started: glibc's malloc gives up to sixteen of them memory of their own, 40 MB more here.

    They would gain nothing, as Python lets one of them run at a time.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:  # Other C libraries have other ways.
        mallopt(_ARENA_MAX, ARENAS)


def look_for_garbage_when_it_grows() -> None:
    """Called once, when the program has started.

    To look through everything stops all threads, for 50 to 200 ms here, and by default happens whenever so many objects more have
    lived for a while, such as when a thousand pages were told of a change. Here it happens when there may be something to find.
    What was loaded until now lives as long as the program and is not looked through again; young garbage is found as always.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG, 10, NEVER)
    threading.Thread(target=_watch_size, name="garbage", daemon=True).start()


def _watch_size() -> None:
    wait, least, collected_at = threading.Event(), _resident(), time.monotonic()
    while not wait.wait(LOOK_SECONDS):
        least = min(least, _resident())
        if _resident() > least + GROWTH or time.monotonic() > collected_at + LONGEST_SECONDS:
            gc.collect()
            least, collected_at = _resident(), time.monotonic()


def _resident() -> int:
    """Bytes of memory that the process occupies."""
    return int(_STATM.read_text().split()[1]) * _PAGE
