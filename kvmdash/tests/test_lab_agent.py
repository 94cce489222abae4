"""The guest agent of a real guest: what it tells, passwords, and file systems that never stand still for longer than was asked."""

from __future__ import annotations

from typing import Any

import pytest

from conftest import wait_until
from kvmdash.tests.test_lab_disks import holder, output_of

pytestmark = pytest.mark.lab
GUEST = "web-2"


@pytest.fixture
def guest(program: Any) -> str:
    """A running guest whose agent answers."""
    program.running(GUEST)
    wait_until(lambda: program.vm(GUEST)["agent_connected"], 60, "the agent to answer")
    return GUEST


def agent(lab: Any, guest: str, command: str) -> str:
    """What virsh says when the agent is asked for it."""
    return str(lab.virsh(holder(lab, guest), "qemu-agent-command", guest, f'{{"execute": "{command}"}}'))


def test_the_agent_tells_system_file_systems_and_addresses(program, lab_cluster, guest) -> None:
    asked = program.do(guest, "guest-info")
    assert asked["state"] == "succeeded", asked
    told = asked["result"]["told"]
    assert told["os"] == "Lab guest 1" and told["hostname"] == guest and told["kernel"]
    data = told["filesystems"][0]
    assert data["mountpoint"] == "/data" and data["type"] == "ext4" and 0 < data["used"] < data["total"]
    mac = next(nic["mac"] for nic in program.get(f"vms/{program.vm(guest)['uuid']}")["nics"])
    wait_until(lambda: is_addressed(program, guest, mac), 60, "the guest to have its address")


def is_addressed(program: Any, guest: str, mac: str) -> bool:
    told = program.do(guest, "guest-info")["result"]["told"]
    return any(one["mac"] == mac and one["addresses"] for one in told["interfaces"])


def test_a_password_reaches_the_guest_and_stands_nowhere_else(program, lab_cluster, guest) -> None:
    secret = "s3cret-of-the-guest"
    done = program.do(guest, "set-user-password", user="root", password=secret)
    assert done["state"] == "succeeded", (done["error"], done["log"])
    assert output_of(lab_cluster, guest, "/bin/cat", "/run/chpasswd") == f"root:{secret}\n"
    assert secret not in str(done) and secret not in program.log()
    assert secret.encode() not in (program.folder / "kvmdash.sqlite3").read_bytes()


def test_file_systems_stand_still_until_the_operation_is_stopped(program, lab_cluster, guest) -> None:
    identity = program.ask(guest, "fs-freeze", seconds=300)
    wait_until(
        lambda: "frozen" in agent(lab_cluster, guest, "guest-fsfreeze-status"), 30, "the file systems to stand still"
    )
    status, answer = program.api(f"operations/{identity}/cancel", {})
    assert status in (200, 202), answer
    ended = program.ended(identity)
    assert ended["state"] == "succeeded" and ended["result"]["frozen"] == 1, ended
    assert "thawed" in agent(lab_cluster, guest, "guest-fsfreeze-status")


def test_file_systems_go_on_when_the_program_that_froze_them_was_killed(program, lab_cluster, guest) -> None:
    identity = program.ask(guest, "fs-freeze", seconds=300)
    wait_until(lambda: program.operation(identity)["progress"].get("frozen"), 30, "the file systems to stand still")
    program.kill()
    assert "frozen" in agent(lab_cluster, guest, "guest-fsfreeze-status")
    program.start()
    ended = program.ended(identity, 60)
    assert ended["state"] == "succeeded" and ended["result"]["recovered"], ended
    assert "thawed" in agent(lab_cluster, guest, "guest-fsfreeze-status")


def test_file_systems_go_on_at_once_when_the_program_is_stopped_in_order(program, lab_cluster, guest) -> None:
    identity = program.ask(guest, "fs-freeze", seconds=300)
    wait_until(lambda: program.operation(identity)["progress"].get("frozen"), 30, "the file systems to stand still")
    program.stop()
    try:
        assert "thawed" in agent(lab_cluster, guest, "guest-fsfreeze-status")
    finally:
        program.start()
    assert program.ended(identity, 60)["result"]["recovered"]


def test_file_systems_that_somebody_else_froze_can_be_thawed_and_trimmed(program, lab_cluster, guest) -> None:
    lab_cluster.virsh(holder(lab_cluster, guest), "domfsfreeze", guest)
    thawed = program.do(guest, "fs-thaw")
    assert thawed["state"] == "succeeded" and thawed["result"]["thawed"] == 1, thawed
    program.done(guest, "fs-trim")


def test_a_guest_that_is_off_has_no_agent_to_ask(program, lab_cluster) -> None:
    status, problem = program.api(f"vms/{program.vm('build-1')['uuid']}/guest-info", {})
    assert status == 409 and "running" in problem["detail"], problem
