"""kvmdash as people run it: `manage.py up` in a process of its own, asked over HTTP."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from conftest import wait_until
from lab.testhosts import free_port

PROJECT = Path(__file__).resolve().parents[2]
PASSWORD = "a-password-of-the-tests"


class Ended(dict[str, Any]):
    """An operation that has ended. A test that expected another end shows the few words that tell why, not the first of many."""

    def __repr__(self) -> str:
        error = self["error"] or {}
        return f"{self['kind']} {self['state']}: {error.get('message', '')} {error.get('detail', '')} {self['result']}"


class Program:
    """Start it, ask it, kill it, start it again on the same data."""

    def __init__(self, **environment: str) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="kvmdash-program-"))
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("KVMDASH_")},
            "DJANGO_SETTINGS_MODULE": "kvmdash.settings",
            "KVMDASH_DATA_DIR": str(self.folder),
            "KVMDASH_ADMIN_PASSWORD": PASSWORD,
            "KVMDASH_LEASE_SECONDS": "5",
            **environment,
        }
        self.process: subprocess.Popen[bytes] | None = None
        self.token = ""

    def manage(self, *arguments: str) -> str:
        """Run a management command to its end; what it printed."""
        command = [sys.executable, "manage.py", *arguments]
        done = subprocess.run(
            command, cwd=PROJECT, env=self.environment, capture_output=True, text=True, timeout=120, check=False
        )
        assert done.returncode == 0, done.stderr[-2000:]
        return done.stdout.strip()

    def start(self) -> None:
        """Start it and wait until it answers; makes an administrator's token the first time."""
        log = (self.folder / "log").open("ab")
        command = [sys.executable, "manage.py", "up", "--port", str(self.port)]
        self.process = subprocess.Popen(
            command, cwd=PROJECT, env=self.environment, stdout=log, stderr=log, start_new_session=True
        )
        wait_until(self._answers, 60, "the dashboard to answer")
        if not self.token:
            self.make_token()

    def make_token(self) -> None:
        """Have a token of the first administrator, who must be there."""
        self.token = self.manage("token", "tests", "--user", "admin").splitlines()[-1]

    def twin(self) -> Program:
        """Another one with a copy of all that this one has kept; this one must not run."""
        assert self.process is None
        other = Program()
        shutil.copytree(self.folder, other.folder, dirs_exist_ok=True)
        other.token = self.token
        return other

    def _answers(self) -> bool:
        assert self.process is not None and self.process.poll() is None, self.log()[-3000:]
        try:
            urllib.request.urlopen(f"{self.url}/healthz", timeout=2).close()
        except OSError:
            return False
        return True

    def log(self) -> str:
        """What it wrote so far."""
        return (self.folder / "log").read_text(errors="replace")

    def kill(self) -> None:
        """kill -9, in the middle of whatever it does."""
        assert self.process is not None
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self) -> None:
        """End it in order."""
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.kill()

    def api(self, path: str, body: Any = None, *, token: str | None = None, method: str = "") -> Any:
        """GET, or POST when there is a body, unless ``method`` says otherwise; (status, answer)."""
        method = method or ("GET" if body is None else "POST")
        request = urllib.request.Request(f"{self.url}/api/v1/{path}", method=method)
        request.add_header("Authorization", f"Bearer {self.token if token is None else token}")
        if body is not None:
            request.add_header("Content-Type", "application/json")
            request.data = json.dumps(body).encode()
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return answer.status, json.loads(answer.read())
        except urllib.error.HTTPError as error:
            return error.code, json.loads(error.read() or b"{}")

    def get(self, path: str) -> Any:
        """A GET that must succeed."""
        status, answer = self.api(path)
        assert status == 200, answer
        return answer

    def vm(self, name: str) -> dict[str, Any]:
        """One guest by name."""
        return next(vm for vm in self.get(f"vms?q={name}&page_size=200")["items"] if vm["name"] == name)

    def ask(self, name: str, verb: str, /, **arguments: Any) -> str:
        """Ask for a change of a guest; the operation's id. Waits while another change of it is under way."""
        until = time.monotonic() + 30
        while True:
            status, answer = self.api(f"vms/{self.vm(name)['uuid']}/{verb}", arguments)
            if status == 202:
                return str(answer["id"])
            if status != 409 or time.monotonic() > until:
                pytest.fail(f"{verb} {name}: {status} {answer}")
            time.sleep(0.2)

    def refresh(self, place: str) -> None:
        """Have ``hosts/NAME`` or ``pools/HOST/NAME`` looked at again; waits while something else of it is under way."""

        def asked() -> str | None:
            status, answer = self.api(f"{place}/refresh", {})
            assert status in (202, 409), answer
            return str(answer["id"]) if status == 202 else None

        ended = self.ended(wait_until(asked, 60, f"{place} to be free"))
        assert ended["state"] == "succeeded", ended

    def running(self, name: str) -> str:
        """Make sure that the guest runs, whatever earlier tests did to it; its name."""
        wait_until(
            lambda: self.vm(name)["power_state"] in ("running", "shutoff", "paused"), 30, f"{name} to be settled"
        )
        verb = {"shutoff": "start", "paused": "resume"}.get(self.vm(name)["power_state"])
        if verb is not None:
            self.done(name, verb)
        wait_until(lambda: self.vm(name)["power_state"] == "running", 30, f"{name} to run")
        return name

    def operation(self, identity: str) -> dict[str, Any]:
        """An operation as it is now."""
        found: dict[str, Any] = self.get(f"operations/{identity}")
        return found

    def ended(self, identity: str, seconds: float = 90) -> dict[str, Any]:
        """The operation once it has ended."""

        def look() -> dict[str, Any] | None:
            operation = self.operation(identity)
            return operation if operation["state"] not in ("queued", "running") else None

        return Ended(wait_until(look, seconds, f"operation {identity} to end"))

    def do(self, name: str, verb: str, /, **arguments: Any) -> dict[str, Any]:
        """Ask and wait for the end."""
        return self.ended(self.ask(name, verb, **arguments))

    def done(self, name: str, verb: str, /, **arguments: Any) -> dict[str, Any]:
        """As :meth:`do`, of what must succeed."""
        ended = self.do(name, verb, **arguments)
        assert ended["state"] == "succeeded", ended
        return ended
