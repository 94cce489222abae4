"""Making guests on libvirt's test driver: what is made, what is refused by field, and what is taken back."""

from __future__ import annotations

import uuid
from typing import Any

import pytest

from hosts import access
from hosts.audit import Actor
from hosts.hypervisor.errors import Failed
from hosts.models import Operation, OperationSecret, StorageVolume
from hosts.operations import queue
from hosts.operations.kind import InvalidArguments, Refused, registry
from hosts.operations.storage_base import NotNow
from hosts.operations.task import Hold, Task
from hosts.tests.storage_making import make_claim, make_host, make_pool, make_volume, unheard
from hosts.tests.test_storage_mirror import there  # noqa: F401
from vms.creation import asking
from vms.creation.wanted import Place
from vms.definition.domain import Definition
from vms.models import VirtualMachine
from vms.tests.test_operations import finished

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "metrics"])
MIB, GIB = 1 << 20, 1 << 30
CLOUD = {
    "name": "web-1",
    "road": "cloud",
    "image": "default-pool/first.qcow2",
    "pool": "default-pool",
    "memory": 64 * MIB,
    "vcpus": 1,
    "size": 2 * MIB,
}
DISK = {"name": "web-1", "road": "import", "image": "default-pool/first.qcow2", "memory": 64 * MIB, "vcpus": 1}


@pytest.fixture
def operator(people):
    return Actor(people["operator"], "192.0.2.1")


@pytest.fixture
def make(there, operator, eventually):  # noqa: F811
    """Ask for a guest and wait for the end."""

    def ask(**arguments: Any) -> Operation:
        asked = queue.enqueue("create", Place(there.host, uuid.uuid4(), arguments["name"]), arguments, operator)
        return eventually(finished(asked), what=f"{arguments['name']} to be made")

    there.host.refresh_from_db()
    eventually(lambda: _is_connected(there.host))
    return ask


def _is_connected(host):
    host.refresh_from_db()
    return host.is_connected


def interrupted(there, identity, **progress):  # noqa: F811
    """What recovering an operation returns that made a guest when kvmdash died."""
    from hosts.hypervisor.connection import Connection
    from hosts.hypervisor.records import Target

    operation = Operation.objects.create(
        kind="create", host=there.host, host_name="one", subject_name="web-9", subject_uuid=identity,
        arguments=CLOUD | {"name": "web-9"}, state="running", owner="test", progress=progress,
    )  # fmt: skip
    task = Task(operation, registry["create"], lambda host, _own: Connection.open(Target(host.uri)), Hold())
    try:
        return registry["create"].recover(task)
    finally:
        task.close()


def names(there):  # noqa: F811
    return {domain.name() for domain in there.raw.listAllDomains(0)}


def defined(there, name):  # noqa: F811
    return Definition.parse(there.raw.lookupByName(name).XMLDesc(0))


def test_a_guest_is_made_from_an_image_that_is_copied(there, make, eventually):  # noqa: F811
    ended = make(**CLOUD)
    # The test driver cannot make a disk larger once it is there: that much is taken back, and said.
    assert ended.state == "failed" and "has been removed again" in ended.error["message"], ended.error
    assert there.volumes() == ["first.qcow2"] and names(there) == set()
    eventually(lambda: not StorageVolume.objects.filter(name="web-1.qcow2", absent_since=None).exists())
    ended = make(**(CLOUD | {"size": MIB, "start": True, "autostart": True}))
    assert ended.state == "succeeded", ended.error
    assert there.volumes() == ["first.qcow2", "web-1.qcow2"]
    domain = there.raw.lookupByName("web-1")
    assert (domain.UUIDString(), domain.isActive(), domain.autostart()) == (str(ended.subject_uuid), 1, 1)
    made = defined(there, "web-1")
    assert [disk.where for disk in made.devices.disks] == ["/default-pool/web-1.qcow2"]
    assert (made.memory, made.vcpu.count) == (64 * MIB, 1)
    assert VirtualMachine.objects.filter(pk=ended.subject_uuid, absent_since=None).exists(), "seen before it is said"
    assert "virt-install --name web-1" in ended.virsh and "--import" in ended.virsh


