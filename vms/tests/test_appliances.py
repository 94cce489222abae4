"""Appliances on a real libvirtd: read by range out of their pool, unpacked, converted, and taken back when anything goes wrong."""

from __future__ import annotations

import json
import subprocess
import uuid
from typing import Any

import pytest

from hosts.audit import Actor
from hosts.hypervisor.errors import Failed
from hosts.models import Filling, Host, Operation, StoragePool, StorageVolume
from hosts.operations import queue
from hosts.operations.kind import registry
from hosts.operations.storage_base import NotNow
from hosts.operations.task import Hold, Task
from hosts.tests.images_host import some_bytes
from hosts.tests.test_uploads import daemon, images  # noqa: F401
from vms.appliance import image
from vms.creation.wanted import Place
from vms.definition.domain import Definition
from vms.tests.appliance.packing import VIRTUALBOX_ITEMS, VMWARE_ITEMS, manifest, ovf, tar, vmdk
from vms.tests.test_operations import finished

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "metrics"])
MIB = 1 << 20
NAME = "appliance.ova"
WANTED = {
    "name": "web-1", "road": "ova", "image": f"images/{NAME}", "pool": "images", "memory": 64 * MIB, "vcpus": 1, "virt": "qemu",
    "cpu": "default", "firmware": "bios",
}  # fmt: skip


@pytest.fixture(scope="module")
def disk(tmp_path_factory):
    """A disk with something in it: (its bytes, the same as a VMDK in the form that appliances have)."""
    folder = tmp_path_factory.mktemp("disk")
    data = some_bytes(3 * MIB) + bytes(5 * MIB)
    (folder / "disk.raw").write_bytes(data)
    command = [
        "qemu-img",
        "convert",
        "-f",
        "raw",
        "-O",
        "vmdk",
        "-o",
        "subformat=streamOptimized",
        "disk.raw",
        "disk.vmdk",
    ]
    subprocess.run(command, cwd=folder, check=True)
    return data, (folder / "disk.vmdk").read_bytes()


def descriptor(*, items=VIRTUALBOX_ITEMS, capacity=8 * MIB):
    return ovf(items, disks=f'<Disk ovf:diskId="vmdisk1" ovf:fileRef="file1" ovf:capacity="{capacity}"/>')


@pytest.fixture
def put(images, eventually):  # noqa: F811
    """Lay an archive of these files into the pool, and wait until it is seen."""

    def lay(*files: tuple[str, bytes], name: str = NAME) -> StorageVolume:
        return lay_bytes(tar(files), name)

    def lay_bytes(data: bytes, name: str = NAME) -> StorageVolume:
        file = images.images / name
        file.write_bytes(data)
        file.chmod(0o666)
        images.pool().refresh(0)
        return eventually(lambda: _seen(name, len(data)), what="the appliance to be seen")

    lay.bytes = lay_bytes
    return lay


def _seen(name, size):
    row = StorageVolume.objects.filter(name=name, absent_since=None, capacity=size).select_related("pool__host").first()
    if row is None:
        StoragePool.objects.get(name="images")  # It is there all the time.
    return row


@pytest.fixture
def operator(people):
    return Actor(people["operator"], "192.0.2.1")


@pytest.fixture
def read(operator, eventually):
    def ask(row: StorageVolume) -> Operation:
        asked = queue.enqueue("volume-read-ova", row, {}, operator)
        return eventually(finished(asked), what="the appliance to be read")

    return ask


@pytest.fixture
def make(operator, eventually):
    def ask(**changed: Any) -> Operation:
        given = {name: value for name, value in (WANTED | changed).items() if value is not None}
        asked = queue.enqueue("create", Place(Host.objects.get(), uuid.uuid4(), given["name"]), given, operator)
        return eventually(finished(asked), 60, what="the guest to be made")

    return ask


def files_of(host):
    return sorted(file.name for file in host.images.iterdir())


def content(host, name):
    """What a guest sees on the disk."""
    command = ["qemu-img", "convert", "-f", "qcow2", "-O", "raw", str(host.images / name), "/dev/stdout"]
    target = host.folder / "seen.raw"
    command[-1] = str(target)
    subprocess.run(command, check=True)
    return target.read_bytes()


