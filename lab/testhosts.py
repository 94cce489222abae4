"""Hosts without QEMU: each a libvirtd of its own on loopback that serves libvirt's ``test`` driver.

They need no root (run by root they step down to ``nobody``), take thousands of domains and send real events; they have no consoles
and no migration. One daemon keeps one set of domains, shared by all its connections, under the path ``/default``.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

NOBODY = 65534


class TestHostError(Exception):
    """libvirtd is not installed or did not start; the message says which."""

    __test__ = False


def libvirtd_path() -> str | None:
    """The daemon's program, also where a user's PATH has no sbin."""
    return shutil.which("libvirtd", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")


def free_port() -> int:
    """A free TCP port on loopback."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class TestHost:
    """One daemon; start it, use ``uri``, stop it."""

    __test__ = False

    name: str
    port: int
    folder: Path
    process: subprocess.Popen[bytes] | None = None
    keeper: subprocess.Popen[bytes] | None = None
    #: more for the daemon's environment
    environment: dict[str, str] = field(default_factory=dict)

    @classmethod
    def create(cls, name: str) -> TestHost:
        """A host that is not started yet, with a folder and a port of its own."""
        folder = Path(tempfile.mkdtemp(prefix=f"kvmdash-{name}-"))
        host = cls(name, free_port(), folder)
        host._write_configuration()
        return host

    @property
    def uri(self) -> str:
        """How the product reaches it."""
        return f"test+tcp://127.0.0.1:{self.port}/default"

    @property
    def pid(self) -> int:
        """The daemon's process id; raises TestHostError when it does not run."""
        if self.process is None or self.process.poll() is not None:
            raise TestHostError(f"{self.name} does not run.")
        return self.process.pid

    def _write_configuration(self) -> None:
        lines = {
            "listen_tls": "0", "listen_tcp": "1", "tcp_port": f'"{self.port}"', "listen_addr": '"127.0.0.1"',
            "auth_tcp": '"none"', "auth_unix_rw": '"none"', "unix_sock_dir": f'"{self.folder}/sock"',
            "log_outputs": f'"3:file:{self.folder}/libvirtd.log"', "max_clients": "500",
            "max_anonymous_clients": "500", "max_workers": "20",
        }  # fmt: skip
        (self.folder / "sock").mkdir()
        (self.folder / "libvirtd.conf").write_text("".join(f"{key} = {value}\n" for key, value in lines.items()))
        for path in (self.folder, *self.folder.iterdir()):
            path.chmod(0o755 if path.is_dir() else 0o644)
            if os.geteuid() == 0:
                os.chown(path, NOBODY, NOBODY)

    def start(self, seconds: float = 20.0) -> None:
        """Start the daemon and wait until it listens."""
        program = libvirtd_path()
        if program is None:
            raise TestHostError("libvirtd is not installed (Debian package libvirt-daemon).")
        step_down = {"user": NOBODY, "group": NOBODY, "extra_groups": []} if os.geteuid() == 0 else {}
        home = {name: str(self.folder) for name in ("HOME", "XDG_RUNTIME_DIR", "XDG_CONFIG_HOME", "XDG_CACHE_HOME")}
        self.process = subprocess.Popen(
            [
                program,
                "--listen",
                "--config",
                str(self.folder / "libvirtd.conf"),
                "--pid-file",
                str(self.folder / "pid"),
            ],
            env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", **home, **self.environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=(self.folder / "stderr").open("wb"),
            start_new_session=True,
            **step_down,  # type: ignore[call-overload]
        )
        self._wait_until_it_listens(seconds)
        self._keep_open()

    def _keep_open(self) -> None:
        """Hold a connection, because the driver forgets everything when its last one closes.

        Every daemon begins with the same guest 'test', of the same UUID: running on two hosts it would be a split brain.
        """
        self.keeper = subprocess.Popen(
            ["virsh", "-q", "-c", self.uri, "event", "--all", "--loop"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for _attempt in range(200):
            if "test" not in self._virsh("list", "--all", "--name").split():
                return
            self._virsh("destroy", "test")
            self._virsh("undefine", "test")
        raise TestHostError(f"{self.name} does not keep what it is told.")

    def _virsh(self, *arguments: str) -> str:
        """One virsh command on a connection of its own; what it prints."""
        command = ["virsh", "-q", "-c", self.uri, *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=20).stdout

    def _wait_until_it_listens(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
                return
            except OSError:
                if self.process is not None and self.process.poll() is not None:
                    break
                time.sleep(0.05)
        raise TestHostError(f"{self.name} did not start: {(self.folder / 'stderr').read_text()[-500:]}")

    def has_died(self) -> bool:
        """Whether the daemon was started and is not there any more, without having been told to go."""
        return self.process is not None and self.process.poll() is not None

    def log(self) -> str:
        """The last of what the daemon complained of."""
        files = (self.folder / "libvirtd.log", self.folder / "stderr")
        return "\n".join(file.read_text(errors="replace")[-2000:] for file in files if file.exists())

    def freeze(self) -> None:
        """Let it hang: it keeps its connections and answers nothing."""
        os.kill(self.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        os.kill(self.pid, signal.SIGCONT)

    def kill(self) -> None:
        """kill -9; its domains are forgotten."""
        if self.keeper is not None:
            self.keeper.kill()
            self.keeper.wait()
            self.keeper = None
        process = self.process
        if process is not None and process.poll() is None:
            process.send_signal(signal.SIGCONT)
            process.kill()
            process.wait()

    def remove(self) -> None:
        """Stop it and delete its folder."""
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)