def test_a_disk_is_taken_as_it_is_or_copied(there, make):  # noqa: F811
    assert make(**DISK).state == "succeeded"
    assert defined(there, "web-1").devices.disks["vda"].where == "/default-pool/first.qcow2"
    assert there.volumes() == ["first.qcow2"]
    ended = make(**(DISK | {"name": "web-2", "pool": "default-pool"}))
    assert ended.state == "succeeded", ended.error
    assert there.volumes() == ["first.qcow2", "web-2.qcow2"]


def test_a_disk_that_another_guest_got_meanwhile_is_left_to_it(there, make, operator, eventually):  # noqa: F811
    there.define_guest("first", "/default-pool/first.qcow2")
    from hosts.models import StorageClaim

    eventually(lambda: StorageClaim.objects.exists())
    ended = unheard(eventually, StorageClaim.objects.all().delete, lambda: make(**DISK))
    assert ended.state == "refused" and "first by now" in ended.error["message"]
    assert names(there) == {"first"}


def test_a_name_taken_meanwhile_is_refused_and_nothing_is_made(there, make, eventually):  # noqa: F811
    there.define_guest("web-1")
    ended = unheard(eventually, VirtualMachine.objects.all().delete, lambda: make(**(CLOUD | {"size": MIB})))
    assert ended.state == "refused" and "nothing was done" in ended.error["message"]
    assert there.volumes() == ["first.qcow2"]


def test_a_volume_of_that_name_that_came_meanwhile_is_nobodys_to_delete(there, make):  # noqa: F811
    there.make_volume("web-1.qcow2")
    ended = make(**(CLOUD | {"size": MIB}))
    assert ended.state == "refused" and "web-1.qcow2" in ended.error["message"]
    assert there.volumes() == ["first.qcow2", "web-1.qcow2"] and names(there) == set()


def test_what_fails_half_way_takes_back_all_that_was_made(there, make):  # noqa: F811
    # The test driver takes no bytes: the disk and the empty seed are there by then.
    ended = make(**(CLOUD | {"size": MIB, "seed": {"user": "ada", "password": "hunter2-hunter2"}}))
    assert ended.state == "failed" and "removed again" in ended.error["message"], ended.error
    assert there.volumes() == ["first.qcow2"] and names(there) == set()
    told = list(ended.log.values_list("text", flat=True))
    assert any("web-1-seed.iso" in line for line in told) and "hunter2" not in "".join(told)
    assert not OperationSecret.objects.exists()


def test_after_a_crash_what_was_begun_is_taken_back(there, make, operator):  # noqa: F811
    volume = there.make_volume("web-9.qcow2")
    pool = StorageVolume.objects.get(name="first.qcow2").pool
    with pytest.raises(Failed) as caught:
        interrupted(there, uuid.uuid4(), made=[[str(pool.uuid), volume.name(), pool.name]])
    assert "removed again" in str(caught.value) and there.volumes() == ["first.qcow2"]


def test_after_a_crash_a_disk_that_somebody_uses_is_not_taken_back(there, make):  # noqa: F811
    volume = there.make_volume("web-9.qcow2")
    there.define_guest("other", "/default-pool/web-9.qcow2")
    pool = StorageVolume.objects.get(name="first.qcow2").pool
    with pytest.raises(Failed) as caught:
        interrupted(there, uuid.uuid4(), made=[[str(pool.uuid), volume.name(), pool.name]])
    assert "still there" in str(caught.value) and "web-9.qcow2" in there.volumes()


def test_after_a_crash_a_guest_that_is_there_was_made(there, make):  # noqa: F811
    identity = there.define_guest("web-9")
    assert interrupted(there, identity, defining=True)["recovered"] and "web-9" in names(there)


# --- by the rows alone


@pytest.fixture
def pool(db):
    made = make_pool(make_host(memory=8 * GIB, cpus=4))
    make_volume(made, "base.qcow2", capacity=2 * GIB)
    return made


def ask(pool, operator, /, **changed):
    arguments = CLOUD | {"image": "images/base.qcow2", "pool": "images", "size": 4 * GIB} | changed
    arguments = {name: value for name, value in arguments.items() if value is not None}
    return queue.enqueue("create", Place(pool.host, uuid.uuid4(), arguments["name"]), arguments, operator)