def test_what_is_in_an_appliance_is_read_and_told(put, read, disk):
    row = put(("a.ovf", descriptor()), ("disk1.vmdk", disk[1]))
    ended = read(row)
    assert ended.state == "succeeded", ended.error
    assert ended.result["suggested"] | {"preset": ""} == {
        "name": "My-appliance", "vcpus": 2, "memory": 1024 * MIB, "firmware": "bios", "bus": "sata", "card": "e1000",
        "machine": "q35", "preset": "",
    }  # fmt: skip
    assert [one["file"] for one in ended.result["appliance"]["disks"]] == ["disk1.vmdk"]
    assert "vol-download" in ended.virsh and ended.asked_at is None, "nothing is changed"


def test_what_is_none_is_refused_with_the_reason(put, read, disk):
    ended = read(put.bytes(some_bytes(100_000)))
    assert ended.state == "refused" and "no appliance" in ended.error["message"]
    ended = read(put(("a.ovf", descriptor()), ("../../etc/cron.d/x", b"x"), ("disk1.vmdk", disk[1]), name="b.ova"))
    assert ended.state == "refused" and "not allowed" in ended.error["message"]


def test_its_disk_becomes_a_volume_of_a_guest(images, put, read, make, disk):  # noqa: F811
    row = put(("a.ovf", descriptor()), ("a.mf", manifest(("disk1.vmdk", disk[1]))), ("disk1.vmdk", disk[1]))
    before = images.content(NAME)
    assert read(row).state == "succeeded"
    ended = make()
    assert ended.state == "succeeded", ended.error
    assert files_of(images) == [NAME, "web-1.qcow2"] and images.content(NAME) == before
    assert content(images, "web-1.qcow2") == disk[0]
    raw = images.pool().storageVolLookupByName("web-1.qcow2")
    assert (
        "<type='qcow2'" not in raw.XMLDesc()
        and "format type='qcow2'" in raw.XMLDesc()
        and "backingStore" not in raw.XMLDesc()
    )
    domain = _domain(images, "web-1")
    assert [one.driver.format for one in domain.devices.disks] == ["qcow2"]
    assert (domain.memory, domain.vcpu.count) == (64 * MIB, 1)
    assert f"tar -xf {images.images}/{NAME}" in ended.virsh and "qemu-img convert -f vmdk" in ended.virsh
    assert not Filling.objects.filter(partial=True).exists()
    told = " ".join(ended.log.values_list("text", flat=True))
    assert "unpack disk1.vmdk" in told and "converted" in told


def _domain(host, name):
    import libvirt

    raw = libvirt.open(host.uri)
    text = raw.lookupByName(name).XMLDesc(0)
    raw.lookupByName(name).undefine()
    return Definition.parse(text)


def test_several_disks_raw_ones_and_empty_ones_keep_their_order(images, put, read, make, disk):  # noqa: F811
    plain = some_bytes(2 * MIB, seed=3)
    described = ovf(
        [*VMWARE_ITEMS, VMWARE_ITEMS[3].replace(">1<", ">2<").replace("vmdisk2", "vmdisk3")],
        files='<File ovf:id="file1" ovf:href="first.vmdk"/><File ovf:id="file2" ovf:href="second.img"/>',
        disks=f'<Disk ovf:diskId="vmdisk1" ovf:fileRef="file1" ovf:capacity="{8 * MIB}"/>'
        f'<Disk ovf:diskId="vmdisk2" ovf:fileRef="file2" ovf:capacity="{2 * MIB}"/>'
        f'<Disk ovf:diskId="vmdisk3" ovf:capacity="{4 * MIB}"/>',
    ).replace(b"<rasd:InstanceID>5</rasd:InstanceID>", b"<rasd:InstanceID>55</rasd:InstanceID>", 1)
    assert read(put(("a.ovf", described), ("first.vmdk", disk[1]), ("second.img", plain))).state == "succeeded"
    ended = make(networks={"VM Network": "", "Backup": ""})
    assert ended.state == "succeeded", ended.error
    assert content(images, "web-1.qcow2") == disk[0] and content(images, "web-1-2.qcow2") == plain
    assert content(images, "web-1-3.qcow2") == bytes(4 * MIB)
    assert files_of(images) == [NAME, "web-1-2.qcow2", "web-1-3.qcow2", "web-1.qcow2"]
    names = [one.where.rpartition("/")[2] for one in _domain(images, "web-1").devices.disks]
    assert names == ["web-1.qcow2", "web-1-2.qcow2", "web-1-3.qcow2"]


