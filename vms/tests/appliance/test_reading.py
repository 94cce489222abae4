"""Appliances of VirtualBox and VMware are understood; hostile and broken ones are refused with the reason."""

from __future__ import annotations

import struct
import tarfile

import pytest

from vms.appliance import image
from vms.appliance.archive import FIRST
from vms.appliance.errors import BadAppliance
from vms.appliance.reading import of_plain, read
from vms.tests.appliance.packing import (
    VIRTUALBOX,
    VIRTUALBOX_ITEMS,
    VMWARE,
    item,
    manifest,
    of_bytes,
    ovf,
    tar,
    vmdk,
)

DISK = ("disk1.vmdk", vmdk())


def opened(*files: tuple[str, bytes], form: int = tarfile.USTAR_FORMAT):
    return read(*of_bytes(tar(files, form)))


def reason(*files: tuple[str, bytes], form: int = tarfile.USTAR_FORMAT) -> str:
    with pytest.raises(BadAppliance) as caught:
        opened(*files, form=form)
    return str(caught.value)


def test_an_appliance_of_virtualbox_is_understood():
    found = opened(("a.ovf", VIRTUALBOX), ("a.mf", manifest(("a.ovf", VIRTUALBOX), DISK)), DISK)
    assert (found.name, found.vcpus, found.memory, found.firmware) == ("My appliance", 2, 2**30, "efi")
    (disk,) = found.disks
    assert (disk.file, disk.size, disk.format, disk.capacity, disk.bus) == ("disk1.vmdk", 70_000, "vmdk", 2**26, "sata")
    assert disk.digest.startswith("sha256:") and [(card.network, card.model) for card in found.cards] == [
        ("NAT", "E1000")
    ]
    assert "Debian12_64" in found.systems
    told = " ".join(found.notes)
    assert "CD drives" in told and "sound cards" in told and "manifest" not in told and "not understood" not in told
    assert of_plain(found.plain()) == found


def test_an_appliance_of_vmware_is_understood_and_what_is_not_is_named():
    disks = (("web-disk1.vmdk", vmdk()), ("web-disk2.vmdk", vmdk()))
    found = opened(("web.ovf", VMWARE), *disks, ("notes.txt", b"x"))
    assert (found.name, found.vcpus, found.memory) == ("web front (production)", 4, 2**31)
    assert found.firmware == "bios"
    assert [(one.file, one.capacity, one.populated, one.controller) for one in found.disks] == [
        ("web-disk1.vmdk", 2**34, 1_000_000, "lsilogic"), ("web-disk2.vmdk", 2**31, 0, "lsilogic"),
    ]  # fmt: skip
    assert [card.network for card in found.cards] == ["VM Network", "Backup"]
    assert found.systems[0] == "ubuntu64Guest" and "Ubuntu 22.04 Server 1.2" in found.systems
    told = " ".join(found.notes)
    for words in ("no manifest", "Flux capacitor", "licence", "hostname", "StrangeSection", "notes.txt"):
        assert words in told, told
    assert "VMCI" not in told and "AnnotationSection" not in told


def test_bytes_of_disks_are_found_where_they_lie():
    raw = b"\x55\xaa" + bytes(range(256)) * 40
    files = (("a.ovf", ovf(files='<File ovf:id="file1" ovf:href="disk.img"/>')), ("disk.img", raw))
    data = tar(files)
    (disk,) = read(*of_bytes(data)).disks
    assert data[disk.offset : disk.offset + disk.size] == raw and disk.format == "raw"


@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_names_that_need_headers_of_their_own_are_read(form):
    name = "d" * 95 + "-disk1.vmdk" if form != tarfile.USTAR_FORMAT else "disk1.vmdk"
    files = f'<File ovf:id="file1" ovf:href="{name}"/>'
    assert opened(("./a.ovf", ovf(files=files)), (name, vmdk()), form=form).disks[0].file == name


def test_sizes_beyond_the_octal_digits_are_read_and_held_against_the_length():
    data = bytearray(tar([("a.ovf", ovf()), DISK]))
    at = data.index(b"disk1.vmdk\0")
    data[at + 124 : at + 136] = b"\x80" + (2**40).to_bytes(11)
    total = sum(data[at : at + 148]) + 256 + sum(data[at + 156 : at + 512])
    data[at + 148 : at + 156] = f"{total:06o}\0 ".encode()
    with pytest.raises(BadAppliance, match="not whole"):
        read(*of_bytes(bytes(data)))


def test_only_headers_descriptor_and_the_beginnings_of_disks_are_asked_for():
    asked = []
    data = tar([("a.ovf", ovf()), ("disk1.vmdk", vmdk() + bytes(30 * 2**20))])

    def at(offset, length):
        asked.append(length)
        return data[offset : offset + length]

    read(at, len(data))
    assert sum(asked) < FIRST + image.HEAD + 4096