@pytest.mark.parametrize(
    "name", ["", "../x", "a/b", "a\nb", "x" * 64, "ü", "-x", ".x", " x", "a\0b", "<x>", "$(id)", 5]
)
def test_hostile_names_are_refused(pool, operator, name):
    with pytest.raises((InvalidArguments, NotNow)) as caught:
        ask(pool, operator, name=name)
    assert caught.value.field == "name" and not Operation.objects.exists()


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"road": "stone"}, "road"),
        ({"memory": 1}, "memory"),
        ({"memory": 9 * GIB}, "memory"),
        ({"vcpus": 0}, "vcpus"),
        ({"vcpus": True}, "vcpus"),
        ({"size": GIB}, "size"),
        ({"image": "images/none"}, "image"),
        ({"image": "/etc/shadow"}, "image"),
        ({"image": None}, "image"),
        ({"pool": None}, "pool"),
        ({"pool": "nowhere"}, "pool"),
        ({"network": "nowhere"}, "network"),
        ({"preset": "no-such-system"}, "preset"),
        ({"firmware": "magic"}, "firmware"),
        ({"start": "yes"}, "start"),
        ({"colour": "red"}, "colour"),
        ({"iso": "images/base.qcow2", "road": "install", "image": None}, "iso"),
        ({"road": "install", "image": None}, "iso"),
        ({"road": "clone", "image": None}, "source"),
        ({"seed": {"user": "Root!"}}, "user"),
        ({"seed": {"password": "secret"}}, "user"),
        ({"seed": {"ssh_keys": ["ssh-ed25519 short"]}}, "ssh_keys"),
        ({"seed": {"address": "192.0.2.7"}}, "address"),
        ({"seed": {"gateway": "192.0.2.1"}}, "address"),
        ({"seed": {"user_data": "#!/bin/sh"}}, "user_data"),
        ({"seed": {"user_data": "#cloud-config\n- a\n- b"}}, "user_data"),
        ({"seed": {"user_data": "#cloud-config\na: [1"}}, "user_data"),
        ({"seed": {"colour": "red"}}, "seed.colour"),
    ],
)
def test_what_cannot_be_made_is_said_by_field(pool, operator, changed, field):
    with pytest.raises((InvalidArguments, NotNow)) as caught:
        ask(pool, operator, **changed)
    assert caught.value.field == field and not Operation.objects.exists()


def test_an_image_that_is_being_filled_or_used_is_refused(pool, operator):
    from hosts.models import Filling

    upload = Operation.objects.create(kind="volume-upload", state="running", host=pool.host, subject_name="u")
    filling = Filling.objects.create(operation=upload, pool=pool, name="base.qcow2", partial=True)
    with pytest.raises(NotNow) as caught:
        ask(pool, operator)
    assert caught.value.field == "image" and "not whole" in str(caught.value)
    filling.delete()
    make_claim(pool.host, "db", "/pools/images/base.qcow2", active=True)
    with pytest.raises(NotNow) as caught:
        ask(pool, operator)
    assert "db" in str(caught.value)


def test_a_name_that_is_taken_or_being_made_is_refused(pool, operator):
    ask(pool, operator)
    with pytest.raises(NotNow) as caught:
        ask(pool, operator)
    assert caught.value.field == "name" and "being made" in str(caught.value)
    make_volume(pool, "web-2.qcow2")
    with pytest.raises(NotNow) as caught:
        ask(pool, operator, name="web-2")
    assert caught.value.field == "name"


def test_an_image_that_is_used_as_it_is_has_one_guest(pool, operator):
    common = {"road": "import", "pool": None, "size": None}
    ask(pool, operator, **common)
    with pytest.raises(NotNow) as caught:
        ask(pool, operator, name="web-2", **common)
    assert caught.value.field == "image" and "web-1" in str(caught.value)
    assert ask(pool, operator, name="web-3", **(common | {"pool": "images"})).state == "queued", "a copy is another's"


def test_a_pool_without_room_is_refused(pool, operator):
    pool.available = MIB
    pool.save()
    with pytest.raises(NotNow) as caught:
        ask(pool, operator)
    assert caught.value.field == "pool"
    assert ask(pool, operator, linked=True).state == "queued", "what lies on another takes nothing at first"


