"""Running other programs: lists of arguments only, never a shell."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from lab.errors import LabError


def say(line: str) -> None:
    """One progress line for the person watching."""
    # In one piece, because hosts come up side by side.
    sys.stderr.write(line + "\n")
    sys.stderr.flush()


def attempt(arguments: Sequence[str | Path], timeout: float = 120) -> subprocess.CompletedProcess[str]:
    """Run a program and hand back how it ended, whatever that is; 124 means that it took too long and was killed."""
    words = [str(argument) for argument in arguments]
    try:
        return subprocess.run(
            words,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return subprocess.CompletedProcess(words, 124, "", f"no end within {timeout:.0f} s")


def run(arguments: Sequence[str | Path], timeout: float = 120) -> str:
    """Run a program that has to succeed; returns what it printed."""
    done = attempt(arguments, timeout)
    if done.returncode != 0:
        words = " ".join(str(argument) for argument in arguments)
        reason = (done.stderr.strip() or done.stdout.strip())[-2000:]
        raise LabError(f"`{words}` ended with {done.returncode}: {reason}")
    return done.stdout


def wait_until(condition: Callable[[], bool], what: str, seconds: float, step: float = 0.05) -> None:
    """Return as soon as the condition holds; raise LabError if it does not in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise LabError(f"{what}: not within {seconds:.0f} s")
        time.sleep(step)
