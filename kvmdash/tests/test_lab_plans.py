"""A host is emptied for maintenance and its guests are brought back, on real hosts, and through the death of kvmdash in between."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from lxml import etree

from conftest import wait_until
from kvmdash.tests.test_lab_cluster import hosts_running

pytestmark = [pytest.mark.lab, pytest.mark.timeout(600)]
HOW_MANY = 4
SHARED = "<shmem name='crowd' role='peer'><model type='ivshmem-plain'/><size unit='M'>1</size></shmem>"


@pytest.fixture
def crowd(program: Any, lab_cluster: Any) -> Iterator[tuple[str, list[str], str]]:
    """A host with several small guests that can move and one that cannot: (host, those that can, the one that cannot)."""
    host = program.vm("cache-1")["host"]
    plain = lab_cluster.virsh(host, "dumpxml", "cache-1", "--inactive")
    names = [f"crowd-{uuid.uuid4().hex[:6]}" for _ in range(HOW_MANY + 1)]
    for number, name in enumerate(names):
        domain = etree.fromstring(plain)
        domain.find("name").text, domain.find("uuid").text = name, str(uuid.uuid4())
        for element in domain.findall("memory") + domain.findall("currentMemory"):
            element.text, element.attrib["unit"] = "64", "MiB"
        for nic in domain.findall("devices/interface"):
            nic.remove(nic.find("mac"))
        if number == HOW_MANY:
            domain.find("devices").append(etree.fromstring(SHARED))
        file = lab_cluster.host(host).directory / f"{name}.xml"
        file.write_bytes(etree.tostring(domain))
        lab_cluster.virsh(host, "define", str(file))
        lab_cluster.virsh(host, "start", name)
    wait_until(lambda: all(_state(program, name) == "running" for name in names), 60, "the crowd to be seen")
    yield host, names[:HOW_MANY], names[HOW_MANY]
    for name in names:
        for where in lab_cluster.hosts:
            lab_cluster.host(where).virsh("destroy", name)
            lab_cluster.host(where).virsh("undefine", name)
    program.api(f"hosts/{host}/maintenance", {"on": False})


def _state(program: Any, name: str) -> str:
    found = [vm for vm in program.get(f"vms?q={name}")["items"] if vm["name"] == name]
    return str(found[0]["power_state"]) if found else ""


def make(program: Any, **body: Any) -> dict[str, Any]:
    status, plan = program.api("plans", body)
    assert status == 201, plan
    made: dict[str, Any] = plan
    return made


def moves(program: Any) -> list[dict[str, Any]]:
    return [one for one in program.get("operations?page_size=200")["items"] if one["kind"] == "migrate"]


def change(program: Any, plan: dict[str, Any], **body: Any) -> None:
    status, answer = program.api(f"plans/{plan['id']}", body, method="PATCH")
    assert status == 200, answer


def ended(program: Any, plan: dict[str, Any], seconds: float = 400) -> dict[str, Any]:
    def look() -> Any:
        time.sleep(0.5)  # Asking without end would slow down what is waited for.
        now = program.get(f"plans/{plan['id']}")
        return now if now["state"] == "done" else None

    found: dict[str, Any] = wait_until(look, seconds, "the plan to end")
    return found


def test_a_host_is_emptied_and_its_guests_come_back_and_one_that_cannot_go_is_in_nobodys_way(
    program, lab_cluster, crowd
):
    host, movable, stuck = crowd
    plan = make(program, host=host)
    by_name = {step["name"]: step for step in plan["steps"]}
    assert all(by_name[name]["action"] == "move" for name in movable), by_name
    assert by_name[stuck]["action"] == "stay" and "shares memory" in by_name[stuck]["why"]
    # Guests of the lab whose disks libvirt does not see to be shared stay where they are: they are not what is tested here.
    moving = [step for step in plan["steps"] if step["action"] == "move"]
    others = [{"vm": step["vm"], "action": "stay"} for step in moving if step["name"] not in movable]
    change(program, plan, per_host=2, per_link=1, steps=others)
    status, begun = program.api(f"plans/{plan['id']}/run", {})
    assert status == 200 and begun["state"] == "running", begun
    assert program.get(f"plans/{plan['id']}")["lasts"] > 0
    # kvmdash dies in the middle, and whoever comes after begins nothing twice.
    wait_until(
        lambda: any(s["operation"] for s in program.get(f"plans/{plan['id']}")["steps"]), 60, "the first to begin"
    )
    program.kill()
    program.start()
    done = ended(program, plan)
    found = {step["name"]: step for step in done["steps"]}
    assert {found[name]["state"] for name in movable} == {"succeeded"}, found
    for name in movable:
        assert hosts_running(lab_cluster, name) == [found[name]["target"]]
        asked = [one for one in moves(program) if one["subject"] == name]
        assert len(asked) == 1, asked
    assert hosts_running(lab_cluster, stuck) == [host]
    # The host is in maintenance: nothing comes to it.
    status, refused = program.api(f"vms/{program.vm(movable[0])['uuid']}/migrate", {"host": host})
    assert status == 409 and "maintenance" in refused["detail"], refused
    assert program.api(f"hosts/{host}/maintenance", {"on": False})[0] == 200
    wait_until(
        lambda: all(program.vm(name)["host"] == found[name]["target"] for name in movable), 30, "it to be seen there"
    )
    status, back = program.api(f"plans/{plan['id']}/back", {})
    assert status == 200 and {step["name"] for step in back["steps"]} == set(movable), back
    assert all(step["action"] == "move" and step["target"] == host for step in back["steps"]), back
    assert all(step["guessed"] for step in plan["steps"] if step["name"] in movable), "nothing was measured yet"
    assert program.api(f"plans/{back['id']}/run", {})[0] == 200
    assert {step["state"] for step in ended(program, back)["steps"]} == {"succeeded"}
    again = make(program, host=host)
    roads = {found[name]["target"] for name in movable}
    measured = [step for step in again["steps"] if step["name"] in movable and step["target"] in roads]
    assert measured and not any(step["guessed"] for step in measured), "that road was measured"
    assert all(hosts_running(lab_cluster, name) == [host] for name in movable)


def test_no_host_has_more_moves_under_way_than_its_plan_allows(program, lab_cluster, crowd):
    _host, movable, _stuck = crowd
    plan = make(program, uuids=[program.vm(name)["uuid"] for name in movable])
    change(program, plan, per_host=1, per_link=1)
    assert program.api(f"plans/{plan['id']}/run", {})[0] == 200
    most = 0

    def over() -> bool:
        nonlocal most
        time.sleep(0.3)
        now = program.get(f"plans/{plan['id']}")
        most = max(most, sum(step["state"] == "running" for step in now["steps"]))
        return bool(now["state"] == "done")

    wait_until(over, 400, "the plan to end")
    assert most == 1
    assert {step["state"] for step in program.get(f"plans/{plan['id']}")["steps"]} == {"succeeded"}
