"""Operations on pools, through the queue and the runner, on libvirt's test driver."""

from __future__ import annotations

from typing import Any

import libvirt
import pytest

from hosts import access
from hosts.audit import Actor
from hosts.models import AuditEntry, Operation, OperationSecret, StoragePool, StorageTypes, StorageVolume
from hosts.operations import presenter, queue
from hosts.operations.kind import InvalidArguments, Refused, Uncertain, registry
from hosts.operations.storage_base import NotNow, find_pool
from hosts.operations.task import Hold, Task
from hosts.tests.storage_making import make_claim, make_host, make_pool, make_volume
from hosts.tests.test_storage_mirror import there  # noqa: F401

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "metrics"])


@pytest.fixture
def admin(people: dict[str, Any]) -> Actor:
    return Actor(people["administrator"], "192.0.2.1")


@pytest.fixture
def do(eventually, admin):
    def ask(kind: str, row: Any, **arguments: Any) -> Operation:
        row.refresh_from_db()
        asked = queue.enqueue(kind, row, arguments, admin)
        ended = Operation.objects.filter(pk=asked.pk).exclude(state__in=Operation.ACTIVE)
        return eventually(ended.first, what=f"{kind} to end")

    return ask


@pytest.fixture
def pool(there, eventually):  # noqa: F811
    there.define_pool("mine")
    return eventually(lambda: StoragePool.objects.filter(name="mine", active=True).first())


def seen(pool, **columns):
    return lambda: StoragePool.objects.filter(pk=pool.pk, **columns).exists()


def test_a_pool_is_stopped_started_refreshed_and_set_to_start_with_the_host(there, pool, do, eventually):  # noqa: F811
    assert do("pool-stop", pool).state == "succeeded"
    assert not there.pool("mine").isActive()
    assert seen(pool, active=False)()
    assert do("pool-start", pool).state == "succeeded"
    assert seen(pool, active=True)()
    there.make_volume("copied", "mine")
    assert do("pool-refresh", pool).state == "succeeded"
    eventually(lambda: StorageVolume.objects.filter(pool=pool, name="copied").exists())
    for enabled in (True, False):
        assert do("pool-autostart", pool, enabled=enabled).state == "succeeded"
        assert bool(there.pool("mine").autostart()) is enabled
        assert seen(pool, autostart=enabled)()


def test_a_pool_is_defined_built_started_and_seen(there, do):  # noqa: F811
    there.host.refresh_from_db()
    ended = do("pool-define", there.host, type="dir", name="fresh", path="/srv/fresh", start=True, autostart=True)
    assert ended.state == "succeeded", ended.error
    row = StoragePool.objects.get(name="fresh", active=True, autostart=True)
    assert (str(row.uuid), row.path) == (ended.result["pool"], "/srv/fresh")
    assert "pool-define-as fresh dir --target /srv/fresh" in ended.virsh
    assert presenter.present(ended, ended.actor)["subject_url"] == row.get_absolute_url()


def test_a_name_that_is_taken_is_refused_by_the_rows_and_else_by_the_host(there, do, admin):  # noqa: F811
    there.host.refresh_from_db()
    with pytest.raises((InvalidArguments, NotNow)):
        queue.enqueue("pool-define", there.host, {"type": "dir", "name": "default-pool", "path": "/x"}, admin)
    StoragePool.objects.filter(name="default-pool").update(absent_since="2026-01-31T00:00:00Z")
    ended = do("pool-define", there.host, type="dir", name="default-pool", path="/x")
    assert ended.state == "refused"
    assert len(there.raw.listAllStoragePools()) == 1


def test_what_fails_half_way_is_taken_back(there, do):  # noqa: F811
    there.host.refresh_from_db()
    # The test driver has no secrets: the first step fails, and nothing may be left.
    ended = do(
        "pool-define", there.host, type="iscsi", name="chap", host="10.0.0.9", target="iqn.2026-01.com.example:x",
        username="u", password="hunter2-hunter2",
    )  # fmt: skip
    assert ended.state == "failed" and ended.error["type"] == "Unsupported"
    assert [pool.name() for pool in there.raw.listAllStoragePools()] == ["default-pool"]
    assert not OperationSecret.objects.exists()
    assert "hunter2" not in str([ended.arguments, ended.virsh, ended.error, list(ended.log.values_list("text")),
                                 list(AuditEntry.objects.values_list("detail"))])  # fmt: skip


