"""Processes remembered by id *and* start time, so that an id used again is never mistaken for ours."""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from lab.commands import wait_until


@dataclass(frozen=True)
class Stat:
    """The few fields of /proc/PID/stat that are needed here."""

    command: str
    state: str
    parent: int
    started: int


def stat(pid: int) -> Stat | None:
    """Look a process up; None when there is no such process."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return None
    # The command stands in brackets and may contain any character.
    command, _, rest = text.partition("(")[2].rpartition(")")
    fields = rest.split()
    return Stat(command=command, state=fields[0], parent=int(fields[1]), started=int(fields[19]))


@dataclass(frozen=True)
class Process:
    """A process the lab started."""

    pid: int
    started: int

    @classmethod
    def of(cls, pid: int) -> Process:
        """Remember a process that is running now (one that has already ended is remembered as never alive)."""
        seen = stat(pid)
        return cls(pid, seen.started if seen else -1)

    @classmethod
    def read(cls, path: Path) -> Process | None:
        """Read what `write` wrote; None when the file is missing or was cut short."""
        try:
            pid, started = path.read_text().split()
            return cls(int(pid), int(started))
        except (FileNotFoundError, ValueError):
            return None

    def write(self, path: Path) -> None:
        """Remember it in a file."""
        path.write_text(f"{self.pid} {self.started}\n")

    @property
    def alive(self) -> bool:
        """Whether it still runs (a zombie does not)."""
        seen = stat(self.pid)
        return seen is not None and seen.started == self.started and seen.state not in "ZX"

    def send(self, number: signal.Signals) -> None:
        """Send a signal if it is still the same process."""
        if self.alive:
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def end(self, number: signal.Signals = signal.SIGKILL, seconds: float = 15) -> None:
        """Send a signal and wait until the process is gone."""
        self.send(number)
        wait_until(lambda: not self.alive, f"process {self.pid} ends", seconds, step=0.02)

    def child(self, command: str) -> Process | None:
        """Its direct child of this name; the oldest, because a daemon's forks carry its name until they exec."""
        found: list[Process] = []
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                seen = stat(int(entry.name))
                if seen and seen.parent == self.pid and seen.command == command and seen.state not in "ZX":
                    found.append(Process(int(entry.name), seen.started))
        return min(found, key=lambda process: (process.started, process.pid), default=None)
