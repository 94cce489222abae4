"""Deleting guests: on libvirt's test driver what goes and what stays, by the rows what is refused, and forgetting what is gone."""

from __future__ import annotations

import uuid

import libvirt
import pytest
from django.utils import timezone

from hosts import access
from hosts.audit import Actor
from hosts.hypervisor.errors import Failed
from hosts.models import AuditEntry, Operation, StorageClaim, StorageVolume
from hosts.operations import presenter, queue
from hosts.operations.kind import InvalidArguments, Refused
from hosts.operations.storage_base import NotNow
from hosts.tests.storage_making import make_claim, make_pool, make_volume, unheard
from hosts.tests.test_storage_mirror import there  # noqa: F401
from hosts.tests.test_storage_pools import recovered
from vms import deleting
from vms.models import Sighting, VirtualMachine
from vms.tests.making import HTMX, browser, make_guest, make_host, sighted
from vms.tests.test_operations import do, finished

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "metrics"])
DISK = "/default-pool/first.qcow2"


@pytest.fixture
def operator(people):
    return Actor(people["operator"], "192.0.2.1")


@pytest.fixture
def guest(there, eventually):  # noqa: F811
    """One with a disk of its own."""
    there.test_host_uri = there.host.uri
    identity = there.define_guest("web", DISK)
    eventually(lambda: StorageClaim.objects.filter(owner=identity).exists())
    return VirtualMachine.objects.get(pk=identity)


def names(there):  # noqa: F811
    return {domain.name() for domain in there.raw.listAllDomains(0)}


def test_a_guest_goes_with_its_definition_and_the_disk_that_was_chosen(there, guest, operator, eventually):  # noqa: F811
    ended = do(eventually, "undefine", guest, operator, confirm="web", disks=[DISK])
    assert ended.state == "succeeded", ended.error
    assert ended.result == {"deleted": [DISK]}
    assert "web" not in names(there) and there.volumes() == []
    assert not VirtualMachine.objects.filter(pk=guest.pk).exists(), "its row is gone as soon as it is said to be"
    assert "virsh undefine web --managed-save --snapshots-metadata" in ended.virsh
    assert "virsh vol-delete first.qcow2 --pool default-pool" in ended.virsh
    assert not StorageClaim.objects.filter(owner=guest.pk).exists()


def test_what_deleted_it_points_at_no_page_of_it(there, guest, operator, eventually):  # noqa: F811
    asked = queue.enqueue("undefine", guest, {"confirm": guest.name}, operator)
    assert presenter.present(asked, asked.actor)["subject_url"] == guest.get_absolute_url()
    ended = eventually(finished(asked))
    assert (ended.state, presenter.present(ended, ended.actor)["subject_url"]) == ("succeeded", "")


def test_disks_that_were_not_chosen_stay(there, guest, operator, eventually):  # noqa: F811
    assert do(eventually, "undefine", guest, operator, confirm="web").state == "succeeded"
    assert there.volumes() == ["first.qcow2"] and "web" not in names(there)


def test_one_that_runs_has_its_plug_pulled_only_when_that_is_asked_for(there, guest, operator, eventually):  # noqa: F811
    there.raw.lookupByName("web").create()
    eventually(lambda: VirtualMachine.objects.filter(pk=guest.pk, power_state="running").exists())
    with pytest.raises(NotNow) as caught:
        queue.enqueue("undefine", VirtualMachine.objects.get(pk=guest.pk), {"confirm": "web"}, operator)
    assert caught.value.field == "force"
    ended = do(eventually, "undefine", guest, operator, confirm="web", force=True)
    assert ended.state == "succeeded" and ended.virsh.startswith("virsh destroy web\n")
    assert "web" not in names(there)


def test_one_that_was_started_meanwhile_is_left_alone(there, guest, operator, eventually):  # noqa: F811
    there.raw.lookupByName("web").create()
    VirtualMachine.objects.filter(pk=guest.pk).update(power_state="shutoff")  # As if nobody had heard of it yet.
    guest.refresh_from_db()
    guest.power_state = "shutoff"
    asked = queue.enqueue("undefine", guest, {"confirm": "web"}, operator)
    ended = eventually(Operation.objects.filter(pk=asked.pk).exclude(state__in=Operation.ACTIVE).first)
    assert ended.state == "refused" and "running by now" in ended.error["message"]
    assert there.raw.lookupByName("web").isActive()


