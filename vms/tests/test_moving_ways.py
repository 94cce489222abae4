"""Policies of moves, what hosts can do, the definition on the target, and what is left behind."""

from __future__ import annotations

import datetime as dt
import uuid
from typing import Any

import pytest
from django.utils import timezone

from hosts.audit import Actor
from hosts.models import AuditEntry, Host, Operation, StorageClaim, StoragePool, StorageVolume
from hosts.operations import queue
from hosts.operations.kind import InvalidArguments, Refused
from hosts.operations.storage_base import NotNow
from vms.models import VirtualMachine
from vms.moving import offers, options, wanted
from vms.moving.leftovers import leftovers_of
from vms.moving.target_definition import DoesNotFit, edited
from vms.tests.making import browser, make_guest, make_host, sighted

pytestmark = pytest.mark.django_db
NEW = {"libvirt_version": "9.0.0", "hypervisor_type": "QEMU", "hypervisor_version": "7.2.22"}


@pytest.fixture
def hosts(db: None) -> tuple[Host, Host]:
    return make_host("kvm1", **NEW), make_host("kvm2", **NEW)


def test_a_policy_fills_in_what_is_not_said_and_gives_way_to_what_is(hosts) -> None:
    huge = wanted.clean({"host": "kvm2", "policy": "huge", "connections": 2})
    assert (huge["connections"], huge["post_copy"], huge["on_timeout"]) == (2, True, "post-copy")
    alone = wanted.clean({"host": "kvm2", "policy": "fast", "compression": "xbzrle"})
    assert (alone["compression"], alone["connections"]) == ("xbzrle", 0)
    tunnelled = wanted.clean({"host": "kvm2", "policy": "huge", "transport": "tunnelled"})
    assert (tunnelled["connections"], tunnelled["post_copy"], tunnelled["on_timeout"]) == (0, False, "abort")


def test_the_clusters_policy_is_chosen_by_administrators_and_used_where_nothing_is_said(hosts, people) -> None:
    assert wanted.clean({"host": "kvm2"})["policy"] == "safe"
    assert browser(people["operator"]).post("/vms/policies/", {"policy": "fast"}).status_code == 403
    page = browser(people["administrator"])
    assert page.post("/vms/policies/", {"policy": "nonsense"}).status_code in (409, 422)
    assert page.post("/vms/policies/", {"policy": "fast"}).status_code == 302
    said = wanted.clean({"host": "kvm2"})
    assert (said["policy"], said["connections"]) == ("fast", 4)
    assert AuditEntry.objects.get(action="moves.policy").actor_name == "administrator"
    assert "used in this cluster" in browser(people["viewer"]).get("/vms/policies/").content.decode()


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"transport": "tunnelled", "copy_storage": True}, "copy_storage"),
        ({"transport": "tunnelled", "connections": 2}, "connections"),
        ({"transport": "tunnelled", "tls": True}, "tls"),
        ({"zero_copy": True}, "zero_copy"),
        ({"zero_copy": True, "connections": 2, "tls": True}, "zero_copy"),
        ({"compression": "zstd"}, "compression"),
        ({"compression": "xbzrle", "connections": 2}, "compression"),
        ({"on_timeout": "post-copy"}, "on_timeout"),
        ({"mode": "offline", "copy_storage": True}, "copy_storage"),
        ({"policy": "daring"}, "policy"),
        ({"disks": ["vda"]}, "disks"),
        ({"disks": {"vda": "../etc"}}, "disks"),
        ({"networks": {"default": ""}}, "networks"),
        ({"networks": {"a\nb": "c"}}, "networks"),
        ({"connections": 65}, "connections"),
        ({"mode": "teleport"}, "mode"),
        ({"state_pool": "a/b"}, "state_pool"),
    ],
)
def test_what_does_not_go_together_is_refused_at_its_field(hosts, given: dict[str, Any], field: str) -> None:
    with pytest.raises((InvalidArguments, NotNow)) as caught:
        wanted.clean({"host": "kvm2", **given})
    assert caught.value.field == field


def test_copied_disks_are_said_like_virsh_says_them(hosts) -> None:
    said = wanted.clean({"host": "kvm2", "disks": {"vdb": "fast", "vda": ""}, "incremental": True})
    words = " ".join(options.of_live(said))
    assert "--copy-storage-inc --migrate-disks vda,vdb" in words and words.endswith("--xml target.xml")


