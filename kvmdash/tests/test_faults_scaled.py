"""The roles as processes of their own: killed in the middle of everything, Redis away, the database's clock put about."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from conftest import wait_until
from kvmdash.tests.clock import Clock
from kvmdash.tests.faults import HASTY, KINDS, REPEATABLE, TRIALS, Outcome, Stands
from kvmdash.tests.pages import LivePage, log_in
from kvmdash.tests.services import Services
from kvmdash.tests.test_scaled import Scaled
from lab.testhosts import libvirtd_path

pytestmark = pytest.mark.services

HOURS = 5
LEASE_SECONDS = 3


class ClockedServices(Services):
    """A PostgreSQL that goes by a clock of the test's."""

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self.clock = clock

    def _unprivileged(self) -> dict[str, Any]:
        return super()._unprivileged() | {"env": os.environ | self.clock.environment}


class Roles(Scaled):
    """Processes that come and go as a test wants it."""

    def __init__(self, services: Services, **environment: str) -> None:
        super().__init__(services)
        self.environment |= environment

    def start(self) -> None:
        self.manage("migrate_all")
        create = "User.objects.create_user('admin', password='x', role='administrator')"
        self.manage("shell", "-c", f"from hosts.models import User; {create}")
        for role in ("web", "inventory-1", "operations-1"):
            self.begin(role)
        wait_until(self._answers, 60, "the web role to answer")
        self.token = self.manage("token", "tests", "--user", "admin").splitlines()[-1]

    def begin(self, role: str) -> None:
        """Start the process of that name."""
        command = ["web", "--port", str(self.port)] if role == "web" else [role.partition("-")[0]]
        self.start_role(role, command)
        if role == "web":
            self.process = self.roles["web"]

    def holders(self) -> list[list[str]]:
        """Which process holds which host in which role."""
        code = (
            "from hosts.models import Lease; import json;"
            "print(json.dumps(sorted(Lease.objects.values_list('role', 'host__name', 'owner'))))"
        )
        held: list[list[str]] = json.loads(self.manage("shell", "-v0", "-c", code).splitlines()[-1])
        return held

    def end(self, *roles: str) -> None:
        """kill -9, all at once."""
        for role in roles:
            self.roles[role].send_signal(signal.SIGKILL)
        for role in roles:
            self.roles[role].wait()


@pytest.fixture(scope="module")
def clock() -> Iterator[Clock]:
    # Not pytest's own folder: PostgreSQL runs as somebody who may not read that.
    folder = Path(tempfile.mkdtemp(prefix="kvmdash-clock-"))
    yield Clock(folder)
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def services(clock: Clock) -> Iterator[Services]:
    running = ClockedServices(clock)
    running.start()
    yield running
    running.stop()


@pytest.fixture(scope="module")
def stands(services: Services) -> Iterator[Stands]:
    if libvirtd_path() is None:
        pytest.skip("libvirtd is not installed")
    program = Roles(services, **HASTY)
    made = Stands(program)
    try:
        program.start()
        made.start()
        yield made
    finally:
        program.stop()
        made.remove()
    if "Traceback" in program.log():
        sys.stderr.write(program.log()[-6000:])
    shutil.rmtree(program.folder, ignore_errors=True)


@pytest.fixture(scope="module")
def killed(stands: Stands) -> dict[str, Outcome]:
    """One process of each role is killed when it has all changes under way; others take over from what the database says."""
    program = stands.program
    stands.prepare()
    for stand in stands.all.values():
        stand.wire.arm("after")
    stands.ask()
    # More at a time than the process may have connections to the database.
    stands.wait_for_all(
        lambda stand, record: stand.wire.changed.is_set() or stand.cannot_be_hit(record), "the changes to be under way"
    )
    for role in ("inventory-2", "operations-2"):
        program.begin(role)
    program.end("web", "inventory-1", "operations-1")
    stands.mend()
    program.begin("web")
    wait_until(program._answers, 60, "the web role to answer")
    return stands.outcomes()


