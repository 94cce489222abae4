"""`manage.py up`: the whole of kvmdash as one supervised program on SQLite."""

from __future__ import annotations

import os
import secrets
import signal
import socket
import subprocess
import sys
import threading
from typing import Any

from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError, CommandParser


class Command(BaseCommand):
    """Migrates, makes the first administrator, and runs every role."""

    help = "Run everything in one program: web, inventory, operations, and the console gateway as its child."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--host", default="127.0.0.1")
        parser.add_argument("--port", type=int, default=8000)

    def handle(self, *args: Any, **options: Any) -> None:
        from kvmdash.roles import AlreadyRunning, hold_data_folder

        try:
            lock = hold_data_folder()
        except AlreadyRunning as error:
            raise CommandError(str(error)) from error
        call_command("migrate_all")
        password = first_administrator()
        os.environ["KVMDASH_EMBEDDED"] = "1"
        # uvicorn ends in order and then sends itself the signal again: left to its default it would end us before our child.
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
        gateway = Gateway()
        gateway.start()
        try:
            self._announce(options["host"], options["port"], password)
            self._serve(options["host"], options["port"])
        finally:
            gateway.stop()
            lock.close()

    def _announce(self, host: str, port: int, password: str) -> None:
        threading.Thread(target=announce, args=(host, port, password), daemon=True).start()

    def _serve(self, host: str, port: int) -> None:
        from kvmdash.server import serve

        serve(host, port)


def first_administrator() -> str:
    """Make ``admin`` when there is nobody yet. Returns what to say of its password, '' when there was somebody.

    A password that was given is not repeated, and in production one that was made up goes to a file: what is printed is kept
    in a journal.
    """
    from django.conf import settings

    from hosts.models import User

    if User.objects.exists():
        return ""
    given = os.environ.get("KVMDASH_ADMIN_PASSWORD", "")
    password = given or secrets.token_urlsafe(12)
    User.objects.create_user("admin", password=password, role=User.Role.ADMINISTRATOR)
    if given:
        return "(as given)"
    if settings.MODE != "production":
        return password
    file = settings.DATA_DIR / "first-password"
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as handle:
        handle.write(f"{password}\n")
    return f"(in {file}, delete it)"


def announce(host: str, port: int, password: str) -> None:
    """Print the one line that says where it is, once the port answers."""
    shown = "127.0.0.1" if host in ("0.0.0.0", "::") else host  # noqa: S104
    wait = threading.Event()
    for _attempt in range(600):
        try:
            socket.create_connection((shown, port), timeout=1).close()
            break
        except OSError:
            wait.wait(0.1)
    secret = os.environ.get("KVMDASH_SHOWN_PASSWORD") or password or "(as before)"
    print(f"kvmdash ready: http://{shown}:{port} user admin password {secret}", flush=True)


class Gateway:
    """The console gateway as a child: started again when it dies; on a free port unless one is named."""

    def __init__(self) -> None:
        self._stopping = threading.Event()
        self._child: subprocess.Popen[bytes] | None = None
        os.environ["KVMDASH_CONSOLE_GATEWAY"] = os.environ.get("KVMDASH_CONSOLE_GATEWAY") or f"127.0.0.1:{free_port()}"
        from django.conf import settings

        settings.CONSOLE_GATEWAY = os.environ["KVMDASH_CONSOLE_GATEWAY"]

    def start(self) -> None:
        """Keep one running."""
        threading.Thread(target=self._keep, name="console-gateway", daemon=True).start()

    def _keep(self) -> None:
        ours = ("KVMDASH_EMBEDDED", "NOTIFY_SOCKET")
        environment = {key: value for key, value in os.environ.items() if key not in ours}
        # Killed without a word, we must not leave the gateway behind: it looks whether its parent is still this one.
        environment["KVMDASH_PARENT"] = str(os.getpid())
        while not self._stopping.is_set():
            self._child = subprocess.Popen(
                [sys.executable, "manage.py", "consoles"], env=environment, cwd=_project(), start_new_session=True
            )
            self._child.wait()
            self._stopping.wait(1.0)

    def stop(self) -> None:
        """End it."""
        self._stopping.set()
        if self._child is not None and self._child.poll() is None:
            self._child.terminate()
            try:
                self._child.wait(5)
            except subprocess.TimeoutExpired:
                self._child.kill()


def _project() -> str:
    from django.conf import settings

    return str(settings.BASE_DIR)


def free_port() -> int:
    """A free TCP port on loopback."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
