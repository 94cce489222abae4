"""Operations on volumes: on libvirt's test driver where it knows them, and what is refused by the rows alone."""

from __future__ import annotations

from typing import Any

import pytest

from hosts import access
from hosts.audit import Actor
from hosts.hypervisor.errors import Failed
from hosts.models import Operation, StoragePool, StorageVolume
from hosts.operations import presenter, queue
from hosts.operations.kind import InvalidArguments, Refused, Uncertain, registry
from hosts.operations.storage_base import NotNow
from hosts.operations.volume_base import find_volume
from hosts.tests.storage_making import make_claim, make_host, make_pool, make_volume, unheard
from hosts.tests.test_storage_mirror import there  # noqa: F401
from hosts.tests.test_storage_pools import recovered

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "metrics"])
GIB = 1 << 30


@pytest.fixture
def operator(people: dict[str, Any]) -> Actor:
    return Actor(people["operator"], "192.0.2.1")


@pytest.fixture
def do(eventually, operator):
    def ask(kind: str, row: Any, **arguments: Any) -> Operation:
        row.refresh_from_db()
        asked = queue.enqueue(kind, row, arguments, operator)
        ended = Operation.objects.filter(pk=asked.pk).exclude(state__in=Operation.ACTIVE)
        return eventually(ended.first, what=f"{kind} to end")

    return ask


@pytest.fixture
def pool(there):  # noqa: F811
    return StoragePool.objects.get(name="default-pool")


def volume(name):
    return lambda: StorageVolume.objects.filter(name=name, absent_since=None).first()


def test_a_volume_is_made_copied_and_deleted(there, pool, do):  # noqa: F811
    made = do("volume-create", pool, name="new.qcow2", capacity=GIB)
    assert made.state == "succeeded" and made.result["path"] == "/default-pool/new.qcow2"
    assert "vol-create-as default-pool new.qcow2 1073741824 --format qcow2" in made.virsh
    row = volume("new.qcow2")()
    assert (row.capacity, row.format) == (GIB, "qcow2")
    assert presenter.present(made, made.actor)["subject_url"] == row.get_absolute_url()
    assert do("volume-clone", row, name="copy.qcow2").state == "succeeded"
    copy = volume("copy.qcow2")()
    assert do("volume-delete", copy).state == "succeeded"
    assert not StorageVolume.objects.filter(pk=copy.pk).exists()
    assert there.volumes() == ["first.qcow2", "new.qcow2"]


def test_one_that_came_meanwhile_is_not_overwritten(there, pool, do):  # noqa: F811
    there.make_volume("there.qcow2")
    ended = do("volume-create", pool, name="there.qcow2", capacity=GIB)
    assert ended.state == "refused" and "by now" in ended.error["message"]
    first = StorageVolume.objects.get(name="first.qcow2")
    assert do("volume-clone", first, name="there.qcow2").state == "refused"


def test_a_guest_that_came_meanwhile_keeps_its_disk(there, pool, do, eventually):  # noqa: F811
    there.define_guest("web", "/default-pool/first.qcow2")
    first = StorageVolume.objects.get(name="first.qcow2")
    from hosts.models import StorageClaim

    eventually(lambda: StorageClaim.objects.exists())
    forget = StorageClaim.objects.all().delete
    ended = unheard(eventually, forget, lambda: do("volume-delete", first))
    assert ended.state == "refused" and "web" in ended.error["message"]
    ended = unheard(eventually, forget, lambda: do("volume-wipe", first, confirm="first.qcow2"))
    assert ended.state == "refused"
    assert there.volumes() == ["first.qcow2"]
    assert do("volume-delete", first, confirm="first.qcow2").state == "succeeded"
    assert there.volumes() == []


def test_what_the_host_cannot_do_fails_in_libvirts_words(there, do):  # noqa: F811
    first = StorageVolume.objects.get(name="first.qcow2")
    assert do("volume-resize", first, capacity=GIB).error["type"] == "Unsupported"
    assert do("volume-wipe", first, confirm="first.qcow2").error["type"] == "Unsupported"


