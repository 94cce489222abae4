"""What declared properties do at the edges: text with remarks in it, indentation, order, keys, new names."""

import pytest

from vms.definition.cpu import Topology
from vms.definition.devices import Devices
from vms.definition.devices.disk import target_name
from vms.definition.devices.interface import XEN_MAC, fresh_mac
from vms.definition.domain import Definition
from vms.definition.nodes import UnknownProperty
from vms.definition.properties import InvalidValue
from vms.tests.definition.walking import CORPUS, declared


def definition(inner="", text="<domain>{}</domain>"):
    return Definition.parse(text.format(inner))


def test_there_is_a_class_for_every_device_that_the_project_shows():
    tags = {many.path for many in Devices.lists.values()} | {part.path for part in Devices.parts.values()}
    assert tags >= {
        "disk", "interface", "graphics", "video", "serial", "console", "channel", "input", "hostdev", "controller", "tpm", "rng",
        "watchdog", "memballoon", "sound", "filesystem", "vsock", "panic", "iommu", "memory", "redirdev", "smartcard", "audio",
        "hub", "parallel", "disk[device=cdrom]", "disk[device=floppy]",
    }  # fmt: skip
    assert len(declared()) > 600


def test_a_remark_in_a_value_does_not_hide_it_and_stays_when_it_changes():
    found = definition("<vcpu><!-- a -->4<!-- b --></vcpu><name>o<!-- c -->ne</name>")
    assert (found.vcpu.count, found.name) == (4, "one")
    found.vcpu.count, found.name = 8, "two"
    assert found.to_xml() == "<domain><vcpu><!-- a -->8<!-- b --></vcpu><name>two<!-- c --></name></domain>"


def test_what_goes_takes_nothing_with_it():
    found = definition("<title>T</title>tail<os>\n  <boot dev='hd'/>text\n</os>")
    found.title = None
    found.os.boot_devices = []
    assert found.to_xml() == "<domain>tail<os>\n  text\n</os></domain>"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("<domain/>", "<domain>\n  <title>T</title>\n</domain>"),
        ("<domain>\n</domain>", "<domain>\n  <title>T</title>\n</domain>"),
        ("<domain><name>n</name></domain>", "<domain><name>n</name><title>T</title></domain>"),
        ("<domain>\n\t<name>n</name>\n</domain>", "<domain>\n\t<name>n</name>\n\t<title>T</title>\n</domain>"),
        (
            "<domain>\n  <memory>1</memory>\n</domain>",
            "<domain>\n  <title>T</title>\n  <memory>1</memory>\n</domain>",
        ),
        (
            "<domain>\n  <name>n</name> <!-- n -->\n  <!-- m -->\n  <memory>1</memory>\n</domain>",
            "<domain>\n  <name>n</name> <!-- n -->\n  <title>T</title>\n  <!-- m -->\n  <memory>1</memory>\n</domain>",
        ),
        ("<domain>words<x/></domain>", "<domain>words<x/><title>T</title></domain>"),
    ],
)
def test_what_is_new_stands_where_libvirt_would_write_it_and_as_deep_as_its_neighbours(before, after):
    found = Definition.parse(before)
    found.title = "T"
    assert found.to_xml() == after
    found.title = None
    assert found.to_xml() in (before, before.replace("\n</domain>", "</domain>"), "<domain/>")


def test_levels_that_are_missing_are_indented_like_the_others():
    found = Definition.parse(
        "<domain>\n   <devices>\n      <disk>\n         <target dev='vda'/>\n      </disk>\n   </devices>\n</domain>"
    )
    found.devices.disks[0].iotune.read_iops_sec = 1
    assert (
        "\n         <iotune>\n            <read_iops_sec>1</read_iops_sec>\n         </iotune>\n      </disk>"
        in found.to_xml()
    )


def test_names_of_other_namespaces_are_others():
    found = Definition.parse(CORPUS["default_namespace_children"])
    assert found.memory == 2 * 2**30
    assert [disk.key for disk in found.devices.disks] == ["vda"]
    found.memory = 2**30
    assert '<x:memory unit="GiB">99</x:memory>' in found.to_xml()


