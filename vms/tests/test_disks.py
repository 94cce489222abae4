"""Moving and enlarging a disk: what is refused and why, by the rows alone; and what a person would type."""

from __future__ import annotations

import re
import uuid
from typing import Any

import pytest

from hosts.audit import Actor
from hosts.models import Host, Operation, StorageClaim, StoragePool, StorageVolume
from hosts.operations import queue
from hosts.operations.kind import Refused
from hosts.operations.volume_base import lock_of_volume
from vms import disks
from vms.definition import copying
from vms.definition.domain import Definition
from vms.models import Sighting, VirtualMachine
from vms.tests.making import browser, make_guest, make_host

pytestmark = pytest.mark.django_db
GIB = 2**30
DISK = {
    "device": "disk", "type": "file", "target": "vda", "bus": "virtio", "format": "qcow2", "cache": "",
    "source": "/images/a.qcow2", "readonly": False, "shareable": False,
}  # fmt: skip


def make_pool(host: Host, name: str, kind: str = "dir", **columns: Any) -> StoragePool:
    facts = {"active": True, "available": 100 * GIB, "capacity": 200 * GIB}
    return StoragePool.objects.create(host=host, name=name, uuid=uuid.uuid4(), type=kind, **facts | columns)


def make_volume(pool: StoragePool, name: str, **columns: Any) -> StorageVolume:
    facts = {
        "path": f"/{pool.name}/{name}",
        "format": "qcow2",
        "capacity": 20 * GIB,
        "allocation": 5 * GIB,
        "type": "file",
    }
    return StorageVolume.objects.create(pool=pool, name=name, **facts | columns)


@pytest.fixture
def guest(db: None) -> VirtualMachine:
    """A running guest whose disk lies in the pool images; fast is another pool."""
    host = make_host()
    make_volume(make_pool(host, "images"), "a.qcow2")
    make_pool(host, "fast")
    return make_guest(host, disks=[dict(DISK)])


@pytest.fixture
def actor(people: dict[str, Any]) -> Actor:
    return Actor(user=people["operator"])


def asked(vm: VirtualMachine, actor: Actor, kind: str = "block-copy", **arguments: Any) -> Operation:
    standard = {"block-copy": {"pool": "fast", "name": "b.qcow2"}, "block-resize": {"capacity": 40 * GIB}}[kind]
    fresh = VirtualMachine.objects.select_related("host").get(pk=vm.pk)
    return queue.enqueue(kind, fresh, {"target": "vda", **standard, **arguments}, actor)


def test_a_move_is_told_as_what_a_person_would_type(guest, actor) -> None:
    operation = asked(guest, actor, delete_source=True, bandwidth=100)
    assert operation.virsh.splitlines() == [
        "virsh vol-create-as fast b.qcow2 21474836480B --format qcow2",
        "virsh blockcopy web-1 vda --format qcow2 --bandwidth 100 "
        '--dest "$(virsh vol-path b.qcow2 --pool fast)" --reuse-external --transient-job --wait --verbose --pivot',
        "virsh vol-delete /images/a.qcow2",
    ]