def test_protection_holds_until_it_is_taken_away_even_where_the_rows_do_not_know_of_it(
    there,  # noqa: F811
    guest,
    operator,
    eventually,
):
    assert do(eventually, "protect", guest, operator, enabled=True).state == "succeeded"
    eventually(lambda: VirtualMachine.objects.get(pk=guest.pk).protected)
    with pytest.raises(Refused, match="protected"):
        queue.enqueue("undefine", VirtualMachine.objects.get(pk=guest.pk), {"confirm": "web"}, operator)
    assert do(eventually, "set-metadata", guest, operator, tags=["a"]).state == "succeeded"
    eventually(lambda: VirtualMachine.objects.get(pk=guest.pk).tags.exists())
    assert VirtualMachine.objects.get(pk=guest.pk).protected, "other notes leave it as it is"
    stale = VirtualMachine.objects.get(pk=guest.pk)
    stale.protected = False
    asked = queue.enqueue("undefine", stale, {"confirm": "web"}, operator)
    ended = eventually(Operation.objects.filter(pk=asked.pk).exclude(state__in=Operation.ACTIVE).first)
    assert ended.state == "refused" and "web" in names(there)
    assert do(eventually, "protect", guest, operator, enabled=False).state == "succeeded"
    eventually(lambda: not VirtualMachine.objects.get(pk=guest.pk).protected)
    assert do(eventually, "undefine", guest, operator, confirm="web").state == "succeeded"


def test_a_disk_that_another_guest_came_to_use_meanwhile_stays_and_so_does_the_guest(
    there,  # noqa: F811
    guest,
    operator,
    eventually,
):
    other = there.define_guest("other", DISK)
    eventually(lambda: StorageClaim.objects.filter(owner=other).exists())
    ended = unheard(
        eventually,
        StorageClaim.objects.filter(owner=other).delete,
        lambda: do(eventually, "undefine", guest, operator, confirm="web", disks=[DISK]),
    )
    assert ended.state == "refused" and "other" in ended.error["message"]
    assert names(there) >= {"web", "other"} and there.volumes() == ["first.qcow2"]


def test_after_a_crash_it_is_found_there_or_brought_to_its_end(there, guest):  # noqa: F811
    arguments = {"confirm": "web", "disks": [DISK], "force": False}
    with pytest.raises(Failed, match="still there"):
        recovered(there, "undefine", guest, **arguments)
    pool = StorageVolume.objects.select_related("pool").get(name="first.qcow2").pool
    Operation.objects.update(progress={"volumes": [[str(pool.uuid), "first.qcow2", DISK]]}, state="failed")
    there.raw.lookupByName("web").undefine()
    from hosts.operations.kind import registry
    from hosts.operations.task import Hold, Task

    operation = Operation.objects.select_related("host").get(kind="undefine")
    Operation.objects.filter(pk=operation.pk).update(state="running")
    from hosts.hypervisor.connection import Connection
    from hosts.hypervisor.records import Target

    task = Task(operation, registry["undefine"], lambda _host, _own: Connection.open(Target(there.host.uri)), Hold())
    assert registry["undefine"].recover(task)["recovered"]
    task.close()
    assert there.volumes() == []
    with pytest.raises(libvirt.libvirtError):
        there.raw.lookupByName("web")


# --- by the rows


@pytest.fixture
def rows(db):
    host = make_host()
    pool = make_pool(host, path="/images")
    guest = make_guest(host, power_state="shutoff")
    make_claim(host, guest.name, "/images/a.qcow2", owner=guest.uuid)
    return guest, pool, make_volume(pool, "a.qcow2")


def reasons(guest):
    return {disk.source: disk.why for disk in deleting.disks_of(guest)}


def test_a_disk_of_its_own_may_go(rows):
    guest, _pool, _volume = rows
    assert reasons(guest) == {"/images/a.qcow2": ""}


def test_what_others_use_or_lie_on_is_never_deleted_and_says_so(rows, operator):
    guest, pool, volume = rows
    top = make_volume(pool, "top.qcow2", backing_path=volume.path)
    assert "top.qcow2" in reasons(guest)["/images/a.qcow2"]
    top.delete()
    make_claim(pool.host, "db-1", "/images/a.qcow2")
    assert "db-1" in reasons(guest)["/images/a.qcow2"]
    arguments = {"confirm": guest.name, "disks": ["/images/a.qcow2"]}
    with pytest.raises(NotNow, match="db-1"):
        queue.enqueue("undefine", guest, arguments, operator)


