"""The mirror of storage: against libvirt's test driver, and what is made of looks that are handed in."""

from __future__ import annotations

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from hosts import notify, storage_inventory
from hosts.models import Host, StorageClaim, StoragePool, StorageVolume
from hosts.storage_queries import once, orphans, with_sums, written
from hosts.storage_use import chain_of, use_of
from hosts.tests.storage_making import (
    LONG_AGO,
    Elsewhere,
    look,
    make_claim,
    make_host,
    make_pool,
    make_volume,
    pool_seen,
    volume_seen,
)

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "metrics"])


@pytest.fixture
def there(make_test_host, roles, eventually):
    test_host = make_test_host()
    elsewhere = Elsewhere(test_host.uri)
    elsewhere.make_volume("first.qcow2")
    elsewhere.host = Host.objects.create(name="one", uri=test_host.uri)
    notify.changed("hosts-configured")
    eventually(lambda: StorageVolume.objects.filter(name="first.qcow2").exists(), what="the first volume")
    return elsewhere


def look_at(pool):
    notify.look_again(pool.host_id, f"pool:{pool.uuid}")


def test_pools_and_volumes_that_were_there_before_are_mirrored(there):
    volume = StorageVolume.objects.select_related("pool").get(name="first.qcow2")
    assert (volume.pool.name, volume.pool.type, volume.pool.path) == ("default-pool", "dir", "/default-pool")
    assert (volume.path, volume.capacity, volume.format) == ("/default-pool/first.qcow2", 1 << 20, "qcow2")


def test_a_pool_made_stopped_and_removed_elsewhere_is_seen_by_its_events(there, eventually):
    pool = there.define_pool("fresh")
    row = eventually(lambda: StoragePool.objects.filter(name="fresh", active=True).first())
    there.make_volume("kept.raw", "fresh")
    look_at(row)
    eventually(lambda: StorageVolume.objects.filter(pool=row, name="kept.raw").exists())
    pool.destroy()
    eventually(lambda: StoragePool.objects.filter(pk=row.pk, active=False).exists())
    assert StorageVolume.objects.get(pool=row).absent_since is None, "a pool that is off says nothing of its volumes"
    pool.undefine()
    eventually(lambda: StoragePool.objects.get(pk=row.pk).absent_since)


def test_volumes_come_and_go_by_rereading_the_one_pool(there, eventually):
    row = StoragePool.objects.get(name="default-pool")
    there.make_volume("second.raw", form="raw")
    look_at(row)
    second = eventually(lambda: StorageVolume.objects.filter(name="second.raw").first())
    there.pool().storageVolLookupByName("second.raw").delete()
    look_at(row)
    eventually(lambda: StorageVolume.objects.get(pk=second.pk).absent_since)
    there.make_volume("second.raw", form="raw")
    look_at(row)
    eventually(lambda: StorageVolume.objects.get(pk=second.pk).absent_since is None)


def test_what_guests_name_in_their_definitions_is_claimed(there, eventually):
    there.define_guest("owner", "/default-pool/first.qcow2", "/elsewhere/other.raw")
    eventually(lambda: StorageClaim.objects.filter(owner_name="owner").count() == 2)
    volume = StorageVolume.objects.select_related("pool__host").get(name="first.qcow2")
    users = use_of([volume])[volume.pk].users
    assert [(user.name, user.host, user.target, user.active) for user in users] == [("owner", "one", "sda", False)]
    there.raw.lookupByName("owner").create()
    eventually(lambda: use_of([volume])[volume.pk].active)
    there.raw.lookupByName("owner").destroy()
    there.raw.lookupByName("owner").undefine()
    eventually(lambda: not StorageClaim.objects.exists())


# --- what is made of a look


def test_what_cannot_be_read_keeps_what_was_last_seen_and_says_why():
    host = make_host()
    storage_inventory.storage_seen(host.pk, look(pool_seen(volume_seen("a"))))
    pool = StoragePool.objects.get()
    silent = look(type(pool_seen())(str(pool.uuid), trouble="It does not answer."), complete=False)
    storage_inventory.storage_seen(host.pk, silent)
    pool.refresh_from_db()
    assert (pool.trouble, pool.active, pool.absent_since) == ("It does not answer.", True, None)
    assert pool.volumes.filter(absent_since=None).count() == 1
    storage_inventory.storage_seen(host.pk, look(pool_seen(volume_seen("a"))))
    pool.refresh_from_db()
    assert pool.trouble == ""


