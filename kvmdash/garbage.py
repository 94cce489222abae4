"""When Python looks for garbage in a program that must answer within milliseconds.

Looking through everything stops all threads for 50 to 200 ms here, and by default happens whenever a quarter more lives than last
time, such as when pages are opened. What was loaded at the start lives as long as the program and is not looked through again; the
rest is on a timer. Young garbage is found as always.
"""

from __future__ import annotations

import gc
import threading

COLLECT_SECONDS = 120.0
#: new objects before the young ones are looked through: a look at a host makes thousands that live on
YOUNG = 2000
#: in effect never
NEVER = 1_000_000_000


def settle() -> None:
    """Called once, when the program has started."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG, 10, NEVER)
    threading.Thread(target=_collect_now_and_then, name="garbage", daemon=True).start()


def _collect_now_and_then() -> None:
    wait = threading.Event()
    while not wait.wait(COLLECT_SECONDS):
        gc.collect()
