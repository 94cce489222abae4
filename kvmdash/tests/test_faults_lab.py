"""A move under way on real hosts when one hangs, is cut off, restarts or loses power; pages that follow a move made by virsh."""

from __future__ import annotations

import asyncio
import uuid
from typing import Any

import pytest
from lxml import etree

from conftest import wait_until
from kvmdash.tests.faults import ENDED
from kvmdash.tests.pages import LivePage, log_in
from kvmdash.tests.test_lab_cluster import begin_slow_move, hosts_running, other_host, slow_guest
from kvmdash.tests.test_lab_move_ways import uptime
from lab import LabError

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


#: what is done to a host (of the two, which), and how that is taken back
FAULTS = {
    "target frozen": ("target", "freeze", "thaw"),
    "target cut off": ("target", "cut", "join"),
    "target without power": ("target", "unplug", "plug"),
    "source's libvirtd killed": ("source", "kill", "restart"),
}
#: per cent of its memory that has been sent, or the last pause, in which the guest runs nowhere
MOMENTS = (10, 50, 90, "last pause")


@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_at_any_moment_of_a_move_leaves_the_guest_running_on_in_one_place(
    program: Any, lab_cluster: Any, slow_guest: str, fault: str, moment: int | str
) -> None:
    wait_until(lambda: program.vm(slow_guest)["agent_connected"], 90, "it to have booted")
    booted = uptime(lab_cluster, slow_guest)
    source, target = program.vm(slow_guest)["host"], other_host(program, slow_guest)
    end, begin, undo = FAULTS[fault]
    victim = {"source": source, "target": target}[end]
    identity = moved_until(program, lab_cluster, (slow_guest, source, target), moment)
    getattr(lab_cluster, begin)(victim)
    try:
        wait_until(lambda: is_noticed(program.operation(identity)), 90, "the fault to be noticed")
        if end == "target":
            assert is_held(lab_cluster, source, slow_guest), "a lost target must not take the guest along"
    finally:
        getattr(lab_cluster, undo)(victim)
        lab_cluster.unthrottle(target)
    program.api(f"operations/{identity}/signal", {"name": "bandwidth", "arguments": {"bandwidth": 0}})
    ended = program.ended(identity, 150)
    for host in (source, target):
        wait_until(lambda: program.get(f"hosts/{host}")["state"] == "connected", 90, f"{host} to come back")  # noqa: B023
    if ended["state"] == "unknown":
        # A target that wakes up after its source went on may find the order to let its copy run, and obey.
        assert fault == "target frozen", ended
        choose_between(program, lab_cluster, slow_guest, (source, target), ended)
        return
    where = hosts_running(lab_cluster, slow_guest)
    assert where == {"succeeded": [target], "failed": [source]}[ended["state"]], ended
    assert where[0] in (ended["result"].get("host") or ended["error"]["message"]), ended
    other = target if where == [source] else source
    assert slow_guest not in lab_cluster.virsh(other, "list", "--all", "--name").split()
    assert lab_cluster.state(where[0], slow_guest) == "running"
    wait_until(
        lambda: uptime(lab_cluster, slow_guest) > booted, 30, "the same guest to answer, not one that booted anew"
    )
    wait_until(lambda: is_mirrored(program, slow_guest, where), 60, "the mirror to say so")
    for name in GUESTS:
        program.running(name)


def choose_between(program: Any, lab: Any, guest: str, ends: tuple[str, str], ended: dict[str, Any]) -> None:
    """Two copies were told of, and one of them stands still; the other is chosen, on the page that shows both."""
    source, target = ends
    assert source in ended["error"]["message"] and target in ended["error"]["message"], ended
    assert (lab.state(source, guest), lab.state(target, guest)) == ("running", "paused")
    wait_until(lambda: program.get(f"hosts/{target}")["state"] == "connected", 90, "the target to come back")
    path = f"vms/{program.vm(guest)['uuid']}/destroy?on={target}"
    status, answer = wait_until(lambda: (got := program.api(path, {}))[0] == 202 and got, 60, "the copy to be seen")
    assert program.ended(answer["id"])["state"] == "succeeded", status
    assert hosts_running(lab, guest) == [source]
    if guest in lab.virsh(target, "list", "--all", "--name").split():
        lab.virsh(target, "undefine", guest)
    wait_until(lambda: is_mirrored(program, guest, [source]), 60, "the mirror to say so")


