"""What is read from domain XML."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from vms.definition import metadata
from vms.definition.metadata import OwnMetadata
from vms.definition.summary import summarize
from vms.definition.xml import MalformedDefinition, parse

# ruff: noqa: E501 - XML as libvirt writes it
FULL = """
<domain type='kvm' id='3'>
  <name>web</name><title> A title </title><description>Words</description>
  <metadata>
    <libosinfo:libosinfo xmlns:libosinfo="http://libosinfo.org/xmlns/libvirt/domain/1.0">
      <libosinfo:os id="http://debian.org/debian/12"/></libosinfo:libosinfo>
    <k:guest xmlns:k="https://kvmdash.org/xmlns/1"><k:folder>shop/front</k:folder><k:tag>prod</k:tag></k:guest>
  </metadata>
  <memory unit='GiB'>2</memory><vcpu current='2'>4</vcpu>
  <os><type arch='x86_64' machine='pc-q35-7.2'>hvm</type></os>
  <devices>
    <emulator>/usr/bin/qemu</emulator>
    <disk type='file' device='disk'><driver name='qemu' type='qcow2' cache='none'/><source file='/a.qcow2'/><target dev='vda' bus='virtio'/></disk>
    <disk type='network' device='disk'><source protocol='nbd' name='x'><host name='10.0.0.1' port='10809'/></source><target dev='vdb' bus='virtio'/></disk>
    <disk type='volume' device='cdrom'><source pool='isos' volume='d.iso'/><target dev='sda' bus='sata'/><readonly/></disk>
    <disk type='file' device='cdrom'><target dev='sdb' bus='sata'/></disk>
    <interface type='network'><mac address='52:54:00:AA:BB:CC'/><source network='default'/><model type='virtio'/><link state='down'/></interface>
    <graphics type='vnc' port='5901' listen='0.0.0.0'><listen type='address' address='0.0.0.0'/></graphics>
    <channel type='unix'><target type='virtio' name='org.qemu.guest_agent.0' state='connected'/></channel>
    <rng model='virtio'><backend model='random'>/dev/urandom</backend></rng>
  </devices>
</domain>"""


def test_everything_the_pages_show_is_read():
    summary = summarize(parse(FULL))
    assert (summary.title, summary.description, summary.tags, summary.folder) == (
        "A title",
        "Words",
        ["prod"],
        "shop/front",
    )
    assert (summary.os_type, summary.arch, summary.machine) == ("debian.org/debian/12", "x86_64", "pc-q35-7.2")
    assert (summary.vcpus, summary.memory, summary.agent_connected) == (2, 2 * 2**30, True)
    assert [disk["source"] for disk in summary.disks] == ["/a.qcow2", "nbd://10.0.0.1:10809/x", "isos/d.iso", ""]
    assert summary.nics[0]["mac"] == "52:54:00:aa:bb:cc" and summary.nics[0]["link"] == "down"
    assert summary.graphics[0]["port"] == 5901
    assert [device["kind"] for device in summary.devices] == ["channel", "rng"]


def test_a_nearly_empty_domain_is_read_too():
    summary = summarize(parse("<domain/>"))
    assert summary.vcpus == 1 and summary.memory == 0 and summary.agent_connected is None


@pytest.mark.parametrize("text", ["", "<domain>", "<network/>", "not xml", "<domain>&#0;</domain>"])
def test_what_is_not_a_domain_is_malformed(text):
    with pytest.raises(MalformedDefinition):
        parse(text)


def test_entities_are_not_expanded():
    bomb = '<!DOCTYPE d [<!ENTITY a "xxxxxxxxxx"><!ENTITY b "&a;&a;&a;&a;">]><domain><title>&b;</title></domain>'
    assert "xxxxxxxxxxxx" not in summarize(parse(bomb)).title
    outside = '<!DOCTYPE d [<!ENTITY f SYSTEM "file:///etc/passwd">]><domain><title>&f;</title></domain>'
    assert "root" not in summarize(parse(outside)).title


# On a busy machine drawing lasts.
@settings(suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.text(max_size=60), max_size=6), st.text(max_size=80))
def test_tags_and_folders_that_are_allowed_come_back_as_they_went_in(tags, folder):
    tags = sorted({tag for tag in tags if metadata.is_tag(tag) and tag == tag.strip()}, key=str.lower)
    folder = folder if metadata.is_folder(folder) and folder == folder.strip() else ""
    built = metadata.build(OwnMetadata(tags, folder))
    wrapped = f"<domain><metadata>{built}</metadata></domain>".replace(
        "<guest>", f'<guest xmlns="{metadata.NAMESPACE}">'
    )
    back = metadata.read(parse(wrapped))
    assert sorted(back.tags) == sorted(tags) and back.folder == folder


@pytest.mark.parametrize(
    ("os", "firmware"),
    [
        ("<os><type arch='x86_64'>hvm</type></os>", "bios"),
        ("<os firmware='efi'><type arch='x86_64'>hvm</type></os>", "efi"),
        (
            "<os firmware='efi'><type>hvm</type><firmware><feature name='secure-boot' enabled='yes'/></firmware></os>",
            "secure",
        ),
        ("<os><type>hvm</type><loader type='pflash' secure='yes'>/x.fd</loader></os>", "secure"),
        (
            "<os><type>hvm</type><loader type='pflash' secure='yes'>/x.fd</loader>"
            "<firmware><feature name='enrolled-keys' enabled='no'/></firmware></os>",
            "efi",
        ),
        ("<os><type arch='aarch64'>hvm</type></os>", ""),
        ("<os><type arch='x86_64'>exe</type></os>", ""),
        ("", ""),
    ],
)
def test_the_firmware_is_told_as_far_as_the_definition_says_it(os, firmware):
    assert summarize(parse(f"<domain>{os}</domain>")).firmware == firmware
