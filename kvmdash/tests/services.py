"""PostgreSQL and Redis of the tests' own, on loopback ports of their own."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import pytest

from conftest import wait_until
from lab.testhosts import free_port


def postgresql_folder() -> Path | None:
    """Where PostgreSQL's programs are: Debian keeps them off the PATH."""
    if found := shutil.which("initdb"):
        return Path(found).resolve().parent
    versions = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    return versions[-1].parent if versions else None


class Services:
    """Both servers; start, use the URLs, stop."""

    def __init__(self) -> None:
        programs = postgresql_folder()
        redis = shutil.which("redis-server")
        if programs is None or redis is None:
            pytest.skip("PostgreSQL or Redis is not installed")
        self.programs, self.redis = programs, redis
        self.folder = Path(tempfile.mkdtemp(prefix="kvmdash-services-"))
        self.postgresql_port, self.redis_port = free_port(), free_port()
        self.children: list[subprocess.Popen[bytes]] = []

    @property
    def environment(self) -> dict[str, str]:
        """What tells kvmdash to use them."""
        address = f"postgres://kvmdash@127.0.0.1:{self.postgresql_port}"
        return {
            "KVMDASH_DATABASE_URL": f"{address}/kvmdash",
            "KVMDASH_METRICS_DATABASE_URL": f"{address}/metrics",
            "KVMDASH_REDIS_URL": f"redis://127.0.0.1:{self.redis_port}/0",
        }

    def _unprivileged(self) -> dict[str, Any]:
        """PostgreSQL refuses to run as root."""
        if os.geteuid() != 0:
            return {}
        somebody = pwd.getpwnam("nobody")
        return {"user": somebody.pw_uid, "group": somebody.pw_gid, "extra_groups": []}

    def start(self) -> None:
        """Start both and make the databases."""
        data = self.folder / "postgresql"
        data.mkdir()
        self.folder.chmod(0o755)
        if os.geteuid() == 0:
            shutil.chown(data, "nobody", "nogroup")
        run = {"check": True, "capture_output": True, "cwd": "/tmp", **self._unprivileged()}
        subprocess.run([self.programs / "initdb", "-D", data, "-U", "kvmdash", "-A", "trust", "-E", "UTF8"], **run)
        options = f"-c listen_addresses=127.0.0.1 -p {self.postgresql_port} -c unix_socket_directories='' -c fsync=off"
        server = [self.programs / "postgres", "-D", data, *options.replace("''", "").split()]
        self._spawn(server, **self._unprivileged())
        ready = [self.programs / "pg_isready", "-h", "127.0.0.1", "-p", str(self.postgresql_port)]
        wait_until(lambda: subprocess.run(ready, capture_output=True, check=False).returncode == 0, 30, "PostgreSQL")
        for name in ("kvmdash", "metrics"):
            make = ["createdb", "-h", "127.0.0.1", "-p", str(self.postgresql_port), "-U", "kvmdash", name]
            subprocess.run([self.programs / make[0], *make[1:]], check=True)
        self.start_redis()

    def start_redis(self) -> None:
        """Start Redis (again)."""
        command = [
            self.redis,
            "--port",
            str(self.redis_port),
            "--bind",
            "127.0.0.1",
            "--save",
            "",
            "--appendonly",
            "no",
        ]
        self.redis_process = self._spawn([*command, "--dir", self.folder])
        import socket

        def answers() -> bool:
            try:
                socket.create_connection(("127.0.0.1", self.redis_port), timeout=1).close()
            except OSError:
                return False
            return True

        wait_until(answers, 20, "Redis")

    def stop_redis(self) -> None:
        """Take Redis away."""
        self.redis_process.kill()
        self.redis_process.wait()

    def _spawn(self, command: list[Any], **options: Any) -> subprocess.Popen[bytes]:
        log = (self.folder / "log").open("ab")
        child = subprocess.Popen(command, stdout=log, stderr=log, cwd="/tmp", start_new_session=True, **options)
        self.children.append(child)
        return child

    def stop(self) -> None:
        """End both and delete what they kept."""
        for child in self.children:
            if child.poll() is None:
                child.terminate()
                try:
                    child.wait(10)
                except subprocess.TimeoutExpired:
                    child.kill()
                    child.wait()
        shutil.rmtree(self.folder, ignore_errors=True)