@pytest.mark.parametrize("moment", ["while it is written", "before it is read", "while it is read"])
def test_kvmdash_killed_in_a_move_by_saved_memory_finishes_it_when_it_is_back(
    program: Any, lab_cluster: Any, slow_guest: str, moment: str
) -> None:
    wait_until(lambda: program.vm(slow_guest)["agent_connected"], 90, "it to have booted")
    booted = uptime(lab_cluster, slow_guest)
    source, target = program.vm(slow_guest)["host"], other_host(program, slow_guest)
    lab_cluster.slow(source, 5)
    try:
        identity = program.ask(slow_guest, "migrate", host=target, mode="saved", state_pool="shared")
        said = lambda host: lab_cluster.virsh(host, "domstate", slow_guest, "--reason")  # noqa: E731
        wait_until(lambda: "saving" in said(source), 60, "its memory to be written")
        if moment == "while it is written":
            assert send(lab_cluster, source, slow_guest, "STOP"), "QEMU is held while it writes"
        elif moment == "before it is read":
            lab_cluster.freeze(target)
        elif moment == "while it is read":
            lab_cluster.slow(target, 15)
        if moment != "while it is written":
            lab_cluster.unslow(source)
            wait_until(lambda: "saved" in said(source), 60, "it to have been written")
        if moment == "while it is read":
            wait_until(lambda: is_held(lab_cluster, target, slow_guest), 60, "the target to read it")
        program.kill()
        if moment == "while it is written":
            assert "saving" in said(source)
        elif moment == "while it is read":
            assert "paused" in said(target)
    finally:
        send(lab_cluster, source, slow_guest, "CONT")
        lab_cluster.thaw(target)
        for host in (source, target):
            lab_cluster.unslow(host)
    program.start()
    ended = program.ended(identity, 150)
    assert ended["state"] == "succeeded" and ended["result"]["host"] == target, ended
    assert hosts_running(lab_cluster, slow_guest) == [target] and lab_cluster.state(target, slow_guest) == "running"
    assert slow_guest not in lab_cluster.virsh(source, "list", "--all", "--name").split()
    wait_until(
        lambda: uptime(lab_cluster, slow_guest) > booted, 30, "the same guest to answer, not one that booted anew"
    )
    for host in (source, target):
        lab_cluster.virsh(host, "pool-refresh", "shared")
        assert "kvmdash-state" not in lab_cluster.virsh(host, "vol-list", "shared")
    wait_until(lambda: is_mirrored(program, slow_guest, [target]), 60, "the mirror to say so")


def send(lab: Any, host: str, guest: str, name: str) -> bool:
    """Send the guest's QEMU a signal; whether it was there."""
    told = lab.execute(host, ["sh", "-c", f"kill -{name} $(cat /run/libvirt/qemu/{guest}.pid)"])
    return bool(told.returncode == 0)


