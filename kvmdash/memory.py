"""Memory of a program with many threads that must answer within milliseconds."""

from __future__ import annotations

import ctypes
import gc
import threading

COLLECT_SECONDS = 120.0
#: new objects before the young ones are looked through: a look at a host makes thousands that live on
YOUNG = 2000
#: in effect never
NEVER = 1_000_000_000
#: mallopt(3)'s number for the most arenas, and how many there may be
_ARENA_MAX, ARENAS = -8, 2


def use_few_arenas() -> None:
    """Called before threads are started: glibc's malloc gives up to sixteen of them memory of their own, 40 MB more here.

    They would gain nothing, as Python lets one of them run at a time.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:  # Other C libraries have other ways.
        mallopt(_ARENA_MAX, ARENAS)


def look_for_garbage_seldom() -> None:
    """Called once, when the program has started.

    Looking through everything stops all threads for 50 to 200 ms here, and by default happens whenever a quarter more lives than
    last time, such as when pages are opened. What was loaded at the start lives as long as the program and is not looked through
    again; the rest is on a timer. Young garbage is found as always.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG, 10, NEVER)
    threading.Thread(target=_collect_now_and_then, name="garbage", daemon=True).start()


def _collect_now_and_then() -> None:
    wait = threading.Event()
    while not wait.wait(COLLECT_SECONDS):
        gc.collect()
