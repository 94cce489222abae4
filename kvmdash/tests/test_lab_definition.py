"""Definitions on real libvirtd and QEMU: the secrets that libvirt hides stay through an edit, and history tells both sides."""

from __future__ import annotations

import pytest

from conftest import wait_until

pytestmark = pytest.mark.lab


def newest(program, uuid):
    return program.get(f"vms/{uuid}/definitions")["items"][0]


def test_a_password_stays_through_the_raw_page_and_is_shown_nowhere(program, lab_cluster):
    vm = program.vm("web-2")
    password = lab_cluster.facts["guests"]["web-2"]["vnc_password"]
    now = program.get(f"vms/{vm['uuid']}/definition?kind=inactive")
    assert password not in str(now)
    title = "<title>Edited by hand</title>"
    text = now["definition"].replace("<memory ", f"{title}\n  <memory ", 1)
    assert title in text
    ended = program.do("web-2", "define", definition=text, base=now["digest"])
    assert ended["state"] == "succeeded" and "lost" not in ended["result"], ended
    there = lab_cluster.virsh(vm["host"], "dumpxml", "web-2", "--inactive", "--security-info")
    assert title in there and f"passwd='{password}'" in there
    assert password not in str(ended)
    seen = wait_until(lambda: newest(program, vm["uuid"])["operation"] == ended["id"] and newest(program, vm["uuid"]))
    assert (seen["actor"], seen["changes"]) == ("admin", [["title", None, title]])


def test_what_virsh_defines_is_in_the_history_and_is_not_overwritten(program, lab_cluster):
    vm = program.vm("web-2")
    now = program.get(f"vms/{vm['uuid']}/definition")
    lab_cluster.virsh(vm["host"], "desc", "web-2", "--config", "--title", "by virsh")
    wait_until(lambda: program.get(f"vms/{vm['uuid']}/definition")["digest"] != now["digest"])
    assert newest(program, vm["uuid"])["actor"] is None
    status, answer = program.api(f"vms/{vm['uuid']}/define", {"definition": now["definition"], "base": now["digest"]})
    assert status == 409 and "title" in answer["detail"]
    assert "by virsh" in lab_cluster.virsh(vm["host"], "dumpxml", "web-2", "--inactive")


def test_running_and_stopping_leaves_no_trace_in_the_history(program, lab_cluster):
    name = program.running("web-2")
    before = newest(program, program.vm(name)["uuid"])["number"]
    for verb, state in (("destroy", "shutoff"), ("start", "running")):
        program.done(name, verb)
        wait_until(lambda state=state: program.vm(name)["power_state"] == state)
    assert newest(program, program.vm(name)["uuid"])["number"] == before