@pytest.mark.parametrize("name", ["", "../x", "a/b", "a\nb", "x" * 300, "ü" * 150, "-x", ".x", " x", "a\0b", None, 5])
@pytest.mark.parametrize("kind", ["volume-create", "volume-clone"])
def test_hostile_names_are_refused(operator, kind, name):
    row = make_volume(make_pool(make_host()), "disk")
    arguments = {"name": name} | ({"capacity": GIB} if kind == "volume-create" else {})
    with pytest.raises((InvalidArguments, NotNow)) as caught:
        queue.enqueue(kind, row.pool if kind == "volume-create" else row, arguments, operator)
    assert caught.value.field == "name" and not Operation.objects.exists()


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        ({"capacity": 0}, "capacity"),
        ({"capacity": 1 << 70}, "capacity"),
        ({"capacity": "1G"}, "capacity"),
        ({"capacity": True}, "capacity"),
        ({"format": "vmdk"}, "format"),
        ({"allocate": "yes"}, "allocate"),
        ({"allocate": True, "capacity": 70 * GIB}, "capacity"),
        ({"backing": "/etc/shadow"}, "backing"),
        ({"backing": "/pools/images/disk", "format": "raw"}, "backing"),
        ({"backing": "/pools/images/disk", "allocate": True}, "allocate"),
        ({"name": "disk"}, "name"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_what_cannot_be_made_is_said_by_field(operator, arguments, field):
    pool = make_pool(make_host())
    make_volume(pool, "disk")
    with pytest.raises((InvalidArguments, NotNow)) as caught:
        queue.enqueue("volume-create", pool, {"name": "new", "capacity": GIB} | arguments, operator)
    assert caught.value.field == field


def test_thin_volumes_may_promise_more_than_there_is_and_lie_on_another(operator):
    pool = make_pool(make_host())
    base = make_volume(pool, "base")
    asked = queue.enqueue("volume-create", pool, {"name": "n", "capacity": 500 * GIB, "backing": base.path}, operator)
    assert f"--backing-vol {base.path} --backing-vol-format qcow2" in asked.virsh


@pytest.mark.parametrize("kind", ["iscsi", "scsi", "mpath", "gluster"])
def test_types_whose_volumes_are_made_elsewhere_say_so(operator, kind):
    pool = make_pool(make_host(), type=kind)
    with pytest.raises(Refused, match=kind):
        queue.enqueue("volume-create", pool, {"name": "n", "capacity": GIB}, operator)


def test_two_people_do_not_make_or_change_one_volume_at_once(operator):
    a, b = make_host("a"), make_host("b")
    here, twin = (make_pool(host, shared_key="netfs:f:/x") for host in (a, b))
    alone = make_pool(make_host("c"))
    queue.enqueue("volume-create", here, {"name": "new", "capacity": GIB}, operator)
    for pool in (here, twin):
        with pytest.raises(Refused, match="just now"):
            queue.enqueue("volume-create", pool, {"name": "new", "capacity": GIB}, operator)
    queue.enqueue("volume-create", here, {"name": "other", "capacity": GIB}, operator)
    queue.enqueue("volume-create", alone, {"name": "new", "capacity": GIB}, operator)
    disks = [make_volume(pool, "disk") for pool in (here, twin)]
    queue.enqueue("volume-resize", disks[0], {"capacity": 20 * GIB}, operator)
    with pytest.raises(Refused, match="busy"):
        queue.enqueue("volume-delete", disks[1], {}, operator)
    with pytest.raises((InvalidArguments, NotNow)):
        queue.enqueue("volume-clone", make_volume(here, "source"), {"name": "new"}, operator)


def test_a_pool_is_not_taken_away_under_its_volumes_nor_they_made_while_it_goes(people, operator):
    admin = Actor(people["administrator"])
    pool = make_pool(make_host())
    disk = make_volume(pool, "disk")
    asked = queue.enqueue("volume-create", pool, {"name": "new", "capacity": GIB}, operator)
    for kind in ("pool-stop", "pool-delete"):
        with pytest.raises(Refused, match="images/new"):
            queue.enqueue(kind, pool, {}, admin)
    queue.cancel(asked, operator)
    queue.enqueue("pool-stop", pool, {}, admin)
    for kind, row, arguments in (
        ("volume-create", pool, {"name": "n", "capacity": GIB}),
        ("volume-delete", disk, {}),
        ("volume-clone", disk, {"name": "n"}),
    ):
        with pytest.raises(Refused, match="pool-stop"):
            queue.enqueue(kind, row, arguments, operator)


def test_what_is_used_is_deleted_only_with_its_name_typed_and_never_damaged(operator):
    host = make_host()
    pool = make_pool(host)
    base = make_volume(pool, "base")
    top = make_volume(pool, "top", backing_path=base.path)
    make_claim(host, "web", top.path, active=True)
    for row in (base, top):
        with pytest.raises(Refused, match="web"):
            queue.enqueue("volume-delete", row, {}, operator)
        for kind, arguments in (
            ("volume-wipe", {"confirm": row.name}),
            ("volume-resize", {"capacity": 20 * GIB}),
            ("volume-clone", {"name": "copy"}),
        ):
            with pytest.raises(Refused):
                queue.enqueue(kind, row, arguments, operator)
    assert queue.enqueue("volume-delete", top, {"confirm": "top"}, operator).state == "queued"


def test_making_it_smaller_wants_its_name(operator):
    row = make_volume(make_pool(make_host()), "disk")
    for confirm in ("", "Disk"):
        with pytest.raises((InvalidArguments, NotNow)) as caught:
            queue.enqueue("volume-resize", row, {"capacity": GIB, "confirm": confirm}, operator)
        assert caught.value.field == "confirm"
    asked = queue.enqueue("volume-resize", row, {"capacity": GIB, "confirm": "disk"}, operator)
    assert asked.virsh.endswith("--shrink")


@pytest.mark.parametrize("columns", [{"absent_since": "2026-01-31T00:00:00Z"}, {"name": "n" * 300}])
def test_what_is_gone_or_cannot_be_recorded_is_refused(operator, columns):
    row = make_volume(make_pool(make_host()), **{"name": "disk"} | columns)
    with pytest.raises(Refused):
        queue.enqueue("volume-delete", row, {}, operator)


def test_a_viewer_changes_no_volume(people):
    row = make_volume(make_pool(make_host()), "disk")
    for kind in ("volume-create", "volume-clone", "volume-resize", "volume-wipe", "volume-delete"):
        with pytest.raises(access.Denied):
            queue.enqueue(kind, row.pool if kind == "volume-create" else row, {}, Actor(people["viewer"]))


def test_an_operation_finds_its_volume(operator):
    row = make_volume(make_pool(make_host()), "a b")
    asked = queue.enqueue("volume-delete", row, {}, operator)
    assert (asked.subject_name, find_volume(asked)) == ("images/a b", row)


# --- after a crash


def test_interrupted_changes_are_found_done_or_said_to_be_uncertain(there, pool):  # noqa: F811
    there.test_host_uri = there.host.uri
    first = StorageVolume.objects.select_related("pool__host").get(name="first.qcow2")
    with pytest.raises(Uncertain):
        recovered(there, "volume-delete", first, confirm="")
    with pytest.raises(Uncertain):
        recovered(there, "volume-wipe", first, algorithm="zero", confirm="first.qcow2")
    with pytest.raises(Uncertain):
        recovered(there, "volume-resize", first, capacity=5 << 20, confirm="")
    assert recovered(there, "volume-resize", first, capacity=1 << 20, confirm="")["recovered"]
    with pytest.raises(Failed):
        recovered(there, "volume-clone", first, name="copy")
    there.make_volume("copy")
    assert recovered(there, "volume-clone", first, name="copy")["recovered"]
    there.pool().storageVolLookupByName("first.qcow2").delete()
    assert recovered(there, "volume-delete", first, confirm="")["recovered"]
    assert not StorageVolume.objects.filter(pk=first.pk).exists()


def test_an_interrupted_making_is_found_or_said_not_to_be_there(there, pool, operator):  # noqa: F811
    from hosts.hypervisor.connection import Connection
    from hosts.hypervisor.records import Target
    from hosts.operations.task import Hold, Task

    operation = Operation.objects.create(
        kind="volume-create", host=there.host, subject_name="default-pool/half", state="running", owner="test",
        arguments={"name": "half", "capacity": 1 << 20, "format": "qcow2", "allocate": False},
    )  # fmt: skip
    kind = registry["volume-create"]
    task = Task(operation, kind, lambda _host, _own: Connection.open(Target(there.host.uri)), Hold())
    with pytest.raises(Failed):
        kind.recover(task)
    there.make_volume("half")
    assert kind.recover(task)["recovered"]
    task.close()
