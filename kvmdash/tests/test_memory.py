"""How the program looks after its memory; in processes of their own, because it is for a whole process."""

from __future__ import annotations

import subprocess
import sys

from kvmdash.tests.program import PROJECT


def run(code: str) -> str:
    """What a fresh process prints."""
    done = subprocess.run([sys.executable, "-c", code], cwd=PROJECT, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_opening_much_does_not_have_everything_looked_through():
    code = (
        "import gc; from kvmdash import memory; memory.look_for_garbage_seldom();"
        "looks = []; gc.callbacks.append(lambda phase, info: looks.append(info['generation']));"
        "kept = [[number] for number in range(500_000)]; print(2 in looks, 0 in looks)"
    )
    assert run(code) == "False True"


def test_garbage_of_long_life_is_found_all_the_same():
    code = (
        "import gc, time, weakref; from kvmdash import memory; memory.COLLECT_SECONDS = 0.01; memory.look_for_garbage_seldom();"
        "Thing = type('Thing', (), {}); thing = Thing(); thing.itself = thing; gc.collect(); gc.collect();"
        "gone = weakref.ref(thing); del thing\n"
        "while gone() is not None: time.sleep(0.01)\n"
        "print('found')"
    )
    assert run(code) == "found"


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