def test_passwords_and_user_data_are_sealed_and_forgotten(pool, operator):
    seed = {"user": "ada", "password": "hunter2-hunter2"}
    asked = ask(pool, operator, seed=seed)
    kept = OperationSecret.objects.get(operation=asked)
    assert "hunter2" not in kept.sealed.open() and "$6$" in kept.sealed.open()
    assert "hunter2" not in str(asked.arguments) + asked.virsh
    raw = "#cloud-config\nusers: [{name: ada, plain_text_passwd: hunter3-hunter3}]\n"
    other = ask(pool, operator, name="web-2", seed={"user_data": raw})
    assert "hunter3" not in str(other.arguments) + other.virsh
    queue.cancel(asked, operator)
    assert not OperationSecret.objects.filter(operation=asked).exists()


def test_several_are_named_by_a_pattern_and_each_has_a_result(pool, operator):
    from hosts.models import Host

    given = CLOUD | {"name": "web-{08..10}", "image": "images/base.qcow2", "pool": "images", "size": 4 * GIB}
    make_volume(pool, "web-09.qcow2")
    parent = asking.ask(Host.objects.all(), pool.host.name, given, operator)
    children = {child.subject_name: child for child in parent.children.all()}
    assert {name: child.state for name, child in children.items()} == {
        "web-08": "queued", "web-09": "refused", "web-10": "queued",
    }  # fmt: skip
    assert "web-09.qcow2" in children["web-09"].error["message"]
    for pattern in ("a-{2..1}", "a-{1..99}", "{1..2}-{1..2}", "a{x..y}"):
        with pytest.raises(Refused):
            asking.ask(Host.objects.all(), pool.host.name, given | {"name": pattern}, operator)


def test_who_may_not_is_denied(pool, people):
    with pytest.raises(access.Denied):
        ask(pool, Actor(people["viewer"], "192.0.2.1"))
    assert not Operation.objects.exists()


# --- copies


@pytest.fixture
def original(there, make, eventually):  # noqa: F811
    """A guest that is off, with a disk and a seed of its own."""
    there.make_volume("web-seed.iso", form="raw")
    identity = there.define_guest("web", "/default-pool/first.qcow2")
    eventually(lambda: VirtualMachine.objects.filter(pk=identity, power_state="shutoff").exists())
    return VirtualMachine.objects.get(pk=identity)


def test_a_copy_has_a_name_uuid_mac_and_disk_of_its_own(there, make, original):  # noqa: F811
    ended = make(name="copy", road="clone", source=str(original.pk))
    assert ended.state == "succeeded", ended.error
    first, copy = defined(there, "web"), defined(there, "copy")
    assert copy.uuid == str(ended.subject_uuid) != first.uuid
    assert [disk.where for disk in copy.devices.disks] == ["/default-pool/copy.qcow2"]
    assert [disk.where for disk in first.devices.disks] == ["/default-pool/first.qcow2"]
    assert there.volumes() == ["copy.qcow2", "first.qcow2", "web-seed.iso"]
    assert "virt-clone --original web --name copy" in ended.virsh


def test_one_that_began_to_run_meanwhile_is_not_copied(there, make, original):  # noqa: F811
    there.raw.lookupByName("web").create()
    VirtualMachine.objects.filter(pk=original.pk).update(power_state="shutoff")  # As if that was not heard of yet.
    try:
        ended = make(name="copy", road="clone", source=str(original.pk))
    except NotNow as error:  # The mirror was faster.
        assert "runs" in str(error)
    else:
        assert ended.state == "refused", ended.error
    assert "copy.qcow2" not in there.volumes()


def copy_of(operator, vm, **changed):
    arguments = {"name": "copy", "road": "clone", "source": str(vm.pk)} | changed
    return queue.enqueue("create", Place(vm.host, uuid.uuid4(), "copy"), arguments, operator)


