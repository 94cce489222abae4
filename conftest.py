"""What all tests share: test-driver hosts, the lab, a browser, a running kvmdash."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from lab.testhosts import TestHost, libvirtd_path

#: seconds between two looks: the first, by how much each is longer, and the longest; looking must not keep busy what is looked at
FIRST_LOOK, LONGER, LONGEST_LOOK = 0.02, 1.2, 0.15


def wait_until(
    condition: Callable[[], Any],
    seconds: float = 20.0,
    what: str | Callable[[], Any] = "",
    longest: float = LONGEST_LOOK,
) -> Any:
    """Look until ``condition`` is true and return its value; ``longest`` seconds between two looks: less where the moment counts.

    Fails after ``seconds``, saying ``what`` was awaited: words, or a function that tells what there is instead.
    """
    until, pause = time.monotonic() + seconds, FIRST_LOOK
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > until:
            words = what() if callable(what) else what or getattr(condition, "__name__", condition)
            pytest.fail(f"not within {seconds:g} s: {words}")
        time.sleep(pause)
        pause = min(LONGER * pause, longest)


@pytest.fixture
def eventually() -> Callable[..., Any]:
    """:func:`wait_until` for tests."""
    return wait_until


@pytest.fixture(scope="session")
def test_host() -> Iterator[TestHost]:
    """One libvirtd serving the test driver over TCP."""
    if libvirtd_path() is None:
        pytest.skip("libvirtd is not installed")
    host = TestHost.create("shared")
    host.start()
    yield host
    host.remove()


@pytest.fixture
def make_test_host() -> Iterator[Callable[[], TestHost]]:
    """Makes test-driver hosts of the test's own, to be killed and frozen."""
    if libvirtd_path() is None:
        pytest.skip("libvirtd is not installed")
    made: list[TestHost] = []

    def make() -> TestHost:
        host = TestHost.create(f"own{len(made)}")
        made.append(host)
        host.start()
        return host

    yield make
    for host in made:
        host.remove()


@pytest.fixture(scope="session")
def lab_cluster() -> Iterator[Any]:
    """Three real hosts, brought up once for all tests that need them."""
    if os.geteuid() != 0 or shutil.which("qemu-system-x86_64") is None or libvirtd_path() is None:
        pytest.skip("the lab needs root, QEMU and libvirtd")
    from lab import Lab

    lab = Lab(f"test{os.getpid() % 10000}")
    lab.up(hosts=3, guests=6)
    yield lab
    lab.down()


@pytest.fixture
def people(db: None) -> dict[str, Any]:
    """One user of each role, and one viewer who may watch consoles."""
    from hosts.models import User

    return {
        role: User.objects.create_user(
            role,
            password="quite-long-enough",
            role=role.partition("-")[0],
            may_watch_consoles=role.endswith("-watching"),
        )
        for role in ("administrator", "operator", "viewer", "viewer-watching")
    }


@pytest.fixture
def roles(transactional_db: None) -> Iterator[Any]:
    """The inventory and operations roles running on threads of this process, as in `manage.py up`."""
    from hosts import notify
    from hosts.hypervisor.connection import start_event_loop
    from hosts.operations.runner import Runner
    from hosts.supervisor import Supervisor

    start_event_loop()
    notify.bus.start_thread()
    supervisor, runner = Supervisor(), Runner()
    supervisor.start()
    runner.start()
    yield supervisor, runner
    supervisor.stop()
    runner.stop()
    wait_until(lambda: not _busy_threads(), 15, "the roles' threads to end")


def _busy_threads() -> list[str]:
    import threading

    busy = ("watch-", "figures-", "storage-", "abilities-", "operation_", "operations", "supervisor")
    names = [thread.name for thread in threading.enumerate() if thread.is_alive()]
    # Idle threads of the operations pool are nobody's business.
    return [name for name in names if name.startswith(busy) and not name.startswith("operation_")]