def test_a_password_is_sealed_while_the_operation_waits_and_gone_when_it_is_cancelled(people, admin):
    host = make_host()
    arguments = {
        "type": "rbd",
        "name": "ceph",
        "hosts": ["mon1"],
        "source_name": "vms",
        "username": "admin",
        "password": "QUJDREVG",
    }
    asked = queue.enqueue("pool-define", host, arguments, admin)
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("SELECT sealed FROM hosts_operationsecret")
        stored = cursor.fetchone()[0]
    assert "QUJDREVG" not in stored and OperationSecret.objects.get().sealed.open() == "QUJDREVG"
    queue.cancel(asked, admin)
    assert not OperationSecret.objects.exists()


def test_a_type_whose_driver_the_host_lacks_is_refused_with_what_to_install(admin):
    host = make_host()
    StorageTypes.objects.create(host=host, types={"dir": True, "rbd": False})
    with pytest.raises(Refused, match="libvirt-daemon-driver-storage-rbd"):
        queue.enqueue(
            "pool-define", host, {"type": "rbd", "name": "ceph", "hosts": ["mon1"], "source_name": "vms"}, admin
        )
    queue.enqueue("pool-define", host, {"type": "dir", "name": "d", "path": "/d"}, admin)


def test_sources_are_found(there, do):  # noqa: F811
    there.host.refresh_from_db()
    ended = do("pool-find", there.host, type="netfs", host="filer")
    source = ended.result["sources"][0]
    assert (source["hosts"], source["folder"], source["format"]) == (["filer"], "/testshare", "nfs")
    groups = do("pool-find", there.host, type="logical").result["sources"]
    assert [group["name"] for group in groups] == ["testvg1", "testvg2"]


def test_finding_asks_for_the_server_where_there_is_one(admin):
    for arguments in ({"type": "netfs"}, {"type": "netfs", "host": "-x"}, {"type": "dir"}, {"type": "logical", "x": 1}):
        with pytest.raises((InvalidArguments, NotNow)):
            queue.enqueue(
                "pool-find", make_host(f"k{StoragePool.objects.count()}{len(str(arguments))}"), arguments, admin
            )


def test_a_pool_is_forgotten_with_its_row_and_its_storage_stays(there, pool, do):  # noqa: F811
    assert do("pool-delete", pool).state == "succeeded"
    assert not StoragePool.objects.filter(pk=pool.pk).exists()
    with pytest.raises(libvirt.libvirtError):
        there.pool("mine")


def test_storage_is_deleted_only_with_its_name_typed_and_by_types_that_can(there, pool, do, admin):  # noqa: F811
    for confirm in ("", "Mine", "mine "):
        with pytest.raises((InvalidArguments, NotNow)):
            queue.enqueue("pool-delete", pool, {"delete_storage": True, "confirm": confirm}, admin)
    ended = do("pool-delete", pool, delete_storage=True, confirm="mine")
    assert (ended.state, ended.result["storage"]) == ("succeeded", True)
    assert ended.virsh.splitlines() == ["virsh pool-destroy mine", "virsh pool-delete mine", "virsh pool-undefine mine"]
    mpath = make_pool(make_host(), "m", type="mpath")
    with pytest.raises(Refused, match="mpath"):
        queue.enqueue("pool-delete", mpath, {"delete_storage": True, "confirm": "m"}, admin)


def test_storage_in_which_guests_have_disks_is_not_deleted(admin):
    host = make_host()
    row = make_pool(host, "images")
    make_claim(host, "web", make_volume(row, "disk").path)
    with pytest.raises(Refused, match="web"):
        queue.enqueue("pool-delete", row, {"delete_storage": True, "confirm": "images"}, admin)


def test_a_mount_that_guests_have_open_is_stopped_only_with_its_name_typed(admin):
    host = make_host()
    nfs, folder = make_pool(host, "nfs", type="netfs"), make_pool(host, "folder")
    for row in (nfs, folder):
        make_claim(host, "web", make_volume(row, "disk").path, active=True)
    for kind in ("pool-stop", "pool-delete"):
        with pytest.raises(Refused, match="web"):
            queue.enqueue(kind, nfs, {}, admin)
    queue.enqueue("pool-stop", nfs, {"confirm": "nfs"}, admin)
    queue.enqueue("pool-stop", folder, {}, admin)