def test_only_a_complete_look_says_that_a_pool_is_gone():
    host = make_host()
    storage_inventory.storage_seen(host.pk, look(pool_seen()))
    storage_inventory.storage_seen(host.pk, look(complete=False))
    assert StoragePool.objects.get().absent_since is None
    storage_inventory.storage_seen(host.pk, look())
    assert StoragePool.objects.get().absent_since is not None


def test_a_look_at_many_volumes_costs_a_few_statements():
    host = make_host()
    many = look(pool_seen(*[volume_seen(f"v{n}") for n in range(1200)]))
    with CaptureQueriesContext(connection) as first:
        storage_inventory.storage_seen(host.pk, many)
    with CaptureQueriesContext(connection) as again:
        storage_inventory.storage_seen(host.pk, many)
    assert StorageVolume.objects.count() == 1200
    assert len(first) < 40 and len(again) < 15


# --- the same storage

NFS = "<pool type='netfs'><name>{name}</name><source><host name='{server}'/><dir path='{folder}'/></source></pool>"


def see(host, *volumes, **facts):
    storage_inventory.storage_seen(host.pk, look(pool_seen(*volumes, **facts)))
    return StoragePool.objects.get(host=host)


def shared(*pools):
    rows = with_sums(StoragePool.objects.filter(pk__in=[pool.pk for pool in pools]))
    return {pool.sharing for pool in rows} == {len(pools)}


def test_one_export_mounted_by_two_hosts_is_one_storage_whatever_its_pools_are_called():
    first = see(
        make_host("a"), name="nfs", type="netfs", definition=NFS.format(name="nfs", server="Filer", folder="/x/")
    )
    second = see(
        make_host("b"), name="vms", type="netfs", definition=NFS.format(name="vms", server="filer", folder="/x")
    )
    third = see(
        make_host("c"), name="nfs", type="netfs", definition=NFS.format(name="nfs", server="filer", folder="/y")
    )
    assert first.shared_key == second.shared_key != third.shared_key
    assert shared(first, second) and not shared(first, second, third)


def test_folders_of_one_path_with_the_same_volumes_are_one_storage_also_when_one_is_not_refreshed():
    a, b = make_host("a"), make_host("b")
    see(a, volume_seen("x"), volume_seen("y"))
    see(b, volume_seen("x"), volume_seen("y"))
    assert shared(*StoragePool.objects.all())
    see(a, volume_seen("x"), volume_seen("y"), volume_seen("new"))
    see(b, volume_seen("x"), volume_seen("y"))
    assert shared(*StoragePool.objects.all())


@pytest.mark.parametrize(
    "other",
    [
        pytest.param([volume_seen("x")], id="other volumes"),
        pytest.param([volume_seen("x"), volume_seen("y", modified=None)], id="times that are not told"),
        pytest.param(
            [volume_seen("x", modified=LONG_AGO.replace(year=2020)), volume_seen("y", modified=None)], id="a copy"
        ),
        pytest.param([volume_seen("x"), volume_seen("y", capacity=5)], id="other sizes"),
        pytest.param([], id="empty"),
    ],
)
def test_folders_of_one_path_that_only_look_alike_are_two(other):
    see(make_host("a"), volume_seen("x"), volume_seen("y", modified=None))
    see(make_host("b"), *other)
    pools = list(StoragePool.objects.all())
    expected = len(other) == 2 and other[0].modified == LONG_AGO and other[1].capacity != 5
    assert shared(*pools) is expected


def test_folders_that_were_one_and_have_nothing_in_common_any_more_are_two():
    a, b = make_host("a"), make_host("b")
    see(a, volume_seen("x"))
    see(b, volume_seen("x"))
    see(b, volume_seen("other"))
    assert not shared(*StoragePool.objects.all())