@pytest.mark.parametrize(
    "name",
    ["../disk1.vmdk", "/etc/passwd", "a/../../b", "x" * 300, "a/b.vmdk", "a\\b", "..", "a\nb", "\x1b[31m", "é" * 200],
)
def test_hostile_names_are_refused(name):
    assert "not allowed" in reason(("a.ovf", ovf()), DISK, (name, b"x"), form=tarfile.GNU_FORMAT)


def test_what_is_no_whole_archive_of_files_is_refused():
    assert "Two files" in reason(("a.ovf", ovf()), DISK, DISK)
    assert "no descriptor" in reason(DISK)
    assert "more than one descriptor" in reason(("a.ovf", ovf()), ("b.ovf", ovf()), DISK)
    assert "More than" in reason(("a.ovf", ovf()), *[(f"f{n}", b"") for n in range(200)])
    assert "not in it" in reason(("a.ovf", ovf()))
    assert "is empty" in reason(("a.ovf", ovf()), ("disk1.vmdk", b""))
    data = tar([("a.ovf", ovf()), DISK])
    for broken, words in (
        (data[:60_000], "not whole"),
        (b"\x1f\x8b" + bytes(2000), "compressed as a whole"),
        (b"<?xml version='1.0'?>" + bytes(2000), "descriptor alone"),
        (b"hello" * 1000, "no appliance"),
        (b"", "no descriptor"),
    ):
        with pytest.raises(BadAppliance, match=words):
            read(*of_bytes(broken))


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE])
def test_links_and_devices_are_refused(kind, tmp_path):
    place = tmp_path / "a.ova"
    with tarfile.open(place, "w") as archive:
        member = tarfile.TarInfo("disk1.vmdk")
        member.type, member.linkname = kind, "/etc/shadow"
        archive.addfile(member)
    with pytest.raises(BadAppliance, match="no file"):
        read(*of_bytes(place.read_bytes()))


BOMB = (
    '<?xml version="1.0"?><!DOCTYPE bomb [<!ENTITY a "ha">'
    + "".join(f'<!ENTITY {chr(98 + n)} "{("&" + chr(97 + n) + ";") * 10}">' for n in range(12))
    + "]>"
)


@pytest.mark.parametrize(
    ("descriptor", "words"),
    [
        (ovf(head=BOMB, name="&m;"), "document type"),
        (ovf(head='<?xml version="1.0"?><!DOCTYPE x SYSTEM "file:///etc/passwd">'), "document type"),
        (ovf().decode().replace('<?xml version="1.0"?>', "").encode("utf-16").replace(b"<\0E\0",
        b"<\0!\0D\0O\0C\0T\0Y\0P\0E\0 \0<\0E\0", 1),
         "document type"),
        (b"<Envelope", "no XML"),
        (b"<a>" * 5000, "no XML"),
        (b"<domain/>", "no OVF"),
        (b" " * (3 * 2**20), "larger"),
        (ovf().replace(b"VirtualSystem", b"Else"), "no guest"),
        (ovf().replace(b"</VirtualSystem>", b"</VirtualSystem><VirtualSystem/>"), "2 guests"),
        (ovf().replace(b"VirtualHardwareSection", b"Else"), "no hardware"),
        (ovf(files='<File ovf:id="file1" ovf:href="disk1.vmdk" ovf:compression="gzip"/>'), "compressed"),
        (ovf(files='<File ovf:id="file1" ovf:href="disk1.vmdk" ovf:chunkSize="2147483648"/>'), "pieces"),
        (ovf(files='<File ovf:id="file1" ovf:href="../../etc/shadow"/>'), "outside"),
        (ovf(files='<File ovf:id="file1" ovf:href="http://example.com/disk.vmdk"/>'), "outside"),
        (ovf(files='<File ovf:id="other" ovf:href="disk1.vmdk"/>'), "not named"),
        (ovf(disks='<Disk ovf:diskId="vmdisk1" ovf:fileRef="file1" ovf:capacity="${size}"/>'), "cannot be told"),
        (ovf(disks='<Disk ovf:diskId="vmdisk1" ovf:fileRef="file1" ovf:capacity="9" ovf:capacityAllocationUnits="byte * 2^70"/>'),
         "cannot be told"),
        (ovf(disks='<Disk ovf:diskId="vmdisk1" ovf:fileRef="file1" ovf:capacity="9" ovf:parentRef="x"/>'), "differs"),
        (ovf([item(17, 1, HostResource="/disk/none")]), "not described"),
        (ovf([item(17, n, HostResource="/disk/vmdisk1") for n in range(2)]), "same file"),
        (ovf([item(10, n, Connection="a") for n in range(40)]), "network cards"),
        (ovf([item(1, n) for n in range(600)]), "more than 500"),
    ],
)  # fmt: skip
def test_hostile_and_broken_descriptors_are_refused(descriptor, words):
    assert words in reason(("a.ovf", descriptor), DISK)


