"""A small cluster of rows, and API clients for every role."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from django.core.cache import cache

from conftest import wait_until
from kvmdash.tests.cluster import ApiClient, make_cluster
from kvmdash.tests.program import Program


@pytest.fixture
def cluster(db: None) -> dict[str, Any]:
    """Hosts and guests by name; the cache is empty."""
    cache.clear()
    return make_cluster()


@pytest.fixture
def api(people: dict[str, Any], cluster: dict[str, Any]) -> dict[str, ApiClient]:
    """An API client for each role, and 'stranger' without a token."""
    return {role: ApiClient(user) for role, user in people.items()} | {"stranger": ApiClient()}


@pytest.fixture(scope="session")
def before_the_first_start(lab_cluster: Any) -> Iterator[Program]:
    """kvmdash as it was set up for the lab, which takes longer than starting it."""
    made = Program()
    made.manage("migrate_all")
    made.manage("register_lab", str(lab_cluster.directory / "lab.json"))
    made.manage("administrator", "admin")
    made.make_token()
    yield made
    shutil.rmtree(made.folder, ignore_errors=True)


@pytest.fixture(scope="module")
def program(before_the_first_start: Program) -> Iterator[Program]:
    """kvmdash running on the lab."""
    running = before_the_first_start.twin()
    running.start()

    def connected() -> bool:
        hosts = running.get("hosts")
        return all(host["state"] == "connected" for host in (hosts["items"] if isinstance(hosts, dict) else hosts))

    wait_until(connected, 60, "the lab's hosts to be connected")
    wait_until(lambda: "console gateway listens" in running.log(), 60, "the console gateway to listen")
    yield running
    running.stop()
    if "Traceback" in running.log():
        sys.stderr.write(running.log()[-6000:])
    shutil.rmtree(running.folder, ignore_errors=True)