def test_what_a_person_said_stands():
    a, b = make_host("a"), make_host("b")
    see(a, volume_seen("x"))
    see(b, volume_seen("x"))
    StoragePool.objects.update(shared_by="person", shared_key="")
    see(a, volume_seen("x"), volume_seen("y"))
    assert not shared(*StoragePool.objects.all())


# --- who uses what


def test_a_guest_uses_what_its_disk_lies_on_through_volumes_that_nobody_names():
    host = make_host()
    pool = make_pool(host)
    base = make_volume(pool, "base")
    middle = make_volume(pool, "middle", backing_path=base.path)
    top = make_volume(pool, "top", backing_path=middle.path)
    make_claim(host, "web", top.path, active=True)
    use = use_of([base, middle, top])
    assert [user.through for volume in (top, middle, base) for user in use[volume.pk].users] == ["", "top", "top"]
    assert [volume.name for volume in use[base.pk].overlays] == ["middle"]
    assert [step.name for step in chain_of(top)] == ["middle", "base"]
    assert not orphans(StorageVolume.objects.all()).exists()


def test_a_chain_that_bites_its_tail_or_leaves_the_pools_ends():
    host = make_host()
    pool = make_pool(host)
    one = make_volume(pool, "one", backing_path="/pools/images/two")
    two = make_volume(pool, "two", backing_path="/pools/images/one")
    out = make_volume(pool, "out", backing_path="/srv/base.raw")
    assert [str(getattr(step, "name", step)) for step in chain_of(one)] == ["two", "/pools/images/one"]
    assert chain_of(out) == ["/srv/base.raw"]
    assert use_of([one])[one.pk].overlays == [two]


def test_a_guest_of_another_host_uses_what_is_shared():
    a, b = make_host("a"), make_host("b")
    here = make_volume(make_pool(a, shared_key="netfs:filer:/x", path="/mnt/a"), "disk")
    there_pool = make_pool(b, shared_key="netfs:filer:/x", path="/mnt/b")
    make_volume(there_pool, "disk")
    make_claim(b, "web", "/mnt/b/disk")
    assert [(user.name, user.host) for user in use_of([here])[here.pk].users] == [("web", "b")]
    assert not orphans(StorageVolume.objects.all()).exists()
    assert once(StorageVolume.objects.all(), StoragePool.objects.all()).count() == 1


def test_the_same_path_on_another_host_is_another_disk():
    a, b = make_host("a"), make_host("b")
    here = make_volume(make_pool(a), "disk")
    make_claim(b, "web", here.path)
    assert not use_of([here])[here.pk]
    assert list(orphans(StorageVolume.objects.all())) == [here]


def test_disks_of_type_volume_are_uses_too():
    host = make_host()
    volume = make_volume(make_pool(host), "disk")
    make_claim(host, "web", pool_name="images", volume_name="disk")
    assert use_of([volume])[volume.pk].names == ["web"]
    assert not orphans(StorageVolume.objects.all()).exists()


def test_orphans_are_what_nobody_uses_and_no_images_of_cds():
    host = make_host()
    pool = make_pool(host)
    for name in ("lost", "debian.ISO", "used", "gone"):
        make_volume(pool, name, absent_since=LONG_AGO if name == "gone" else None)
    make_claim(host, "web", f"{pool.path}/used")
    assert [volume.name for volume in orphans(StorageVolume.objects.all())] == ["lost"]
    assert [volume.name for volume in StorageVolume.objects.filter(written())] == ["used"]


def test_uses_of_a_page_of_volumes_cost_a_constant_number_of_queries():
    host = make_host()
    pool = make_pool(host, shared_key="rbd:x/y")
    volumes = [make_volume(pool, f"v{n}") for n in range(30)]
    for volume in volumes:
        make_claim(host, f"guest-{volume.name}", volume.path)
    rows = list(StorageVolume.objects.select_related("pool__host"))
    counts = []
    for some in (rows[:2], rows):
        with CaptureQueriesContext(connection) as queries:
            use_of(some)
        counts.append(len(queries))
    assert counts[0] == counts[1] <= 4