def test_what_an_older_host_cannot_do_is_not_offered_and_refused_with_its_version(hosts, people) -> None:
    source, target = hosts
    Host.objects.filter(pk=target.pk).update(libvirt_version="8.0.0", hypervisor_version="6.2.0")
    target.refresh_from_db()
    assert "kvm2 has libvirt 8.0.0" in offers.why_not("zero_copy", (source, target))
    assert not offers.why_not("connections", (source, target))
    assert "kvm1 has libvirt 9.0.0" in offers.why_not("zstd", (source, target))
    guest = make_guest(source)
    with pytest.raises(NotNow) as caught:
        queue.enqueue(
            "migrate", guest, {"host": "kvm2", "connections": 2, "zero_copy": True}, Actor(people["operator"])
        )
    assert caught.value.field == "zero_copy"
    dialog = browser(people["operator"]).get(f"/vms/{guest.pk}/do/migrate/").content.decode()
    assert 'name="connections"' in dialog and 'name="zero_copy"' not in dialog and "zstd" not in dialog


def test_qemu_that_gave_something_up_is_not_asked_for_it() -> None:
    new = Host(name="new", libvirt_version="10.0.0", hypervisor_version="9.1.0")
    assert "cannot do this any more" in offers.why_not("mt", (new,))
    assert not offers.why_not("mt", (Host(name="unknown"),))


LIVE = """<domain type='kvm'><!-- keep --><name>a</name><devices>
<disk type='file' device='disk'><source file='/local/a.qcow2' index='1'/>
<backingStore type='file'><source file='/b'/></backingStore>
<target dev='vda'/></disk>
<disk type='network' device='disk'><source protocol='nbd' name='x'/><target dev='vdb'/></disk>
<interface type='network'><source network='red' portid='1' bridge='virbr0'/><mac address='52:54:00:00:00:01'/></interface>
<interface type='bridge'><source bridge='br0'/></interface>
</devices>
<qemu:commandline xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'><qemu:arg value='-x'/></qemu:commandline></domain>"""


def test_the_targets_definition_differs_in_what_was_named_and_nothing_else() -> None:
    text = edited(LIVE, {"red": "blue", "br0": "br9"}, {"vda": "/pool"})
    assert 'network="blue"' in text and "portid" not in text and 'bridge="br9"' in text and "virbr0" not in text
    assert 'file="/pool/a.qcow2"' in text and "backingStore" not in text
    for kept in ("<!-- keep -->", "52:54:00:00:00:01", 'protocol="nbd"', "qemu:commandline"):
        assert kept in text
    assert "backingStore" in edited(LIVE, {}, {"vda": "/pool"}, collapse=False)


@pytest.mark.parametrize(
    ("networks", "folders", "field"),
    [
        ({"virbr0": "x"}, {}, "networks"),
        ({"green": "x"}, {}, "networks"),
        ({}, {"vdb": "/p"}, "disks"),
        ({}, {"vdz": "/p"}, "disks"),
    ],
)
def test_what_the_guest_does_not_have_is_not_renamed(networks: Any, folders: Any, field: str) -> None:
    with pytest.raises(DoesNotFit) as caught:
        edited(LIVE, networks, folders)
    assert caught.value.field == field


def test_a_guest_that_is_off_moves_by_its_definition_only_where_its_disks_are_known_to_be(hosts, people) -> None:
    source, _target = hosts
    guest = make_guest(source, power_state="shutoff")
    claim = {"host": source, "owner": guest.pk, "owner_name": guest.name, "device": "disk", "path": "/images/a.qcow2"}
    StorageClaim.objects.create(**claim)
    actor = Actor(people["operator"])
    with pytest.raises(NotNow) as caught:
        queue.enqueue("migrate", guest, {"host": "kvm2"}, actor)
    assert caught.value.field == "unsafe"
    for host in hosts:
        volume(pool(host, "shared", shared_key="nfs"), "a.qcow2", "/images/a.qcow2")
    operation = queue.enqueue("migrate", guest, {"host": "kvm2"}, actor)
    assert "--offline" in operation.virsh


def pool(host: Host, name: str, **columns: Any) -> StoragePool:
    facts = {"uuid": uuid.uuid4(), "active": True, "type": "dir", "path": "/images", "available": 1 << 40}
    return StoragePool.objects.create(host=host, name=name, **facts | columns)


def volume(of: StoragePool, name: str, path: str, **columns: Any) -> StorageVolume:
    return StorageVolume.objects.create(pool=of, name=name, path=path, **columns)


