"""A move under way on real hosts when its source hangs, is cut off or loses power; and pages that follow a move made by virsh."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from conftest import wait_until
from kvmdash.tests.faults import ENDED
from kvmdash.tests.pages import LivePage, log_in
from kvmdash.tests.test_lab_cluster import begin_slow_move, hosts_running, other_host, slow_guest

__all__ = ["slow_guest"]
pytestmark = pytest.mark.lab

GUESTS = ("cache-1", "db-1", "web-1", "web-2")
#: what is done to the source, and how that is taken back
TROUBLE = {"frozen": ("freeze", "thaw"), "cut off": ("cut", "join"), "without power": ("unplug", "plug")}


@pytest.mark.parametrize("trouble", TROUBLE)
def test_a_move_whose_source_is_lost_in_the_middle_ends_as_the_hosts_say(
    program: Any, lab_cluster: Any, slow_guest: str, trouble: str
) -> None:
    source = program.vm(slow_guest)["host"]
    target = other_host(program, slow_guest)
    begin, undo = TROUBLE[trouble]
    identity = begin_slow_move(program, slow_guest, target)
    getattr(lab_cluster, begin)(source)
    try:
        wait_until(lambda: is_noticed(program.operation(identity)), 60, "the loss to be noticed")
    finally:
        getattr(lab_cluster, undo)(source)
    program.api(f"operations/{identity}/signal", {"name": "bandwidth", "arguments": {"bandwidth": 0}})
    ended = program.ended(identity, 150)
    wait_until(lambda: program.get(f"hosts/{source}")["state"] == "connected", 90, "the source to come back")
    where = hosts_running(lab_cluster, slow_guest)
    assert len(where) <= 1, f"it runs on {where}"
    if trouble == "without power":
        assert ended["state"] == "failed" and not where, ended
        assert f"shut off on {source}" in ended["error"]["message"]
        assert slow_guest not in lab_cluster.virsh(target, "list", "--name").split()
    else:
        assert where == {"succeeded": [target], "failed": [source]}[ended["state"]], ended
        assert where[0] in (ended["result"].get("host") or ended["error"]["message"]), ended
    wait_until(lambda: is_mirrored(program, slow_guest, where), 60, "the mirror to say so")
    # Those who come after it find the guests as the lab made them.
    for name in GUESTS:
        program.running(name)


@pytest.mark.parametrize("trouble", TROUBLE)
def test_a_move_whose_target_is_lost_in_the_middle_leaves_the_guest_running_in_one_place(
    program: Any, lab_cluster: Any, slow_guest: str, trouble: str
) -> None:
    source = program.vm(slow_guest)["host"]
    target = other_host(program, slow_guest)
    begin, undo = TROUBLE[trouble]
    identity = begin_slow_move(program, slow_guest, target)
    getattr(lab_cluster, begin)(target)
    try:
        wait_until(lambda: is_noticed(program.operation(identity)), 90, "the loss to be noticed")
        assert hosts_of(lab_cluster, slow_guest, (source,)) == [source], "a lost target must not take the guest along"
    finally:
        getattr(lab_cluster, undo)(target)
    program.api(f"operations/{identity}/signal", {"name": "bandwidth", "arguments": {"bandwidth": 0}})
    ended = program.ended(identity, 150)
    wait_until(lambda: program.get(f"hosts/{target}")["state"] == "connected", 90, "the target to come back")
    where = hosts_running(lab_cluster, slow_guest)
    assert where == {"succeeded": [target], "failed": [source]}[ended["state"]], ended
    assert where[0] in (ended["result"].get("host") or ended["error"]["message"]), ended
    wait_until(lambda: is_mirrored(program, slow_guest, where), 60, "the mirror to say so")
    for name in GUESTS:
        program.running(name)


def hosts_of(lab: Any, guest: str, hosts: tuple[str, ...]) -> list[str]:
    """Those of ``hosts`` on which the guest runs."""
    return [host for host in hosts if guest in lab.virsh(host, "list", "--name").split()]


def is_noticed(operation: dict[str, Any]) -> bool:
    return operation["state"] in ENDED or bool(operation["progress"].get("waiting_for"))


def is_mirrored(program: Any, guest: str, where: list[str]) -> bool:
    vm = program.vm(guest)
    return (vm["power_state"] == "running", vm["host"]) == (True, where[0]) if where else vm["power_state"] != "running"


def test_the_page_of_a_guest_that_virsh_moves_goes_with_it(program: Any, lab_cluster: Any) -> None:
    guest = program.running("db-1")
    vm = program.vm(guest)
    target = other_host(program, guest)
    peer = lab_cluster.facts["hosts"][target]["peer_uri"]
    key = f"vm-head:{vm['uuid']}"

    async def watch() -> None:
        async with LivePage(program, await asyncio.to_thread(log_in, program), key) as page:
            moving = asyncio.to_thread(
                lab_cluster.virsh,
                *(vm["host"], "migrate", guest, peer, "--live", "--p2p", "--persistent", "--undefinesource"),
            )
            moved = asyncio.ensure_future(moving)
            await page.until(lambda: f"/hosts/{target}/" in (page.shown.get(key) or ""), f"that it is on {target}", 60)
            await moved

    asyncio.run(watch())
