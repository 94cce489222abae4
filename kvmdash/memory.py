"""Memory of a program with many threads that must answer within milliseconds."""

from __future__ import annotations

import ctypes
import gc

#: new objects before the young ones are looked through: a look at a host makes thousands that live on
YOUNG = 2000
#: mallopt(3)'s number for the most arenas, and how many there may be
_ARENA_MAX, ARENAS = -8, 2


def use_few_arenas() -> None:
    """Called before threads are started: glibc's malloc gives up to sixteen of them memory of their own, 40 MB more here.

    They would gain nothing, as Python lets one of them run at a time.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:  # Other C libraries have other ways.
        mallopt(_ARENA_MAX, ARENAS)


def keep_what_is_loaded() -> None:
    """Called once, when the program has started: what was loaded until now lives as long as the program.

    It is not looked through for garbage again. Looking through everything stops all threads, for 50 to 200 ms here, and happens
    whenever a quarter more lives than last time, such as when pages are opened.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG, 10, 10)