def test_a_disk_without_the_checksum_that_it_must_have_leaves_nothing(images, put, read, make, disk, eventually):  # noqa: F811
    row = put(
        ("a.ovf", descriptor()), ("a.mf", manifest(("disk1.vmdk", b"other"), algorithm="sha1")), ("disk1.vmdk", disk[1])
    )
    assert read(row).state == "succeeded", "of a disk it is known when all of it has been read"
    ended = make()
    assert ended.state == "failed" and "checksum is wrong" in ended.error["message"], ended.error
    assert "removed again" in ended.error["message"] and files_of(images) == [NAME]
    assert not Filling.objects.filter(partial=True).exists()


def test_one_that_was_changed_after_it_was_read_is_not_unpacked(images, put, read, make, disk):  # noqa: F811
    row = put(("a.ovf", descriptor()), ("disk1.vmdk", disk[1]))
    assert read(row).state == "succeeded"
    stamp = (images.images / NAME).stat()
    other = tar([("a.ovf", descriptor(items=VMWARE_ITEMS[:3] + VIRTUALBOX_ITEMS[6:])), ("disk1.vmdk", disk[1])])
    (images.images / NAME).write_bytes(other[: stamp.st_size].ljust(stamp.st_size, b"\0"))
    # The same size, and before the mirror looks the same row.
    ended = make()
    assert ended.state == "refused" and "changed" in ended.error["message"], ended.error
    assert files_of(images) == [NAME]
    images.pool().refresh(0)
    Host.objects.get()
    row.refresh_from_db()


def test_one_that_was_not_read_or_is_another_by_now_is_refused_by_field(put, read, make, disk):
    row = put(("a.ovf", descriptor()), ("disk1.vmdk", disk[1]))
    with pytest.raises(NotNow) as caught:
        make()
    assert caught.value.field == "image" and "not been read" in str(caught.value)
    assert read(row).state == "succeeded"
    put(("a.ovf", descriptor()), ("disk1.vmdk", disk[1]), ("more.txt", b"x" * 30_000))
    with pytest.raises(NotNow) as caught:
        make()
    assert "has changed" in str(caught.value)


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"size": 20 * MIB}, "size"),
        ({"pool": None}, "pool"),
        ({"networks": {"Elsewhere": "default"}}, "networks"),
        ({"networks": {"NAT": "nowhere"}}, "network"),
        ({"network": "nowhere"}, "network"),
        ({"networks": "NAT"}, "networks"),
    ],
)
def test_what_does_not_fit_is_said_by_field(put, read, make, disk, changed, field):
    assert read(put(("a.ovf", descriptor()), ("disk1.vmdk", disk[1]))).state == "succeeded"
    from hosts.operations.kind import InvalidArguments

    with pytest.raises((InvalidArguments, NotNow)) as caught:
        make(**changed)
    assert caught.value.field == field


def test_a_pool_without_room_for_the_disk_and_the_copy_of_it_is_refused(put, read, make, disk):
    assert read(put(("a.ovf", descriptor()), ("disk1.vmdk", disk[1]))).state == "succeeded"
    StoragePool.objects.update(available=len(disk[1]) + 1000)
    with pytest.raises(NotNow) as caught:
        make()
    assert caught.value.field == "pool"


