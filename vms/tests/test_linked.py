"""Guests whose disks lie on another guest's: told on both pages, and the one below is not started."""

from __future__ import annotations

import uuid
from typing import Any

import pytest

from hosts.audit import Actor
from hosts.models import Host, StorageClaim, StoragePool, StorageVolume
from hosts.operations import queue
from hosts.operations.kind import Refused
from vms import linked
from vms.models import VirtualMachine
from vms.tests.making import browser, make_guest, make_host

pytestmark = pytest.mark.django_db
DISK = {
    "device": "disk",
    "type": "file",
    "bus": "virtio",
    "format": "qcow2",
    "cache": "",
    "readonly": False,
    "shareable": False,
}


def make(host: Host, pool: StoragePool, name: str, backing: str = "", **columns: Any) -> VirtualMachine:
    """A guest that is off, whose disk vda is ``name``.qcow2 in the pool."""
    path = f"/images/{name}.qcow2"
    StorageVolume.objects.create(
        pool=pool, name=f"{name}.qcow2", path=path, format="qcow2", type="file", capacity=2**30, backing_path=backing
    )
    vm = make_guest(
        host, name=name, power_state="shutoff", disks=[{**DISK, "target": "vda", "source": path}], **columns
    )
    StorageClaim.objects.create(
        host=host, owner=vm.uuid, owner_name=name, path=path, device="disk", target="vda", depth=0
    )
    return vm


@pytest.fixture
def pool(db: None) -> StoragePool:
    return StoragePool.objects.create(host=make_host(), name="images", uuid=uuid.uuid4(), type="dir", active=True)


@pytest.fixture
def golden(pool: StoragePool) -> VirtualMachine:
    """A template on which the disks of web-1 and web-2 lie."""
    base = make(pool.host, pool, "golden", template=True)
    for name in ("web-1", "web-2"):
        make(pool.host, pool, name, "/images/golden.qcow2")
    return base


def test_both_pages_tell_of_it(golden, people) -> None:
    client = browser(people["viewer"])
    web = VirtualMachine.objects.get(name="web-1")
    below = client.get(f"/vms/{web.uuid}/").content.decode()
    assert "Lies on" in below and "golden.qcow2" in below and f"/vms/{golden.uuid}/" in below
    above = client.get(f"/vms/{golden.uuid}/").content.decode()
    assert "Linked copies" in above and f'href="/vms/{web.uuid}/"' in above and "web-2" in above
    assert linked.bases_of(golden, linked.volumes_of(golden)) == []


def test_a_template_with_linked_copies_stays_one(golden, people) -> None:
    actor = Actor(user=people["operator"])
    with pytest.raises(Refused, match="web-1, web-2"):
        queue.enqueue("template", golden, {"enabled": False}, actor)
    StorageVolume.objects.filter(name__startswith="web").update(backing_path="")
    assert queue.enqueue("template", golden, {"enabled": False}, actor).state == "queued"


def test_what_others_lie_on_is_not_started_even_when_nobody_called_it_a_template(golden, people) -> None:
    VirtualMachine.objects.update(template=False)
    golden.refresh_from_db()
    actor = Actor(user=people["operator"])
    with pytest.raises(Refused, match="would be damaged by what it writes: web-1, web-2"):
        queue.enqueue("start", golden, {}, actor)
    web = VirtualMachine.objects.select_related("host").get(name="web-1")
    assert queue.enqueue("start", web, {}, actor).state == "queued"


def test_a_base_in_no_pool_is_told_by_its_path(pool, people) -> None:
    vm = make(pool.host, pool, "web-9", "/srv/elsewhere.qcow2")
    assert [(one.target, one.name, one.owner) for one in linked.bases_of(vm, linked.volumes_of(vm))] == [
        ("vda", "/srv/elsewhere.qcow2", None)
    ]
    assert "/srv/elsewhere.qcow2" in browser(people["viewer"]).get(f"/vms/{vm.uuid}/").content.decode()