@pytest.mark.parametrize(
    ("disk", "words"),
    [
        ({"target": "vdb"}, "has no disk called vda"),
        ({"device": "cdrom"}, "a drive for media"),
        ({"readonly": True}, "only reads"),
        ({"shareable": True}, "Other guests may write"),
    ],
)
def test_disks_that_cannot_be_copied_are_refused(guest, actor, disk: dict[str, Any], words: str) -> None:
    VirtualMachine.objects.update(disks=[{**DISK, **disk}])
    with pytest.raises(Refused, match=words):
        asked(guest, actor)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"pool": "nowhere"}, "Choose a pool"),
        ({"pool": ""}, "Choose a pool"),
        ({"name": "../b"}, "no slash"),
        ({"name": "b\nc"}, "."),
        ({"name": "n" * 300}, "at most 200"),
        ({"name": "ủ" * 100}, "too long"),
        ({"name": ""}, "name is needed"),
        ({"format": "vmdk"}, "qcow2 or raw"),
        ({"bandwidth": -1}, "bandwidth"),
        ({"bandwidth": True}, "bandwidth"),
        ({"delete_source": "yes"}, "true or false"),
        ({"target": "../a"}, "which disk"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_what_makes_no_sense_is_refused_with_its_reason(guest, actor, arguments: dict[str, Any], words: str) -> None:
    with pytest.raises(Refused, match=words):
        asked(guest, actor, **arguments)
    assert not Operation.objects.filter(kind="block-copy").exists()


def test_pools_that_are_off_gone_or_of_another_host_take_no_copy(guest, actor) -> None:
    other = make_host("kvm2")
    make_pool(other, "far")
    make_pool(guest.host, "off", active=False)
    make_pool(guest.host, "ceph", "rbd")
    make_pool(guest.host, "target", "iscsi")
    for name in ("far", "off", "ceph", "target"):
        with pytest.raises(Refused, match="Choose a pool"):
            asked(guest, actor, pool=name)
    assert [pool.name for pool in disks.pools_for(guest)] == ["fast", "images"]


def test_a_pool_without_room_takes_what_is_thin_and_not_what_is_whole(guest, actor) -> None:
    StoragePool.objects.filter(name="fast").update(available=10 * GIB)
    with pytest.raises(Refused, match="Only 10"):
        asked(guest, actor, format="raw")
    assert asked(guest, actor, format="qcow2").state == "queued"


def test_a_name_that_is_taken_or_just_being_made_is_refused(guest, actor) -> None:
    fast = StoragePool.objects.get(name="fast")
    Operation.objects.create(kind="volume-create", state="running", subject_uuid=lock_of_volume(fast, "b.qcow2"))
    with pytest.raises(Refused, match="being changed"):
        asked(guest, actor)
    Operation.objects.all().delete()
    make_volume(fast, "b.qcow2")
    with pytest.raises(Refused, match="of that name"):
        asked(guest, actor)
    assert disks.free_name(guest, fast, "vda", "qcow2") == "web-1-vda.qcow2"
    make_volume(fast, "web-1-vda.qcow2")
    assert disks.free_name(guest, fast, "vda", "qcow2") == "web-1-vda-2.qcow2"


def test_a_guest_with_snapshots_keeps_its_disks_where_they_are(guest, actor) -> None:
    snapshot = {"name": "s", "parent": "", "created": 1, "state": "running", "memory": "no", "description": "", "current": True,
                "disks": [{"target": "vda", "where": "internal", "file": ""}]}  # fmt: skip
    Sighting.objects.update(snapshots=[snapshot])
    with pytest.raises(Refused, match="has snapshots"):
        asked(guest, actor)


def test_the_old_volume_is_not_deleted_while_somebody_else_needs_it(guest, actor) -> None:
    images = StoragePool.objects.get(name="images")
    StorageClaim.objects.create(
        host=guest.host, owner=uuid.uuid4(), owner_name="twin", path="/images/a.qcow2", device="disk", target="vda"
    )
    with pytest.raises(Refused, match="twin uses it too"):
        asked(guest, actor, delete_source=True)
    StorageClaim.objects.all().delete()
    make_volume(images, "over.qcow2", backing_path="/images/a.qcow2")
    with pytest.raises(Refused, match=r"over\.qcow2"):
        asked(guest, actor, delete_source=True)
    assert asked(guest, actor).state == "queued"


def test_a_disk_outside_all_pools_moves_only_while_the_guest_runs(guest, actor) -> None:
    VirtualMachine.objects.update(disks=[{**DISK, "source": "/srv/a.qcow2"}], power_state="shutoff")
    for kind in ("block-copy", "block-resize"):
        with pytest.raises(Refused, match="in no pool"):
            asked(guest, actor, kind)
    VirtualMachine.objects.update(power_state="running")
    assert asked(guest, actor).state == "queued"


def test_a_disk_is_made_larger_and_never_smaller(guest, actor) -> None:
    for capacity in (20 * GIB, GIB):
        with pytest.raises(Refused, match="only made larger"):
            asked(guest, actor, "block-resize", capacity=capacity)
    for capacity in (None, "40G", -1, 2**70, True):
        with pytest.raises(Refused, match="size in bytes"):
            asked(guest, actor, "block-resize", capacity=capacity)
    assert asked(guest, actor, "block-resize").virsh == f"virsh blockresize web-1 vda {40 * GIB}B"
    Operation.objects.all().delete()
    VirtualMachine.objects.update(power_state="shutoff")
    assert asked(guest, actor, "block-resize").virsh == f"virsh vol-resize /images/a.qcow2 {40 * GIB}B"


def test_a_disk_that_others_lie_on_or_that_is_a_device_is_not_made_larger(guest, actor) -> None:
    images = StoragePool.objects.get(name="images")
    over = make_volume(images, "over.qcow2", backing_path="/images/a.qcow2")
    with pytest.raises(Refused, match="lie on it"):
        asked(guest, actor, "block-resize")
    over.delete()
    VirtualMachine.objects.update(disks=[{**DISK, "type": "block", "source": "/dev/vg/a"}])
    with pytest.raises(Refused, match="device"):
        asked(guest, actor, "block-resize")


def test_the_dialogs_offer_what_fits_and_say_how_it_is_now(guest, people) -> None:
    client = browser(people["operator"])
    address = f"/vms/{guest.uuid}/do/block-copy/?target=vda"
    text = client.get(address).content.decode()
    assert "it lies there now" in text and "web-1-vda.qcow2" in text and "blockcopy web-1 vda" in text
    assert re.search(
        r"vda is 20.{1,8}GiB now", client.get(f"/vms/{guest.uuid}/do/block-resize/?target=vda").content.decode()
    )
    sent = {"target": "vda", "pool": "fast", "name": "../x", "format": "qcow2"}
    answer = client.post(f"/vms/{guest.uuid}/do/block-copy/", sent)
    assert answer.status_code == 422 and "no slash" in answer.content.decode()
    StoragePool.objects.all().delete()
    assert "no pool that takes new volumes" in client.get(address).content.decode()


def test_the_definition_names_the_copy_and_nothing_else_of_it_changes() -> None:
    text = (
        "<domain type='kvm'><name>a</name><!-- mine --><devices><disk type='volume' device='disk'>"
        "<driver name='qemu' type='raw' discard='unmap'/><source pool='p' volume='v'/><target dev='vdb' bus='virtio'/>"
        "<serial>one</serial></disk></devices></domain>"
    )
    now = copying.moved(text, "vdb", "/dev/vg/b", "raw", device=True)
    disk = Definition.parse(now).devices.disks[0]
    assert (disk.type, disk.where, disk.driver.discard, disk.serial) == ("block", "/dev/vg/b", "unmap", "one")
    assert "<!-- mine -->" in now and "pool=" not in now
    with pytest.raises(KeyError):
        copying.moved(text, "vda", "/b", "raw", device=False)


@pytest.mark.parametrize(("mirror", "ready"), [("", False), ("<mirror/>", False), ("<mirror ready='yes'/>", True)])
def test_a_copy_is_ready_when_libvirt_says_so(mirror: str, ready: bool) -> None:
    text = (
        f"<domain><devices><disk>{mirror}<target dev='vda'/></disk><disk><target dev='vdb'/></disk></devices></domain>"
    )
    assert copying.is_ready(text, "vda") is ready
    assert not copying.is_ready(text, "vdb") and not copying.is_ready(text, "vdc")