@pytest.mark.parametrize("kind", KINDS)
def test_another_process_tells_truly_how_it_ended(killed: dict[str, Outcome], kind: str) -> None:
    outcome = killed[kind]
    outcome.check_truth()
    if kind in REPEATABLE or not outcome.delivered:
        return
    assert len(outcome.delivered) <= TRIALS[kind].calls, f"it was run again blindly: {outcome.delivered}"
    assert len(set(outcome.delivered)) == len(outcome.delivered), f"it was run again blindly: {outcome.delivered}"
    assert outcome.state in ("succeeded", "unknown"), outcome.record
    if outcome.done is not None and TRIALS[kind].told:
        assert outcome.done and outcome.state == "succeeded", outcome.record


def begin_start(stands: Stands, moment: str = "hold") -> None:
    """A start that waits in the cable, or (``after``) whose answer does."""
    stands.prepare("start")
    stands.all["start"].wire.arm(moment)
    stands.ask_one("start")
    wait_until(stands.all["start"].wire.changed.is_set, 30, "libvirt to be asked")


def test_redis_goes_and_comes_back_in_the_middle_and_the_page_misses_nothing(
    killed: dict[str, Outcome], stands: Stands, services: Services
) -> None:
    program, stand = stands.program, stands.all["start"]
    begin_start(stands)
    key = f"vm-head:{stand.identity}"

    async def watch() -> None:
        async with LivePage(program, await asyncio.to_thread(log_in, program), key) as page:
            await asyncio.to_thread(services.stop_redis)
            stand.wire.release()
            ended = await asyncio.to_thread(program.ended, stands.asked["start"])
            assert ended["state"] == "succeeded", ended
            await asyncio.to_thread(wait_until, lambda: program.vm("start")["power_state"] == "running", 30)
            assert "running" not in (page.shown.get(key) or "")
            await asyncio.to_thread(services.start_redis)
            # Nothing happens any more: only that messages were lost makes the page look again.
            await page.until(lambda: "running" in (page.shown.get(key) or ""), "what happened while Redis was away")

    asyncio.run(watch())


def is_shared(program: Roles) -> bool:
    """Whether two processes of each role hold as many hosts each, or one more."""
    for role in ("inventory", "operations"):
        owners = [owner for named, _host, owner in program.holders() if named == role]
        shares = sorted(owners.count(owner) for owner in set(owners))
        if len(shares) != 2 or shares[1] - shares[0] > 1 or "" in owners:
            return False
    return True


def test_no_lease_is_stolen_and_no_operation_taken_for_dead_when_the_databases_clock_jumps(
    killed: dict[str, Outcome], stands: Stands, clock: Clock
) -> None:
    program = stands.program
    for role in ("inventory-3", "operations-3"):
        program.begin(role)
    wait_until(lambda: is_shared(program), 60, "two processes of each role to share the hosts")
    begin_start(stands)
    since, before = len(program.log()), program.holders()
    for hours in (HOURS, 0):
        clock.set(hours)
        until = time.monotonic() + 2.5 * LEASE_SECONDS
        while time.monotonic() < until:
            assert program.holders() == before, f"stolen at {hours:+d} h"
            time.sleep(1)
    later = program.log()[since:]
    assert "no leases are taken over for a while" in later and "recovering" not in later
    stands.all["start"].wire.release()
    assert program.ended(stands.asked["start"])["state"] == "succeeded"


def test_what_a_process_held_by_a_clock_that_was_ahead_is_taken_over_all_the_same(
    killed: dict[str, Outcome], stands: Stands, clock: Clock
) -> None:
    program = stands.program
    clock.set(HOURS)
    begin_start(stands, "after")
    holder = next(owner for role, host, owner in program.holders() if (role, host) == ("operations", "start"))
    name = next(role for role, process in program.roles.items() if f":{process.pid}:" in holder)
    program.end(name)
    clock.set(0)
    stands.mend()
    ended = program.ended(stands.asked["start"], 60)
    assert ended["state"] == "succeeded" and ended["result"]["recovered"], ended
