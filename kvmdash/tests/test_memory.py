"""How the program looks after its memory; in processes of their own, because it is for a whole process."""

from __future__ import annotations

import subprocess
import sys

from kvmdash.tests.program import PROJECT


def run(code: str) -> str:
    """What a fresh process prints."""
    done = subprocess.run([sys.executable, "-c", code], cwd=PROJECT, capture_output=True, text=True, check=True)
    return done.stdout.strip()


LOADED = """
import gc
from kvmdash import memory
loaded = [[number] for number in range(200_000)]
memory.look_for_garbage_when_it_grows()
looks = []
gc.callbacks.append(lambda phase, info: looks.append(info["generation"]))
opened = [[number] for number in range(200_000)]
print(gc.get_freeze_count() > 200_000, set(looks))
"""
ASKED = """
import time, weakref
from kvmdash import memory

class Thing: pass

held = []

def asked():
    things = [Thing() for _ in range(5000)]
    for number, thing in enumerate(things):
        thing.all, thing.text = things, str(number) * 100
    held.append(things)
    del held[:-10]
    return weakref.ref(things[0])

memory.LOOK_SECONDS = 0.01
memory.look_for_garbage_when_it_grows()
left, most = [], 0
for _ in range(100):
    left.append(asked())
    time.sleep(0.02)
    most = max(most, sum(one() is not None for one in left))
print(most)
"""


def test_what_is_opened_later_does_not_have_everything_looked_through():
    assert run(LOADED) == "True {0, 1}"


def test_garbage_that_lives_through_the_first_looks_does_not_pile_up():
    # Ten are held at a time, each of 3 MB; so much more may be left before it is looked for.
    assert 10 <= int(run(ASKED)) < 60


def test_many_threads_share_few_arenas():
    code = (
        "import ctypes, threading; from kvmdash import memory; memory.use_few_arenas()\n"
        "held = []; wait = threading.Event()\n"
        "threads = [threading.Thread(target=lambda: (held.append(bytearray(600)), wait.wait())) for _ in range(20)]\n"
        "[thread.start() for thread in threads]\n"
        "ctypes.CDLL(None).malloc_stats(); wait.set()"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=PROJECT, capture_output=True, text=True, check=True)
    assert done.stderr.count("Arena ") <= 2
