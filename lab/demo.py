"""`make demo`: a real cluster and the dashboard on it, taken down together.

With root and QEMU it is three lab hosts (tcp, tls, ssh); otherwise, or with HOSTS=test, libvirt's test driver.
"""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from lab.testhosts import TestHost, TestHostError

PROJECT = Path(__file__).resolve().parent.parent
GUEST = (
    "<domain type='test'><name>{name}</name><memory unit='MiB'>{memory}</memory><vcpu>{vcpus}</vcpu>"
    "<os><type>hvm</type></os></domain>"
)


def say(text: str) -> None:
    """Tell the person at the terminal what is being done."""
    print(f"demo: {text}", file=sys.stderr, flush=True)


def manage(*arguments: str, environment: dict[str, str]) -> None:
    """Run manage.py to its end; raises CalledProcessError."""
    subprocess.run(
        [sys.executable, "manage.py", *arguments], cwd=PROJECT, env=environment, check=True, stdout=subprocess.DEVNULL
    )


def can_run_lab() -> str:
    """'' when the lab can be brought up here, else why not."""
    if os.geteuid() != 0:
        return "not root"
    missing = [name for name in ("qemu-system-x86_64", "libvirtd", "ip") if shutil.which(name) is None]
    return f"{', '.join(missing)} not installed" if missing else ""


def bring_up_lab(environment: dict[str, str]) -> Callable[[], None]:
    """Three real hosts; returns what takes them down."""
    from lab import Lab

    say("bringing up three KVM hosts (network namespaces, a libvirtd and QEMU each)")
    lab = Lab("demo")
    try:
        lab.up(hosts=3, guests=6)
        manage("register_lab", str(lab.directory / "lab.json"), environment=environment)
    except BaseException:
        lab.down()
        raise
    return lab.down


def bring_up_test_hosts(environment: dict[str, str]) -> Callable[[], None]:
    """Two hosts of libvirt's test driver; returns what takes them down."""
    hosts: list[TestHost] = []

    def down() -> None:
        for host in hosts:
            host.remove()

    try:
        for number in (1, 2):
            host = TestHost.create(f"test{number}")
            hosts.append(host)
            host.start()
            _populate(host, number)
            manage("add_host", host.name, host.uri, environment=environment)
    except TestHostError as error:
        down()
        say(f"{error} The dashboard starts with libvirt's test driver inside it.")
        manage("add_host", "test", "test:///default", environment=environment)
    return down


def _populate(host: TestHost, number: int) -> None:
    for index in range(1, 9):
        text = GUEST.format(name=f"guest-{number}{index}", memory=256 * index, vcpus=1 + index % 4)
        file = host.folder / "guest.xml"
        file.write_text(text)
        command = ["virsh", "-q", "-c", host.uri, "define" if index % 3 else "create", str(file)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def serve(environment: dict[str, str]) -> int:
    """Run the dashboard until Ctrl-C."""
    command = [sys.executable, "manage.py", "up", "--host", os.environ.get("HOST", "127.0.0.1")]
    # A session of its own: Ctrl-C reaches us alone, and we pass on one signal, once.
    child = subprocess.Popen(
        [*command, "--port", os.environ.get("PORT", "8000")], cwd=PROJECT, env=environment, start_new_session=True
    )

    def stop(*_: object) -> None:
        child.terminate()

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, stop)
    status = child.wait()
    return 0 if status in (0, -signal.SIGTERM) else status


def main() -> int:
    """Bring up, serve, take down."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)
    wanted = os.environ.get("HOSTS", "lab")
    reason = can_run_lab() if wanted == "lab" else "asked for"
    folder = Path(tempfile.mkdtemp(prefix="kvmdash-demo-"))
    password = secrets.token_urlsafe(9)
    environment = os.environ | {
        "KVMDASH_DATA_DIR": str(folder),
        "KVMDASH_ADMIN_PASSWORD": password,
        "KVMDASH_SHOWN_PASSWORD": password,
        "KVMDASH_LOG_LEVEL": os.environ.get("KVMDASH_LOG_LEVEL", "WARNING"),
    }
    down: Callable[[], None] = lambda: None  # noqa: E731
    try:
        say("preparing the database")
        manage("migrate_all", environment=environment)
        if reason:
            say(f"libvirt's test driver instead of real hosts ({reason}): no consoles, no migration")
        down = bring_up_test_hosts(environment) if reason else bring_up_lab(environment)
        say("starting the dashboard; Ctrl-C takes everything down")
        return serve(environment)
    except KeyboardInterrupt:
        return 130
    finally:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        say("taking it down")
        down()
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