def test_disks_outside_pools_and_media_stay_but_a_seed_goes(rows):
    guest, pool, _volume = rows
    make_volume(pool, "web-1-seed.iso", format="raw")
    make_volume(pool, "debian.iso", format="iso")
    cd = {**guest.disks[0], "device": "cdrom", "readonly": True}
    guest.disks = [
        {**guest.disks[0], "source": "/elsewhere/x"},
        {**cd, "source": "/images/web-1-seed.iso"},
        {**cd, "source": "/images/debian.iso"},
        {**cd, "source": ""},
    ]
    found = reasons(guest)
    assert found["/images/web-1-seed.iso"] == ""
    assert found["/elsewhere/x"] and found["/images/debian.iso"] and len(found) == 3


def test_disks_stay_while_another_host_holds_a_definition(rows):
    guest, _pool, _volume = rows
    sighted(guest, make_host("kvm2"), "shutoff")
    assert "kvm2" in reasons(guest)["/images/a.qcow2"]


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        ({}, "confirm"),
        ({"confirm": "Web-1"}, "confirm"),
        ({"confirm": "web-1", "disks": ["/images/b.qcow2"]}, "disks"),
        ({"confirm": "web-1", "disks": "/images/a.qcow2"}, "disks"),
        ({"confirm": "web-1", "force": "yes"}, "force"),
        ({"confirm": "web-1", "colour": "red"}, "colour"),
    ],
)
def test_what_is_wrong_is_said_by_field(rows, operator, arguments, field):
    with pytest.raises((InvalidArguments, NotNow)) as caught:
        queue.enqueue("undefine", rows[0], arguments, operator)
    assert caught.value.field == field and not Operation.objects.exists()


def test_the_dialog_shows_what_goes_what_stays_and_asks_for_the_name(rows, people):
    guest, _pool, _volume = rows
    guest.disks = [*guest.disks, {**guest.disks[0], "target": "vdb", "source": "/elsewhere/x"}]
    guest.managed_save = True
    guest.save()
    client = browser(people["operator"])
    text = client.get(f"/vms/{guest.uuid}/do/undefine/", headers=HTMX).content.decode()
    for words in ("What goes", "saved memory", "/images/a.qcow2", "1.0 GiB", "What stays", "/elsewhere/x", "no pool"):
        assert words in text, words
    answer = client.post(f"/vms/{guest.uuid}/do/undefine/", {"confirm": "no"}, headers=HTMX)
    assert answer.status_code == 422 and "Type the guest" in answer.content.decode()
    sent = {"confirm": guest.name, "disks": ["/images/a.qcow2"]}
    assert client.post(f"/vms/{guest.uuid}/do/undefine/", sent, headers=HTMX).status_code == 204
    assert Operation.objects.get().arguments == {"confirm": "web-1", "disks": ["/images/a.qcow2"], "force": False}


def test_a_template_is_not_started_by_mistake(rows, operator):
    guest, _pool, _volume = rows
    guest.template = True
    guest.save()
    with pytest.raises(Refused, match="template"):
        queue.enqueue("start", guest, {}, operator)


# --- forgetting


def test_what_no_host_holds_any_more_is_forgotten_by_those_who_may(people):
    host = make_host()
    gone, here = make_guest(host, absent_since=timezone.now()), make_guest(host, name="here")
    Sighting.objects.filter(vm=gone).update(absent_since=timezone.now())
    assert "Forget" in browser(people["operator"]).get(f"/vms/{gone.uuid}/").content.decode()
    assert "Forget" not in browser(people["viewer"]).get(f"/vms/{gone.uuid}/").content.decode()
    assert "vm-forget" not in browser(people["operator"]).get(f"/vms/{here.uuid}/").content.decode()
    assert browser(people["viewer"]).post(f"/vms/{gone.uuid}/forget/").status_code == 403
    assert browser(people["operator"]).post(f"/vms/{here.uuid}/forget/").status_code == 409
    answer = browser(people["operator"]).post(f"/vms/{gone.uuid}/forget/", headers=HTMX)
    assert (answer.status_code, answer["HX-Redirect"]) == (204, "/vms/")
    assert not VirtualMachine.objects.filter(pk=gone.pk).exists() and VirtualMachine.objects.filter(pk=here.pk).exists()
    assert AuditEntry.objects.get(action="vm.forget").subject_uuid == gone.uuid


def test_nobody_forgets_without_the_right(people):
    vm = make_guest(None, absent_since=timezone.now())
    with pytest.raises(access.Denied):
        deleting.forget(vm, Actor(people["viewer"]))
    assert deleting.drop(str(uuid.uuid4())), "what nobody knows is forgotten already"
