"""The first process of one lab host.

Run as a program of its own (`python3 -I boot.py CONFIG.json`), not as a part of the package: it leaves the caller's
namespaces, forks, prints the process id of the new host's first process, and ends. The child becomes process 1 of
the host: it prepares the mounts, starts the daemons, and from then on only reaps. Killing it kills the whole host.

Signals it listens to: SIGHUP starts libvirtd if it is not running (the lab stops it by its own process id).
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import socket
import sys
from pathlib import Path
from typing import Any

CLONE_NEWNS = 0x00020000
CLONE_NEWCGROUP = 0x02000000
CLONE_NEWUTS = 0x04000000
CLONE_NEWPID = 0x20000000
CLONE_NEWNET = 0x40000000
MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_BIND, MS_REC, MS_PRIVATE = 0x2, 0x4, 0x8, 0x1000, 0x4000, 0x40000
MNT_DETACH = 0x2

libc = ctypes.CDLL(None, use_errno=True)


def checked(result: int, what: str) -> None:
    """Turn a failing C call into an OSError that says which one it was."""
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")


def mount(source: str, target: str, kind: str, flags: int = 0, data: str = "") -> None:
    """mount(2)."""
    arguments = (source.encode(), target.encode(), kind.encode(), ctypes.c_ulong(flags), data.encode())
    checked(libc.mount(*arguments), f"mount {source} on {target}")


def join_cgroups(directories: dict[str, str]) -> None:
    """Move this process into its cgroups; they become the roots of the new cgroup namespace."""
    for directory in directories.values():
        Path(directory, "cgroup.procs").write_text(str(os.getpid()))


def leave_namespaces(netns: str) -> None:
    """Enter the host's network namespace and leave the machine's other ones."""
    descriptor = os.open(netns, os.O_RDONLY | os.O_CLOEXEC)
    checked(libc.setns(descriptor, CLONE_NEWNET), f"enter {netns}")
    os.close(descriptor)
    checked(libc.unshare(CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWPID | CLONE_NEWCGROUP), "unshare")


def prepare_mounts(config: dict[str, Any]) -> None:
    """Give the host its own /proc, /sys, cgroups, /run and the folders libvirt writes to."""
    mount("none", "/", "none", MS_REC | MS_PRIVATE)
    mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC)
    # The machine's own cgroup mounts go with its /sys, or libvirt would find them in /proc/mounts and use them.
    checked(libc.umount2(b"/sys", MNT_DETACH), "unmount /sys")
    # A fresh sysfs shows the network devices of the network namespace it was mounted in: libvirt reads them there.
    mount("sysfs", "/sys", "sysfs", MS_NOSUID | MS_NODEV | MS_NOEXEC)
    mount("tmpfs", "/sys/fs/cgroup", "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, "mode=755")
    for controller in config["cgroups"]:
        directory = Path("/sys/fs/cgroup", controller)
        directory.mkdir()
        mount("cgroup", str(directory), "cgroup", MS_NOSUID | MS_NODEV | MS_NOEXEC, controller)
    mount("tmpfs", "/run", "tmpfs", MS_NOSUID | MS_NODEV, "mode=755")
    for made in ("/run/lock", "/run/sshd"):
        Path(made).mkdir(0o755)
    for source, target in config["binds"]:
        mount(source, target, "none", MS_BIND | MS_REC)


class Daemon:
    """One program the host keeps as a direct child of its first process."""

    def __init__(self, command: list[str], output: str) -> None:
        self.command = command
        self.output = output
        self.pid = 0

    def start(self) -> None:
        """Start it unless it is already running."""
        if self.pid:
            return
        log = (os.POSIX_SPAWN_OPEN, 1, self.output, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        actions = [(os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDONLY, 0), log, (os.POSIX_SPAWN_DUP2, 1, 2)]
        environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin:/run/bin", "HOME": "/root", "LANG": "C.UTF-8"}
        self.pid = os.posix_spawn(
            self.command[0],
            self.command,
            environment,
            file_actions=actions,
            setsigmask=[],
            setsigdef=[signal.SIGHUP, signal.SIGCHLD],
            setsid=True,
        )


def reap(daemons: list[Daemon]) -> None:
    """Collect every child that has ended, the daemons' orphans included."""
    while True:
        try:
            pid, _ = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if pid == 0:
            return
        for daemon in daemons:
            if daemon.pid == pid:
                daemon.pid = 0


def be_first_process(config: dict[str, Any]) -> None:
    """Run the host until it is killed."""
    os.setsid()
    signals = {signal.SIGCHLD, signal.SIGHUP}
    # Process 1 is sent only those signals it has a handler for.
    for number in signals:
        signal.signal(number, lambda *_: None)
    signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    prepare_mounts(config)
    socket.sethostname(config["hostname"])
    os.chdir("/")
    daemons = [Daemon(item["command"], item["output"]) for item in config["daemons"]]
    for daemon in daemons:
        daemon.start()
    Path("/run/daemons-started").touch()
    while True:
        received = signal.sigwait(signals)
        reap(daemons)
        if received == signal.SIGHUP:
            for daemon in daemons:
                daemon.start()


def main() -> None:
    """Leave, fork, say the child's process id, end."""
    config = json.loads(Path(sys.argv[1]).read_text())
    join_cgroups(config["cgroups"])
    leave_namespaces(config["netns"])
    pid = os.fork()
    if pid:
        print(pid, flush=True)
        return
    # The caller reads our standard output to its end: do not hold it open.
    descriptor = os.open(config["output"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    os.close(descriptor)
    os.closerange(3, 64)
    be_first_process(config)


if __name__ == "__main__":
    main()