def test_our_own_metadata_is_found_under_any_prefix_and_written_beside_that_of_others():
    found = Definition.parse(CORPUS["foreign_metadata"])
    assert found.tags == ["one", "two"]
    found.tags = ["one", "three", "four"]
    found.folder = "a/b"
    assert "<k:tag>one</k:tag><!-- between --><k:tag>three</k:tag><k:tag>four</k:tag>" in found.to_xml()
    assert Definition.parse(found.to_xml()).folder == "a/b"
    assert "<nova:flavor" in found.to_xml() and "text <b>mixed</b> tail" in found.to_xml()


def test_a_refused_value_says_why_and_touches_nothing():
    found = definition("<devices><disk><target dev='vda'/></disk></devices>")
    before = found.to_xml()
    for path, value in [
        ("memory", "1"), ("memory", 2**70), ("vcpu.count", 0), ("vcpu.count", True), ("name", ""), ("title", "a\nb"),
        ("title", "\x01"), ("description", "\udc80"), ("title", 5), ("devices.disks[vda].readonly", "yes"),
        ("cpu.migratable", "on"), ("tags", ["", "x"]), ("tags", [5]), ("os.boot_devices", ["hd", "x"]),
        ("devices.disks[vda].driver.cache", ""), ("uuid", "x"),
    ]:  # fmt: skip
        with pytest.raises(InvalidValue) as error:
            found.set(path, value)
        assert error.value.name == path.rpartition(".")[2] and error.value.message
        assert found.to_xml() == before, path


def test_a_word_of_a_newer_libvirt_is_read_and_may_be_written_again():
    found = Definition.parse(CORPUS["newer_libvirt"])
    dog = found.devices.watchdogs[0]
    assert dog.model == "itco"
    dog.model = "itco"
    with pytest.raises(InvalidValue):
        dog.model = "other"


def test_entries_are_found_by_key_alias_and_place():
    disks = Definition.parse(CORPUS["linux_server"]).devices.disks
    assert (
        disks["vda"].source.file == disks["virtio-disk0"].source.file == disks["#0"].source.file == disks[0].source.file
    )
    assert [disk.key for disk in disks] == ["vda", "sda"] and disks[-1].key == "sda" and len(disks[0:5]) == 2
    assert disks.find("VDA").key == "vda" and disks.find("vdz") is None and disks.find("#7") is None
    with pytest.raises(UnknownProperty):
        disks["vdz"]
    with pytest.raises(IndexError):
        disks[7]


def test_devices_are_found_whatever_they_are():
    devices = Definition.parse(CORPUS["linux_server"]).devices
    assert devices.by_alias("balloon0").model == "virtio"
    assert devices.by_alias("net0").mac == "52:54:00:6b:3c:58"
    assert devices.by_alias("nobody") is None
    tags = [device.element.tag for device in devices.all()]
    assert sorted(tags) == sorted(element.tag for element in devices.element if element.tag != "emulator")


def test_a_new_entry_goes_behind_the_others_or_before_one():
    found = Definition.parse(CORPUS["linux_server"])
    disks = found.devices.disks
    first = disks[0]
    disks.add({"target.dev": "vdb"})
    disks.add({"target.dev": "vdc"}, before=first)
    assert [disk.key for disk in disks] == ["vdc", "vda", "sda", "vdb"]
    assert disks["vdb"].element.getnext().tag == "controller"


def test_free_names_are_the_first_that_nobody_has():
    devices = Definition.parse(CORPUS["linux_server"]).devices
    assert [devices.free_target(bus) for bus in ("virtio", "sata", "scsi", "usb", "ide", "fdc", "xen")] == [
        "vdb", "sdb", "sdb", "sdb", "hda", "fda", "xvda",
    ]  # fmt: skip
    assert [target_name("vd", number) for number in (0, 25, 26, 27, 701, 702)] == [
        "vda",
        "vdz",
        "vdaa",
        "vdab",
        "vdzz",
        "vdaaa",
    ]
    assert definition().devices.free_target("virtio") == "vda"


