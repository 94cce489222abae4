"""Processors, memory and media through the queue and the runner, on libvirt's test driver."""

import pytest

from hosts.audit import Actor
from hosts.models import StoragePool, StorageVolume
from hosts.operations import queue
from hosts.operations.kind import Refused, registry
from hosts.operations.storage_base import NotNow
from vms.hardware import reading
from vms.models import Sighting, VirtualMachine
from vms.operations.hardware import bases, seen
from vms.tests.making import HTMX, browser
from vms.tests.test_mirror import there  # noqa: F401
from vms.tests.test_operations import becomes, do, guest, operator  # noqa: F401

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "metrics"])
DRIVE = "<disk type='file' device='cdrom'><target dev='sda' bus='sata'/><readonly/></disk>"
MIB = 2**20


@pytest.fixture
def running(there, guest, eventually):  # noqa: F811
    there.domain(str(guest.pk)).create()
    eventually(becomes(guest, "running"))
    return VirtualMachine.objects.get(pk=guest.pk)


@pytest.fixture
def with_drive(there, guest, eventually):  # noqa: F811
    text = there.domain(str(guest.pk)).XMLDesc(0).replace("</devices>", DRIVE + "</devices>")
    there.raw.defineXML(text)
    return eventually(lambda: VirtualMachine.objects.filter(pk=guest.pk, disks__0__target="sda").first())


def live(there, vm):  # noqa: F811
    return there.domain(str(vm.pk)).XMLDesc(0)


def stored(there, vm):  # noqa: F811
    return there.domain(str(vm.pk)).XMLDesc(2)


def fresh(vm):
    return bases(VirtualMachine.objects.get(pk=vm.pk))


def test_a_guest_that_runs_has_other_processors_at_once_and_after_its_next_boot(there, running, operator, eventually):  # noqa: F811
    ended = do(eventually, "vcpus", running, operator, count=1)
    assert ended.state == "succeeded", ended.error
    assert ended.virsh == "virsh setvcpus guest 1 --live --config"
    assert (ended.result["live"], ended.result["config"], ended.result["next_boot"]) == (["1 processors"], True, [])
    assert "current='1'>2</vcpu>" in live(there, running) and "current='1'>2</vcpu>" in stored(there, running)
    eventually(lambda: VirtualMachine.objects.get(pk=running.pk).vcpus == 1)


def test_more_processors_than_it_was_started_with_come_at_the_next_boot_and_are_listed(
    there,  # noqa: F811
    running,
    operator,  # noqa: F811
    eventually,
):
    with pytest.raises(NotNow, match="The maximum is 2"):
        queue.enqueue("vcpus", running, {"count": 4}, operator)
    with pytest.raises(NotNow, match="room for 2"):
        queue.enqueue("vcpus", running, {"count": 4, "affect": "live"}, operator)
    ended = do(eventually, "vcpus", running, operator, count=4, maximum=8)
    assert ended.state == "succeeded", ended.error
    assert ended.virsh.splitlines() == [
        "virsh setvcpus guest 8 --maximum --config",
        "virsh setvcpus guest 4 --config",
    ]
    assert ended.result["live"] == [] and ended.result["next_boot"] == ["4 processors", "room for 8 processors"]
    assert "2</vcpu>" in live(there, running) and "current='4'>8</vcpu>" in stored(there, running)

    def listed():
        now = seen(running)
        found = reading.read(now.live, now.config)
        return {change.path: (change.before, change.after) for change in found.pending}.get("vcpu") == ("2", "8")

    eventually(listed)


def test_memory_goes_through_the_balloon_and_a_larger_maximum_waits(there, running, operator, eventually):  # noqa: F811
    ended = do(eventually, "memory", running, operator, memory=32 * MIB)
    assert ended.state == "succeeded", ended.error
    assert ended.virsh == "virsh setmem guest 32768 --live --config"
    assert "<currentMemory unit='KiB'>32768<" in live(there, running)
    assert "<currentMemory unit='KiB'>32768<" in stored(there, running)
    ended = do(eventually, "memory", running, operator, memory=96 * MIB, maximum=128 * MIB)
    assert ended.result["live"] == []
    assert ended.result["next_boot"] == ["96.0 MiB of memory", "room for 128.0 MiB of memory"]
    assert "<memory unit='KiB'>131072<" in stored(there, running) and "131072" not in live(there, running)