def moved_until(program: Any, lab: Any, move: tuple[str, str, str], moment: int | str) -> str:
    """Begin to move (guest, source, target), and hold the move at that moment; its operation's id."""
    guest, source, target = move
    if moment == "last pause":
        # The last pause sends as fast as the cable lets it, whatever was asked.
        lab.throttle(target, "48mbit")
    identity = str(program.ask(guest, "migrate", host=target, bandwidth=0 if moment == "last pause" else 16))
    if moment == "last pause":
        wait_until(lambda: percent(program, identity) > 0, 60, "memory to be sent")
        signal(program, identity, "downtime", max_downtime=60_000)
        words = lambda: lab.virsh(source, "domstate", guest, "--reason")  # noqa: E731
        wait_until(lambda: "paused (migrating)" in words(), 60, "the last pause")
        return identity
    assert isinstance(moment, int)
    if moment > 20:
        # It is slowed down early: where kvmdash is kept from its processor, a fast one has ended before it was seen to be so far.
        wait_until(lambda: percent(program, identity) >= moment / 2, 60, "half of that to be sent")
        signal(program, identity, "bandwidth", bandwidth=4)
        wait_until(lambda: percent(program, identity) >= moment - 15, 60, "most of it to be sent")
        signal(program, identity, "bandwidth", bandwidth=2)
    wait_until(lambda: percent(program, identity) >= moment, 60, f"{moment} % to be sent")
    signal(program, identity, "bandwidth", bandwidth=1)
    return identity


def percent(program: Any, identity: str) -> float:
    operation = program.operation(identity)
    assert operation["state"] not in ENDED, operation
    return float(operation["progress"].get("percent") or 0)


def signal(program: Any, identity: str, name: str, **arguments: int) -> None:
    status, answer = program.api(f"operations/{identity}/signal", {"name": name, "arguments": arguments})
    assert status == 202, answer


def is_held(lab: Any, host: str, guest: str) -> bool:
    """Whether that host has it, running or standing still."""
    return guest in lab.virsh(host, "list", "--name").split()


def is_noticed(operation: dict[str, Any]) -> bool:
    progress = operation["progress"]
    return operation["state"] in ENDED or bool(progress.get("waiting_for") or progress.get("still"))


def is_mirrored(program: Any, guest: str, where: list[str]) -> bool:
    vm = program.vm(guest)
    return (vm["power_state"] == "running", vm["host"]) == (True, where[0]) if where else vm["power_state"] != "running"


def test_the_same_guest_started_by_virsh_on_the_target_meanwhile_does_not_run_twice(
    program: Any, lab_cluster: Any, slow_guest: str, tmp_path: Any
) -> None:
    guest = program.running("web-1")
    source, target = program.vm(guest)["host"], other_host(program, guest)
    identity = program.ask(guest, "migrate", host=target, bandwidth=1, unsafe=True)
    wait_until(lambda: (program.operation(identity)["progress"].get("percent") or 0) > 0, 60, "memory to be sent")
    with pytest.raises(LabError, match="already"):
        lab_cluster.virsh(target, "start", guest)
    # One of that name that is another guest, and another guest on the same disk: neither gets in its way.
    twin = etree.fromstring(lab_cluster.virsh(source, "dumpxml", guest, "--inactive"))
    twin.find("uuid").text = str(uuid.uuid4())
    with pytest.raises(LabError, match="already"):
        lab_cluster.virsh(target, "define", written(tmp_path, twin))
    twin.find("name").text = "twin"
    lab_cluster.virsh(target, "define", written(tmp_path, twin))
    try:
        with pytest.raises(LabError, match="lock"):
            lab_cluster.virsh(target, "start", "twin")
        program.api(f"operations/{identity}/signal", {"name": "bandwidth", "arguments": {"bandwidth": 0}})
        ended = program.ended(identity)
        assert ended["state"] == "succeeded", ended
        assert hosts_running(lab_cluster, guest) == [target]
        with pytest.raises(LabError, match="lock"):
            lab_cluster.virsh(target, "start", "twin")
    finally:
        lab_cluster.virsh(target, "undefine", "twin")
    wait_until(lambda: is_mirrored(program, guest, [target]), 60, "the mirror to say so")


def written(folder: Any, domain: Any) -> str:
    """A file with the definition, for virsh."""
    file = folder / "domain.xml"
    file.write_bytes(etree.tostring(domain))
    return str(file)


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