@pytest.fixture
def copied(hosts) -> tuple[VirtualMachine, StorageVolume]:
    """A guest that was copied from kvm1 to kvm2 an hour ago, and the volume that stayed."""
    source, target = hosts
    guest = make_guest(target)
    local = pool(source, "local")
    old = volume(local, "a.qcow2", "/images/a.qcow2", modified=timezone.now() - dt.timedelta(hours=2))
    move(guest, source, "kvm2", left=[[source.pk, str(local.uuid), "a.qcow2"]])
    return guest, old


def move(guest: VirtualMachine, source: Host, target: str, state: str = "succeeded", **progress: Any) -> Operation:
    return Operation.objects.create(
        kind="migrate", state=state, subject_uuid=guest.pk, host=source, host_name=source.name, arguments={"host": target},
        progress=progress, finished_at=timezone.now() - dt.timedelta(hours=1),
    )  # fmt: skip


def test_a_disk_that_was_copied_and_is_used_by_nobody_is_left_behind(copied) -> None:
    guest, old = copied
    assert [left.volume for left in leftovers_of(guest).disks] == [old]


def used_by_another(guest: VirtualMachine, old: StorageVolume) -> None:
    other = {"owner": uuid.uuid4(), "owner_name": "other", "device": "disk", "path": old.path}
    StorageClaim.objects.create(host=old.pool.host, **other)


def base_of_another(_guest: VirtualMachine, old: StorageVolume) -> None:
    volume(old.pool, "top.qcow2", "/images/top.qcow2", backing_path=old.path)


def shared(_guest: VirtualMachine, old: StorageVolume) -> None:
    StoragePool.objects.filter(pk=old.pool_id).update(shared_key="nfs")


def written_since(_guest: VirtualMachine, old: StorageVolume) -> None:
    StorageVolume.objects.filter(pk=old.pk).update(modified=timezone.now())


def been_there_since(guest: VirtualMachine, old: StorageVolume) -> None:
    move(guest, Host.objects.get(name="kvm2"), "kvm1")
    move(guest, old.pool.host, "kvm2")


def host_lost(_guest: VirtualMachine, old: StorageVolume) -> None:
    Host.objects.filter(pk=old.pool.host_id).update(state="unreachable")


def guest_off(guest: VirtualMachine, _old: StorageVolume) -> None:
    VirtualMachine.objects.filter(pk=guest.pk).update(power_state="shutoff")


def runs_twice(guest: VirtualMachine, old: StorageVolume) -> None:
    sighted(guest, old.pool.host, "running")


@pytest.mark.parametrize(
    "happened",
    [used_by_another, base_of_another, shared, written_since, been_there_since, host_lost, guest_off, runs_twice],
)
def test_what_may_be_in_use_is_never_taken_for_left_behind(copied, people, happened: Any) -> None:
    guest, old = copied
    happened(guest, old)
    guest.refresh_from_db()
    assert not leftovers_of(guest)
    with pytest.raises(Refused):
        queue.enqueue("tidy", guest, {}, Actor(people["operator"]))


def test_a_move_that_failed_leaves_its_source_alone(hosts) -> None:
    source, _target = hosts
    guest = make_guest(make_host("kvm3"))
    local = pool(source, "local")
    volume(local, "a.qcow2", "/images/a.qcow2")
    move(guest, source, "kvm3", state="failed", left=[[source.pk, str(local.uuid), "a.qcow2"]])
    assert not leftovers_of(guest)


def test_the_page_shows_what_is_left_and_the_button_to_those_who_may(copied, people) -> None:
    guest, _old = copied
    sighted(guest, Host.objects.get(name="kvm1"), "shutoff", persistent=True)
    for role, shown in (("operator", True), ("viewer", False)):
        text = browser(people[role]).get(f"/vms/{guest.pk}/").content.decode()
        assert "A move has left something behind." in text and "/images/a.qcow2" in text
        assert ('id="vm-do-tidy"' in text) is shown


def test_what_a_failed_move_had_copied_is_left_behind_at_its_target_and_a_later_try_counts(hosts) -> None:
    source, target = hosts
    guest = make_guest(source)
    local = pool(target, "local")
    half = volume(local, "a.qcow2", "/images/a.qcow2")
    made = [[target.pk, str(local.uuid), "a.qcow2"]]
    first = move(guest, source, target.name, state="failed", made=made)
    second = move(guest, source, target.name, state="cancelled", made=[])
    Operation.objects.filter(pk=first.pk).update(finished_at=second.finished_at - dt.timedelta(hours=3))
    StorageVolume.objects.filter(pk=half.pk).update(modified=second.finished_at)
    assert [left.volume for left in leftovers_of(guest).disks] == [half]
    move(guest, target, source.name)
    assert not leftovers_of(guest), "the guest has been there since"