def test_what_the_running_guest_does_not_take_leaves_the_definition_as_it_was(there, with_drive, operator, eventually):  # noqa: F811
    there.domain(str(with_drive.pk)).create()
    eventually(becomes(with_drive, "running"))
    before = stored(there, with_drive)
    admin = Actor(None)
    with pytest.raises(Exception, match="right"):
        queue.enqueue("media", with_drive, {"device": "disks[sda]", "source": "/x.iso"}, admin)
    pool = StoragePool.objects.create(
        host=there.host, name="isos", uuid="00000000-0000-4000-8000-000000000001", active=True
    )
    StorageVolume.objects.create(pool=pool, name="x.iso", path="/isos/x.iso", format="iso")
    # The test driver changes no device of a guest that runs.
    ended = do(eventually, "media", with_drive, operator, device="disks[sda]", source="/isos/x.iso")
    assert ended.state == "failed"
    assert "The running guest did not take it" in ended.error["message"]
    assert "Its definition is as it was" in ended.error["message"]
    assert stored(there, with_drive) == before
    ended = do(eventually, "media", with_drive, operator, device="disks[sda]", source="/isos/x.iso", affect="config")
    assert ended.state == "succeeded" and "file='/isos/x.iso'" in stored(there, with_drive)
    assert "x.iso" not in live(there, with_drive)


def test_media_go_in_and_out_of_the_drive_of_a_guest_that_is_off(there, with_drive, people, operator, eventually):  # noqa: F811
    with pytest.raises(Exception, match="administrators"):
        queue.enqueue("media", with_drive, {"device": "disks[sda]", "source": "/etc/shadow"}, operator)
    admin = Actor(people["administrator"])
    ended = do(eventually, "media", with_drive, admin, device="disks[sda]", source="/x.iso")
    assert ended.state == "succeeded", ended.error
    assert ended.virsh == "virsh change-media guest sda /x.iso --update --config"
    assert "file='/x.iso'" in stored(there, with_drive)
    eventually(lambda: "/x.iso" in Sighting.objects.get(vm=with_drive).inactive_definition)
    ended = do(eventually, "media", with_drive, operator, device="disks[sda]")
    assert ended.state == "succeeded" and "x.iso" not in stored(there, with_drive)
    assert ended.virsh == "virsh change-media guest sda --eject --config"


def test_of_two_editors_the_second_sees_what_the_first_changed_and_keeps_what_it_typed(
    there,  # noqa: F811
    guest,  # noqa: F811
    people,
    operator,  # noqa: F811
    eventually,
):
    client = browser(people["operator"])
    form = registry["memory"]
    first = fresh(guest)
    assert do(eventually, "vcpus", guest, operator, count=1, **first).state == "succeeded"
    eventually(lambda: fresh(guest)["base"] != first["base"])
    guest.refresh_from_db()
    with pytest.raises(Refused, match="vcpu"):
        queue.enqueue(form.name, guest, {"memory": 32 * MIB, **first}, operator)
    sent = {"memory": "32 MiB", "maximum": "64 MiB", "seen": '{"memory": "64 MiB", "maximum": "64 MiB"}', **first}
    answer = client.post(f"/vms/{guest.pk}/do/memory/", sent, headers=HTMX)
    text = answer.content.decode()
    assert answer.status_code == 422 and "vcpu current: – → 1" in text
    assert 'value="32 MiB"' in text and fresh(guest)["base"] in text
    sent |= fresh(guest)
    assert client.post(f"/vms/{guest.pk}/do/memory/", sent, headers=HTMX).status_code == 204
    eventually(lambda: "<currentMemory unit='KiB'>32768<" in stored(there, guest))


def test_what_was_changed_but_not_seen_yet_is_not_overwritten(there, guest, operator, eventually, roles):  # noqa: F811
    base = fresh(guest)
    roles[0].stop()  # Nobody looks at the host any more.
    there.raw.defineXML(stored(there, guest).replace("65536", "131072"))
    ended = do(eventually, "vcpus", guest, operator, count=1, **base)
    assert ended.state == "refused" and "memory" in ended.error["message"]
    assert "2</vcpu>" in stored(there, guest)