@pytest.fixture
def off(pool):
    from vms.tests.making import make_guest

    disk = {"device": "disk", "type": "file", "target": "vda", "bus": "virtio", "format": "qcow2", "cache": "",
            "source": "/pools/images/base.qcow2", "readonly": False, "shareable": False}  # fmt: skip
    seed = disk | {"target": "vdb", "source": "/pools/images/a-seed.iso", "readonly": True, "format": "raw"}
    vm = make_guest(pool.host, "a", power_state="shutoff", disks=[disk, seed])
    devices = "".join(
        f"<disk type='file' device='disk'><driver type='{one['format']}'/><source file='{one['source']}'/>"
        f"<target dev='{one['target']}'/></disk>"
        for one in (disk, seed)
    )
    text = f"<domain type='test'><name>a</name><uuid>{vm.pk}</uuid><devices>{devices}</devices></domain>"
    vm.sightings.update(inactive_definition=text, live_definition="")
    return vm


def test_linked_copies_are_made_of_templates_alone(operator, off):
    with pytest.raises(NotNow) as caught:
        copy_of(operator, off, linked=True)
    assert caught.value.field == "linked"
    VirtualMachine.objects.filter(pk=off.pk).update(template=True)
    asked = copy_of(operator, off, linked=True)
    assert "--backing-vol /pools/images/base.qcow2" in asked.virsh


def test_a_copy_takes_no_seed_of_the_first_along_and_may_get_its_own(off):
    from vms.creation.planning import plan

    arguments = {"name": "copy", "road": "clone", "source": str(off.pk)}
    text = plan(off.host, uuid.uuid4(), arguments).definition()
    assert "a-seed.iso" not in text and "/pools/images/copy.qcow2" in text
    text = plan(off.host, uuid.uuid4(), arguments | {"seed": {"hostname": "copy"}}).definition()
    assert "copy-seed.iso" in text and "a-seed.iso" not in text


@pytest.mark.parametrize("changed", [{"power_state": "running"}, {"power_state": "paused"}])
def test_what_runs_is_not_copied(operator, off, changed):
    VirtualMachine.objects.filter(pk=off.pk).update(**changed)
    with pytest.raises(NotNow) as caught:
        copy_of(operator, off)
    assert caught.value.field == "source"


def test_an_installer_boots_from_a_cd_or_the_network(pool, operator):
    from vms.creation.planning import plan

    make_volume(pool, "debian.iso", format="iso")
    common = {"name": "new", "road": "install", "pool": "images", "size": GIB, "vcpus": 1, "memory": GIB}
    text = plan(pool.host, uuid.uuid4(), common | {"iso": "images/debian.iso"}).definition()
    made = Definition.parse(text)
    assert [disk.where for disk in made.devices.disks] == ["/pools/images/new.qcow2", "/pools/images/debian.iso"]
    assert made.os.boot_devices == ["hd", "cdrom"]
    assert Definition.parse(plan(pool.host, uuid.uuid4(), common | {"pxe": True}).definition()).os.boot_devices == [
        "hd", "network",
    ]  # fmt: skip


def test_windows_gets_secure_boot_a_tpm_and_what_its_installer_knows(pool):
    from vms.creation.planning import plan

    make_volume(pool, "win.iso", format="iso")
    make_volume(pool, "virtio-win.iso", format="iso")
    common = {"name": "win", "road": "install", "pool": "images", "iso": "images/win.iso", "preset": "win11"}
    made = Definition.parse(plan(pool.host, uuid.uuid4(), common).definition())
    assert (made.os.firmware, made.os.secure_boot, made.features.smm) == ("efi", True, True)
    assert [tpm.version for tpm in made.devices.tpms] == ["2.0"] and made.memory >= 4 * GIB
    assert [disk.target.bus for disk in made.devices.disks] == ["sata", "sata"]
    made = Definition.parse(plan(pool.host, uuid.uuid4(), common | {"drivers": "images/virtio-win.iso"}).definition())
    assert [disk.target.bus for disk in made.devices.disks] == ["virtio", "sata", "sata"]
    assert made.devices.interfaces[0:1] == [] or made.devices.interfaces[0].model == "virtio"


def test_a_broken_or_foreign_file_is_no_cd(pool, operator):
    make_volume(pool, "broken.iso", format="raw")
    with pytest.raises(NotNow) as caught:
        ask(pool, operator, road="install", image=None, iso="images/broken.iso")
    assert caught.value.field == "iso" and "raw" in str(caught.value)