def test_made_up_mac_addresses_are_new_ones():
    devices = Definition.parse(CORPUS["linux_server"]).devices
    macs = {devices.free_mac() for _ in range(50)}
    assert len(macs) == 50 and all(mac.startswith("52:54:00:") for mac in macs)
    taken = {f"52:54:00:00:00:{byte:02x}" for byte in range(256)}
    assert fresh_mac(taken) not in taken
    assert fresh_mac(prefix=XEN_MAC).startswith("00:16:3e:")


def test_a_medium_is_changed_and_taken_out_and_the_drive_stays():
    drive = Definition.parse(CORPUS["windows11"]).devices.cdroms["sda"]
    assert drive.where == "isos/virtio-win.iso" and not drive.is_empty_drive
    drive.insert("/srv/debian.iso")
    assert (drive.type, drive.source.file, drive.source.pool, drive.where) == (
        "file",
        "/srv/debian.iso",
        None,
        "/srv/debian.iso",
    )
    drive.eject()
    assert drive.is_empty_drive and drive.target.dev == "sda" and drive.boot_order == 2


def test_a_disk_says_where_it_is():
    disks = Definition.parse(CORPUS["network_disks"]).devices.disks
    assert disks["vda"].where == "rbd://mon1.example.org:6321/pool/image"
    assert disks["vdb"].where == "nbd:///run/nbd.sock/export"
    assert disks["vdf"].where == "/tmp/vhost-blk.sock"


def test_a_display_is_moved_at_both_places_that_say_where_it_listens():
    display = Definition.parse(CORPUS["linux_server"]).devices.graphics["vnc"]
    display.listen_at("0.0.0.0")
    assert (display.listen, display.listens[0].address) == ("0.0.0.0", "0.0.0.0")
    other = definition("<devices><graphics type='vnc'><listen type='address'/></graphics></devices>").devices.graphics[
        0
    ]
    other.listen_at("127.0.0.1")
    assert (other.listen, other.listens[0].address) == (None, "127.0.0.1")


def test_pci_addresses_read_as_people_write_them():
    devices = Definition.parse(CORPUS["passthrough"]).devices
    assert devices.host_devices[0].source.address.pci == "0000:0b:00.0"
    assert devices.host_devices[0].address.pci == "0000:06:00.0"
    assert devices.host_devices[1].key == "046d:c52b"
    assert (
        definition("<devices><hostdev type='pci'><source><address bus='zz'/></source></hostdev></devices>")
        .devices.host_devices[0]
        .key
    )


def test_a_single_part_that_is_missing_reads_as_empty_and_is_made_by_writing():
    found = definition("<vcpu>4</vcpu>")
    topology = found.cpu.topology
    assert not topology.exists and topology.cores is None
    topology.cores = 4
    assert topology.exists and isinstance(topology, Topology)
    assert (topology.sockets, topology.cores, topology.threads) == (1, 4, 1)
    found.cpu.remove()
    assert found.to_xml() == "<domain><vcpu>4</vcpu></domain>"
    found.cpu.remove()
    assert not found.cpu.exists


def test_an_entry_that_was_removed_changes_the_definition_no_more():
    found = Definition.parse(CORPUS["linux_server"])
    disk = found.devices.disks["vda"]
    disk.remove()
    before = found.to_xml()
    disk.readonly = True
    disk.remove()
    assert found.to_xml() == before


def test_a_definition_can_be_made_from_nothing():
    found = Definition.blank("new", "qemu")
    found.update({"memory": 2**30, "vcpu.count": 2, "os.type": "hvm", "devices.emulator": "/usr/bin/qemu"})
    found.devices.disks.add(
        {"source.file": "/a", "target.dev": found.devices.free_target("virtio"), "target.bus": "virtio"}
    )
    assert Definition.parse(found.to_xml()).devices.disks["vda"].source.file == "/a"
