"""cgroup version 1: each host gets a sub-tree of its own, so that two hosts' guests never share a path.

The tree hangs below the caller's own cgroup: whatever limits hold for the caller hold for the lab too.
"""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

from lab.errors import LabError
from lab.processes import Process

CONTROLLERS = ("cpu", "cpuacct", "cpuset", "memory", "blkio", "devices", "freezer")
ROOT = Path("/sys/fs/cgroup")
#: microseconds over which a processor's time is shared out
PERIOD = 100_000


def own_directories() -> dict[str, Path]:
    """The caller's own cgroup in each controller that is mounted on its own."""
    found: dict[str, Path] = {}
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        _, controller, path = line.split(":", 2)
        directory = ROOT / controller / path.lstrip("/")
        if controller in CONTROLLERS and (directory / "cgroup.procs").exists():
            found[controller] = directory
    return found


def create(lab: str, host: str) -> dict[str, str]:
    """Make the host's cgroups; returns controller → directory."""
    made: dict[str, str] = {}
    for controller, own in own_directories().items():
        directory = own
        for part in (lab, host):
            directory = directory / part
            directory.mkdir(exist_ok=True)
            if controller == "cpuset":
                inherit_cpuset(directory)
        made[controller] = str(directory)
    return made


def limit(directory: Path, quota: int) -> None:
    """Let everything in a cpu cgroup use so many microseconds of each period; -1 for no limit."""
    (directory / "cpu.cfs_period_us").write_text(str(PERIOD))
    (directory / "cpu.cfs_quota_us").write_text(str(quota))


def inherit_cpuset(directory: Path) -> None:
    """A new cpuset is empty and takes no process until it has processors and memory."""
    for name in ("cpuset.cpus", "cpuset.mems"):
        if not (directory / name).read_text().strip():
            (directory / name).write_text((directory.parent / name).read_text())


def processes(directories: list[Path]) -> set[int]:
    """Every process in these cgroups and below."""
    found: set[int] = set()
    for directory in directories:
        for folder, _, files in os.walk(directory):
            if "cgroup.procs" in files:
                try:
                    found.update(int(pid) for pid in Path(folder, "cgroup.procs").read_text().split())
                except OSError:  # removed while we looked
                    continue
    return found - {0, os.getpid()}


def empty_and_remove(directories: list[Path], seconds: float = 15) -> None:
    """Kill what is left in these cgroups, then remove them from the leaves up."""
    deadline = time.monotonic() + seconds
    while left := processes(directories):
        for pid in left:
            Process.of(pid).send(signal.SIGKILL)
        if time.monotonic() > deadline:
            raise LabError(f"processes {sorted(left)} do not end")
        time.sleep(0.05)
    for directory in directories:
        for folder, _, _ in os.walk(directory, topdown=False):
            remove(Path(folder), deadline)


def remove_if_empty(directories: list[Path]) -> None:
    """Remove the lab's own cgroups when this was the last host in them."""
    for directory in directories:
        try:
            directory.rmdir()
        except OSError:
            continue


def remove(directory: Path, deadline: float) -> None:
    """rmdir, with patience: the kernel frees a cgroup a moment after its last process."""
    while True:
        try:
            directory.rmdir()
        except FileNotFoundError:
            return
        except OSError as error:
            if time.monotonic() > deadline:
                raise LabError(f"cgroup {directory} could not be removed: {error}") from error
            time.sleep(0.05)
        else:
            return
