"""How the program looks after its memory; in processes of their own, because it is for a whole process."""

from __future__ import annotations

import subprocess
import sys

from kvmdash.tests.program import PROJECT


def run(code: str) -> str:
    """What a fresh process prints."""
    done = subprocess.run([sys.executable, "-c", code], cwd=PROJECT, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_what_was_loaded_at_the_start_is_not_looked_through_again():
    code = (
        "import gc; loaded = [[number] for number in range(200_000)]; from kvmdash import memory;"
        "memory.keep_what_is_loaded(); looked = len(gc.get_objects()); gc.collect();"
        "print(looked < 1000, gc.get_freeze_count() > 200_000)"
    )
    assert run(code) == "True True"


ASKED = """
import weakref
from kvmdash import memory

class Thing: pass

def asked():
    things = [Thing() for _ in range(5000)]
    for thing in things:
        thing.all = things
    return weakref.ref(things[0])

memory.keep_what_is_loaded()
left, most = [], 0
for _ in range(300):
    left.append(asked())
    most = max(most, sum(one() is not None for one in left))
print(most)
"""


def test_garbage_that_lives_through_the_first_looks_does_not_pile_up():
    assert int(run(ASKED)) < 60


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
