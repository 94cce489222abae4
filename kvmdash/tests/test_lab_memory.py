"""Memory that is plugged into a real guest while it runs: a module that grows and shrinks, and a fixed one."""

from __future__ import annotations

import uuid

import pytest
from lxml import etree

from conftest import wait_until
from kvmdash.tests.browsing import chromium, sign_in

pytestmark = [pytest.mark.lab, pytest.mark.timeout(600)]
HOST, NAME = "kvm1", "mem-1"
MIB = 2**20


@pytest.fixture
def guest(program, lab_cluster):
    """One that has room for more memory, and runs; gone afterwards."""
    # Any guest of the lab without a disk will do as a pattern.
    domain = etree.fromstring((lab_cluster.host("kvm3").directory / "define" / "cache-1.xml").read_bytes())
    domain.find("name").text, domain.find("uuid").text = NAME, str(uuid.uuid4())
    domain.insert(2, etree.fromstring("<maxMemory slots='8' unit='MiB'>1024</maxMemory>"))
    domain.find("cpu").append(etree.fromstring("<numa><cell id='0' cpus='0-1' memory='128' unit='MiB'/></numa>"))
    host = lab_cluster.host(HOST)
    file = host.directory / f"{NAME}.xml"
    file.write_bytes(etree.tostring(domain))
    lab_cluster.virsh(HOST, "define", str(file))
    wait_until(lambda: program.get(f"vms?q={NAME}")["items"], 60, "the guest to be seen")
    program.running(NAME)
    # What is plugged in before its kernel is up may be overlooked by it.
    wait_until(lambda: program.vm(NAME)["agent_connected"], 120, "the guest to be up")
    yield NAME
    host.virsh("destroy", NAME)
    host.virsh("undefine", NAME)


def module(lab, *flags):
    """What libvirt says of its one module that grows, in MiB."""
    target = etree.fromstring(lab.virsh(HOST, "dumpxml", NAME, *flags)).find("devices/memory/target")
    return {one.tag: int(one.text) // 1024 for one in target if one.tag in ("size", "requested", "current")}


def succeeded(program, verb, **given):
    ended = program.do(NAME, verb, **given)
    assert ended["state"] == "succeeded", ended
    return ended


def test_a_module_that_grows_is_plugged_in_and_resized_and_the_page_tells_what_the_guest_has_taken(
    program, lab_cluster, guest
):
    size = {"target.size": 256 * MIB, "target.node": 0, "target.block": 2 * MIB, "target.requested": 64 * MIB}
    ended = succeeded(program, "device-add", type="memory", set={"model": "virtio-mem", **size})
    assert ended["result"]["live"] and ended["result"]["next_boot"] == []
    wait_until(lambda: module(lab_cluster) == {"size": 256, "requested": 64, "current": 64}, 60, "the guest to take it")
    assert module(lab_cluster, "--inactive") == {"size": 256, "requested": 64}
    for wanted in (128, 32):
        change = {"target.requested": wanted * MIB}
        succeeded(program, "device-change", device="memory_modules[#0]", set=change)
        assert module(lab_cluster)["requested"] == module(lab_cluster, "--inactive")["requested"] == wanted
        wait_until(lambda wanted=wanted: module(lab_cluster)["current"] == wanted, 60, "the guest to follow")
    uuid_of = program.vm(NAME)["uuid"]

    def told():
        devices = program.get(f"vms/{uuid_of}")["devices"]
        return next((one["text"] for one in devices if one["kind"] == "memory"), "")

    wait_until(lambda: told() == "size=256 MiB requested=32 MiB current=32 MiB", 60, "what it has to be told")
    with chromium() as browser:
        page = sign_in(browser, program, viewport={"width": 1440, "height": 900})
        page.goto(f"/vms/{uuid_of}/devices/")
        page.wait_for_selector("main >> text=requested=32 MiB")
        assert "Waiting for the next boot" not in page.inner_text("main")
        assert page.complaints == []


def test_a_fixed_module_is_there_at_once_and_not_taken_away_at_the_next_boot(program, lab_cluster, guest):
    succeeded(program, "device-add", type="memory", set={"model": "dimm", "target.size": 128 * MIB, "target.node": 0})

    def balloon():
        rows = [line.split() for line in lab_cluster.virsh(HOST, "dommemstat", NAME).splitlines()]
        return int(dict(rows)["actual"]) // 1024

    wait_until(lambda: balloon() == 256, 60, "the module to be counted")
    succeeded(program, "destroy")
    wait_until(lambda: program.vm(NAME)["power_state"] == "shutoff", 30, "the guest to be seen off")
    succeeded(program, "start")
    wait_until(lambda: program.vm(NAME)["agent_connected"], 120, "the guest to be up")
    assert balloon() == 256