@pytest.mark.parametrize(
    ("kind", "columns"),
    [
        ("pool-start", {"active": True}),
        ("pool-stop", {"active": False}),
        ("pool-refresh", {"active": False}),
        ("pool-start", {"active": False, "absent_since": "2026-01-31T00:00:00Z"}),
        ("pool-autostart", {"persistent": False}),
    ],
)
def test_what_makes_no_sense_now_is_refused(admin, kind, columns):
    with pytest.raises(Refused):
        queue.enqueue(kind, make_pool(make_host(), **columns), {}, admin)


def test_two_people_do_not_change_one_pool_at_once_and_others_are_not_in_the_way(admin):
    first, second = make_pool(make_host("a"), active=False), make_pool(make_host("b"), active=False)
    StoragePool.objects.update(uuid=first.uuid)
    second.refresh_from_db()
    queue.enqueue("pool-start", first, {}, admin)
    with pytest.raises(Refused, match="busy"):
        queue.enqueue("pool-delete", first, {}, admin)
    queue.enqueue("pool-start", second, {}, admin)


@pytest.mark.parametrize("role", ["viewer", "operator"])
def test_pools_are_an_administrators_and_only_looking_again_is_everybodys_who_operates(people, role):
    row = make_pool(make_host())
    for kind in ("pool-stop", "pool-delete", "pool-autostart"):
        with pytest.raises(access.Denied):
            queue.enqueue(kind, row, {}, Actor(people[role]))
    if role == "operator":
        assert queue.enqueue("pool-refresh", row, {}, Actor(people[role])).state == "queued"


# --- after a crash: look, never repeat


def recovered(there, kind: str, row: Any, **arguments: Any) -> dict[str, Any]:  # noqa: F811
    from hosts.hypervisor.connection import Connection
    from hosts.hypervisor.records import Target

    subject = registry[kind].subject(row)
    operation = Operation.objects.create(
        kind=kind, host=there.host, subject_name=subject.name, subject_uuid=subject.uuid, arguments=arguments,
        state="running", owner="test",
    )  # fmt: skip
    task = Task(operation, registry[kind], lambda _host, _own: Connection.open(Target(there.test_host_uri)), Hold())
    try:
        return registry[kind].recover(task)
    finally:
        task.close()


@pytest.mark.parametrize(
    ("kind", "arguments", "before", "after"),
    [
        ("pool-start", {}, ["destroy"], ["create"]),
        ("pool-stop", {}, [], ["destroy"]),
        ("pool-delete", {"delete_storage": False, "confirm": ""}, [], ["destroy", "undefine"]),
    ],
)
def test_an_interrupted_change_is_found_done_or_said_to_be_uncertain(there, pool, kind, arguments, before, after):  # noqa: F811
    there.test_host_uri = there.host.uri
    raw = there.pool("mine")
    for verb in before:
        getattr(raw, verb)()
    with pytest.raises(Uncertain):
        recovered(there, kind, pool, **arguments)
    for verb in after:
        getattr(raw, verb)()
    assert recovered(there, kind, pool, **arguments)["recovered"]


def test_an_interrupted_definition_is_found_or_said_not_to_be_there(there):  # noqa: F811
    from hosts.hypervisor.errors import Failed

    there.test_host_uri = there.host.uri
    arguments = registry["pool-define"].clean({"type": "dir", "name": "half", "path": "/half", "start": True})
    with pytest.raises(Failed):
        recovered(there, "pool-define", there.host, **arguments)
    from hosts.storage_xml import pool as xml

    raw = there.raw.storagePoolDefineXML(xml(arguments))
    with pytest.raises(Uncertain):
        recovered(there, "pool-define", there.host, **arguments)
    raw.create()
    assert recovered(there, "pool-define", there.host, **arguments)["recovered"]


def test_an_operation_finds_its_pool_by_name_and_lock(admin):
    row = make_pool(make_host())
    asked = queue.enqueue("pool-stop", row, {}, admin)
    assert find_pool(asked) == row
    StoragePool.objects.filter(pk=row.pk).update(uuid="00000000-0000-0000-0000-000000000009")
    assert find_pool(asked) is None