def test_a_disk_that_is_larger_than_the_descriptor_says_is_not_made(images, put, read, make, tmp_path):  # noqa: F811
    subprocess.run(["qemu-img", "create", "-q", "-f", "vmdk", "-o", "subformat=monolithicSparse", "big.vmdk", "20G"],
                   cwd=tmp_path, check=True)  # fmt: skip
    row = put(("a.ovf", descriptor()), ("disk1.vmdk", (tmp_path / "big.vmdk").read_bytes()))
    assert read(row).state == "succeeded"
    ended = make()
    assert ended.state == "failed" and "the descriptor says" in ended.error["message"], ended.error
    assert files_of(images) == [NAME]


def test_what_names_another_file_is_never_converted(images, put, read, make, monkeypatch):  # noqa: F811
    """libvirt's own look at what was written has the last word."""
    secret = images.images / "secret.raw"
    secret.write_bytes(b"secret" * 1000)
    secret.chmod(0o666)
    monkeypatch.setattr(image, "format_of", lambda _head, _name: "vmdk")
    bad = vmdk(b'parentFileNameHint="%s"\n' % str(secret).encode())
    assert read(put(("a.ovf", descriptor()), ("disk1.vmdk", bad))).state == "succeeded"
    ended = make()
    assert ended.state == "failed", ended.result
    assert "something else" in ended.error["message"] and files_of(images) == [NAME, "secret.raw"]


def test_cancelling_in_the_middle_leaves_nothing(images, put, read, operator, eventually, tmp_path):  # noqa: F811
    """Big enough for a person to change their mind."""
    data = some_bytes(300 * MIB)
    files = '<File ovf:id="file1" ovf:href="disk.img"/>'
    described = ovf(files=files, disks=f'<Disk ovf:diskId="vmdisk1" ovf:fileRef="file1" ovf:capacity="{len(data)}"/>')
    assert read(put(("a.ovf", described), ("disk.img", data))).state == "succeeded"
    asked = queue.enqueue("create", Place(Host.objects.get(), uuid.uuid4(), "web-1"), WANTED, operator)
    eventually(
        lambda: Operation.objects.get(pk=asked.pk).progress.get("remaining", 0) > 0, what="bytes to be on the way"
    )
    eventually(
        lambda: (
            StorageVolume.objects.filter(name="web-1.qcow2.unpacking", absent_since=None).exists() or not _runs(asked)
        )
    )
    queue.cancel(Operation.objects.get(pk=asked.pk), operator)
    ended = eventually(finished(asked), 60, what="it to be given up")
    assert ended.state == "cancelled" and "removed again" in ended.error["message"], ended.error
    assert files_of(images) == [NAME] and not Filling.objects.filter(partial=True).exists()


def _runs(asked):
    return Operation.objects.get(pk=asked.pk).is_active


def test_after_a_crash_the_temporary_volume_is_taken_back(images, put, read, disk):  # noqa: F811
    from hosts.hypervisor.connection import Connection
    from hosts.hypervisor.records import Target

    row = put(("a.ovf", descriptor()), ("disk1.vmdk", disk[1]))
    assert read(row).state == "succeeded"
    half = images.images / "web-1.qcow2.unpacking"
    half.write_bytes(b"half")
    images.pool().refresh(0)
    made = [[str(row.pool.uuid), name, "images"] for name in ("web-1.qcow2", half.name)]
    operation = Operation.objects.create(
        kind="create", host=row.pool.host, host_name="one", subject_name="web-1", subject_uuid=uuid.uuid4(), arguments=WANTED,
        state="running", owner="test", progress={"made": made},
    )  # fmt: skip
    task = Task(operation, registry["create"], lambda host, _own: Connection.open(Target(host.uri)), Hold())
    with pytest.raises(Failed, match="removed again"):
        registry["create"].recover(task)
    task.close()
    assert files_of(images) == [NAME]


def test_a_volume_that_is_named_like_the_temporary_one_is_nobodys_to_delete(images, put, read, make, disk):  # noqa: F811
    assert read(put(("a.ovf", descriptor()), ("disk1.vmdk", disk[1]))).state == "succeeded"
    other = images.images / "web-1.qcow2.unpacking"
    other.write_bytes(b"mine")
    ended = make()
    images.pool().refresh(0)
    assert other.read_bytes() == b"mine", json.dumps(ended.error)