def test_numbers_that_no_machine_has_are_not_believed():
    found = opened(("a.ovf", ovf([item(3, 1, VirtualQuantity="1e9"), item(4, 2, VirtualQuantity=2**70)])))
    assert (found.vcpus, found.memory) == (0, 0) and "not understood" in " ".join(found.notes)


def test_the_usual_size_is_taken_of_those_that_are_offered():
    options = (
        '<DeploymentOptionSection><Info>o</Info><Configuration ovf:id="small"/>'
        '<Configuration ovf:id="large" ovf:default="true"/></DeploymentOptionSection>'
    )
    sized = [item(3, 1, VirtualQuantity=8).replace("<Item>", '<Item ovf:configuration="large">')]
    sized += [item(3, 1, VirtualQuantity=1).replace("<Item>", '<Item ovf:configuration="small">')]
    found = opened(("a.ovf", ovf([*sized, item(3, 1, VirtualQuantity=2), *VIRTUALBOX_ITEMS[1:]], more=options)), DISK)
    assert found.vcpus == 8 and "large" in " ".join(found.notes)


def test_checksums_that_are_wrong_or_cannot_be_read_are_refused():
    descriptor = ("a.ovf", ovf())
    assert "checksum" in reason(descriptor, ("a.mf", manifest(("a.ovf", b"other"))), DISK)
    for bad in (b"hello", b"MD5(a.ovf)= 00", b"SHA256(a.ovf)= 00ff", manifest(descriptor) * 2):
        assert "manifest" in reason(descriptor, ("a.mf", bad), DISK)
    found = opened(descriptor, ("a.mf", manifest(descriptor, algorithm="sha1")), ("a.cert", b"x"), DISK)
    assert "no checksum of “disk1.vmdk”" in " ".join(found.notes) and "signed" in " ".join(found.notes)


QCOW = struct.pack(">4sIQIIQI", b"QFI\xfb", 3, 0, 0, 16, 2**26, 0).ljust(104, b"\0")


def patched(data: bytes, at: int, value: bytes) -> bytes:
    return data[:at] + value + data[at + len(value) :]


@pytest.mark.parametrize(
    ("disk", "words"),
    [
        (b'# Disk DescriptorFile\nversion=1\nRW 100 FLAT "/etc/shadow" 0\n', "list of other files"),
        (b'\n # disk descriptorfile\nRW 100 FLAT "/etc/shadow" 0\n', "list of other files"),
        (vmdk(b'RW 100 FLAT "/etc/shadow" 0\n', capacity=0), "complete in itself"),
        (vmdk(b'parentFileNameHint="/etc/shadow"\n'), "lies on another"),
        (vmdk(b"\0" * 5000 + b'parentFileNameHint="/etc/shadow"\n'), "lies on another"),
        (patched(vmdk(descriptor=(100, 20)), 102 * 512, b"parentFileNameHint"), "lies on another"),
        (vmdk(descriptor=(2**40, 20)), "complete in itself"),
        (vmdk(descriptor=(1, 2**50)), "complete in itself"),
        (b"KDMV", "too short"),
        (patched(QCOW, 8, struct.pack(">Q", 104)), "lies on another"),
        (patched(QCOW, 72, struct.pack(">Q", 4)), "lies on another"),
        (patched(QCOW, 32, struct.pack(">I", 2)), "encrypted"),
        (patched(QCOW, 4, struct.pack(">I", 9)), "unknown version"),
        (b"QFI\xfb", "too short"),
        (b"COWD" + bytes(600), "not taken"),
        (b"conectix" + bytes(600), "not taken"),
        (b"QED\0" + bytes(600), "not taken"),
        (b"\x1f\x8b" + bytes(600), "not taken"),
    ],
)
def test_images_that_name_other_files_of_the_host_are_refused(disk, words):
    assert words in reason(("a.ovf", ovf()), ("disk1.vmdk", disk))


def test_images_that_are_whole_are_taken_for_what_they_are():
    assert opened(("a.ovf", ovf()), ("disk1.vmdk", QCOW)).disks[0].format == "qcow2", "whatever it is called"
    assert opened(("a.ovf", ovf()), ("disk1.vmdk", bytes(4096))).disks[0].format == "raw"
