"""The guest agent: what is kept of what a guest says, when it can be asked, and that no password stands anywhere."""

from __future__ import annotations

from typing import Any

import pytest
from django.utils import timezone

from hosts.audit import Actor
from hosts.hypervisor.agent import LONGEST, MOST, facts
from hosts.models import AuditEntry, Operation, OperationSecret
from hosts.operations import queue
from hosts.operations.kind import Refused
from vms import agent
from vms.models import VirtualMachine
from vms.tests.making import browser, make_guest, make_host

CHANNEL = {"kind": "channel", "model": "", "text": "unix name=org.qemu.guest_agent.0 state=connected"}


@pytest.fixture
def guest(db: None) -> VirtualMachine:
    return make_guest(make_host(), devices=[CHANNEL], agent_connected=True)


@pytest.fixture
def actor(people: dict[str, Any]) -> Actor:
    return Actor(user=people["operator"])


def test_what_a_guest_says_of_itself_is_cut_to_size_and_made_printable() -> None:
    told = {
        "os.pretty-name": "Evil\x1b[31m OS" + "x" * 1000, "hostname": "a\nb", "user.count": 10**6, "user.0.name": "root",
        "user.0.login-time": 1700000000000, "fs.count": 1, "fs.0.mountpoint": "/data", "fs.0.fstype": "ext4",
        "fs.0.total-bytes": 100, "fs.0.used-bytes": 40, "fs.0.disk.count": 1, "fs.0.disk.0.alias": "vda",
        "if.count": 1, "if.0.name": "eth0", "if.0.hwaddr": "52:54:00:00:00:01", "if.0.addr.count": 1,
        "if.0.addr.0.addr": "10.0.0.7", "if.0.addr.0.prefix": 24,
    }  # fmt: skip
    read = facts(told)
    assert len(read["os"]) == LONGEST and "\x1b" not in read["os"] and "\n" not in read["hostname"]
    assert len(read["users"]) == MOST and read["users"][0] == {"name": "root", "domain": "", "since": 1700000000}
    assert read["filesystems"] == [{"mountpoint": "/data", "type": "ext4", "total": 100, "used": 40, "disks": ["vda"]}]
    assert read["interfaces"][0]["addresses"] == ["10.0.0.7/24"]
    assert facts({})["filesystems"] == []


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        ({"devices": []}, "no channel"),
        ({"power_state": "shutoff", "agent_connected": None}, "does not run"),
        ({"agent_connected": False}, "does not answer"),
        ({"agent_connected": None}, "does not answer"),
    ],
)
def test_why_the_agent_cannot_be_asked_is_said(guest, actor, people, columns: dict[str, Any], words: str) -> None:
    VirtualMachine.objects.update(**columns)
    vm = VirtualMachine.objects.select_related("host").get()
    assert words in agent.why_no_agent(vm)
    with pytest.raises(Refused):
        queue.enqueue("guest-info", vm, {}, actor)
    text = browser(people["operator"]).get(f"/vms/{vm.uuid}/agent/").content.decode()
    assert words in text and 'id="do-guest-info" class="btn btn-sm" disabled' in text


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"user": "", "password": "x"}, "user of the guest"),
        ({"user": "a:b", "password": "x"}, "user of the guest"),
        ({"user": "a\nb", "password": "x"}, "user of the guest"),
        ({"user": "root"}, "characters"),
        ({"user": "root", "password": ""}, "characters"),
        ({"user": "root", "password": "a\nb"}, "characters"),
        ({"user": "root", "password": "x" * 501}, "characters"),
        ({"user": "root", "password": 7}, "characters"),
        ({"user": "root", "password": "x", "crypted": True}, "crypted"),
    ],
)
def test_users_and_passwords_that_cannot_be_are_refused(guest, actor, arguments: dict[str, Any], words: str) -> None:
    with pytest.raises(Refused, match=words):
        queue.enqueue("set-user-password", guest, arguments, actor)


def test_a_password_is_sealed_beside_its_operation_until_that_has_ended(guest, actor) -> None:
    operation = queue.enqueue("set-user-password", guest, {"user": "root", "password": "geheimnis"}, actor)
    assert operation.arguments == {"user": "root"} and "geheimnis" not in operation.virsh
    assert OperationSecret.objects.get(operation=operation).sealed.open() == "geheimnis"
    assert not AuditEntry.objects.filter(detail__icontains="geheimnis").exists()
    queue.cancel(operation, actor)
    assert not OperationSecret.objects.exists()


@pytest.mark.parametrize("seconds", [0, 601, -1, "5", True, 1.5])
def test_nothing_is_frozen_for_ever(guest, actor, seconds: Any) -> None:
    with pytest.raises(Refused, match="1 to 600 seconds"):
        queue.enqueue("fs-freeze", guest, {"seconds": seconds}, actor)


def test_the_page_tells_the_last_answer_as_text_and_who_froze_what(guest, people) -> None:
    evil = "<script>alert(1)</script>"
    told = {
        "os": evil, "kernel": "6.1", "hostname": "web", "timezone": "UTC", "users": [{"name": evil, "domain": "", "since": 1}],
        "filesystems": [{"mountpoint": evil, "type": "ext4", "total": 100, "used": 40, "disks": ["vda"]}],
        "interfaces": [{"name": "eth0", "mac": "", "addresses": ["10.0.0.7/24"]}],
    }  # fmt: skip
    facts_of = {"subject_uuid": guest.pk, "subject_name": guest.name, "host": guest.host, "actor_name": "eva"}
    Operation.objects.create(
        kind="guest-info", state="succeeded", result={"told": told}, finished_at=timezone.now(), **facts_of
    )
    Operation.objects.create(kind="fs-freeze", state="running", **facts_of)
    text = browser(people["viewer"]).get(f"/vms/{guest.uuid}/agent/").content.decode()
    assert evil not in text and "&lt;script&gt;" in text
    assert "10.0.0.7/24" in text and "eva asked for it" in text
    assert "do-guest-info" not in text and "do-fs-freeze" not in text
