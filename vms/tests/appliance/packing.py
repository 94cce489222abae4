"""Appliances for tests, as VirtualBox and VMware write them, and an archive with whatever one likes in it."""

from __future__ import annotations

import hashlib
import io
import struct
import tarfile
from collections.abc import Iterable

SPACES = (
    'xmlns="http://schemas.dmtf.org/ovf/envelope/1" xmlns:ovf="http://schemas.dmtf.org/ovf/envelope/1" '
    'xmlns:rasd="http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_ResourceAllocationSettingData" '
    'xmlns:vssd="http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_VirtualSystemSettingData"'
)


def item(kind: int, number: int, **values: object) -> str:
    """One resource."""
    rows = "".join(f"<rasd:{name}>{value}</rasd:{name}>" for name, value in values.items())
    return (
        f"<Item><rasd:InstanceID>{number}</rasd:InstanceID><rasd:ResourceType>{kind}</rasd:ResourceType>{rows}</Item>"
    )


VIRTUALBOX_ITEMS = (
    item(3, 1, ElementName="2 virtual CPU", VirtualQuantity=2),
    item(4, 2, AllocationUnits="MegaByte", VirtualQuantity=1024),
    item(5, 3, Address=0, ElementName="ideController0", ResourceSubType="PIIX4"),
    item(20, 5, Address=0, ElementName="sataController0", ResourceSubType="AHCI"),
    item(23, 6, ElementName="usb"),
    item(35, 7, ElementName="sound", ResourceSubType="ensoniq1371"),
    item(17, 8, AddressOnParent=0, HostResource="/disk/vmdisk1", Parent=5, ElementName="disk1"),
    item(15, 9, AddressOnParent=0, Parent=3, ElementName="cdrom1"),
    item(10, 10, Connection="NAT", ElementName="Ethernet adapter on 'NAT'", ResourceSubType="E1000"),
)
VMWARE_ITEMS = (
    item(3, 1, AllocationUnits="hertz * 10^6", ElementName="4 virtual CPU(s)", VirtualQuantity=4),
    item(4, 2, AllocationUnits="byte * 2^20", ElementName="2048MB of memory", VirtualQuantity=2048),
    item(6, 3, Address=0, ElementName="SCSI Controller 0", ResourceSubType="lsilogic"),
    # The second disk stands first: what counts is its place on the controller.
    item(17, 5, AddressOnParent=1, ElementName="Hard Disk 2", HostResource="ovf:/disk/vmdisk2", Parent=3),
    item(17, 4, AddressOnParent=0, ElementName="Hard Disk 1", HostResource="ovf:/disk/vmdisk1", Parent=3),
    item(10, 6, Connection="VM Network", ElementName="Network adapter 1", ResourceSubType="VmxNet3"),
    item(10, 7, Connection="Backup", ElementName="Network adapter 2", ResourceSubType="VmxNet3"),
    item(1, 8, ElementName="VMCI device"),
    item(99, 9, ElementName="Flux capacitor"),
)


def ovf(
    items: Iterable[str] = VIRTUALBOX_ITEMS, *, system: str = "", name: str = "My appliance", files: str = "", disks: str = "",
    more: str = "", head: str = '<?xml version="1.0"?>',
) -> bytes:  # fmt: skip
    """A descriptor. ``system``: what stands in the guest beside its hardware; ``files`` and ``disks`` instead of the one disk."""
    files = files or '<File ovf:id="file1" ovf:href="disk1.vmdk"/>'
    disks = disks or '<Disk ovf:diskId="vmdisk1" ovf:fileRef="file1" ovf:capacity="67108864" ovf:format="vmdk"/>'
    return (
        f"{head}<Envelope ovf:version='1.0' {SPACES} xmlns:vbox='http://www.virtualbox.org/ovf/machine' "
        f"xmlns:vmw='http://www.vmware.com/schema/ovf'><References>{files}</References>"
        f"<DiskSection><Info>disks</Info>{disks}</DiskSection>{more}"
        f'<VirtualSystem ovf:id="{name}"><Info>A guest</Info>{system}'
        f"<VirtualHardwareSection><Info>hardware</Info>{''.join(items)}</VirtualHardwareSection></VirtualSystem></Envelope>"
    ).encode()


VIRTUALBOX = ovf(
    system='<OperatingSystemSection ovf:id="96"><Info>os</Info><Description>Debian_64</Description>'
    '<vbox:OSType ovf:required="false">Debian12_64</vbox:OSType></OperatingSystemSection>'
    '<vbox:Machine ovf:required="false" name="deb" OSType="Debian12_64"><Hardware><Firmware type="EFI"/></Hardware></vbox:Machine>'
)
VMWARE = ovf(
    VMWARE_ITEMS,
    name="web_front",
    files='<File ovf:id="file1" ovf:href="web-disk1.vmdk" ovf:size="3"/><File ovf:id="file2" ovf:href="web-disk2.vmdk"/>',
    disks='<Disk ovf:capacity="16" ovf:capacityAllocationUnits="byte * 2^30" ovf:diskId="vmdisk1" ovf:fileRef="file1" '
    'ovf:populatedSize="1000000"/><Disk ovf:capacity="2" ovf:capacityAllocationUnits="byte * 2^30" ovf:diskId="vmdisk2" '
    'ovf:fileRef="file2"/>',
    system='<Name>web front (production)</Name><OperatingSystemSection ovf:id="94" vmw:osType="ubuntu64Guest"><Info>os</Info>'
    "</OperatingSystemSection><ProductSection><Info>p</Info><Product>Ubuntu 22.04 Server</Product><Version>1.2</Version>"
    '<Property ovf:key="hostname" ovf:type="string"/></ProductSection><EulaSection><Info>e</Info><License>…</License></EulaSection>'
    '<AnnotationSection><Info>a</Info></AnnotationSection><StrangeSection ovf:required="true"/>',
)


def vmdk(extra: bytes = b"", *, capacity: int = 131072, descriptor: tuple[int, int] = (1, 20)) -> bytes:
    """The beginning of a sparse VMDK: header and descriptor."""
    head = struct.pack("<4sIIQQQQIQQQ", b"KDMV", 3, 0x30001, capacity, 128, *descriptor, 512, 0, 2**64 - 1, 128)
    text = b'# Disk DescriptorFile\nversion=1\nparentCID=ffffffff\ncreateType="streamOptimized"\n' + extra
    return (head.ljust(512, b"\0") + text).ljust(70_000, b"\0")


def tar(files: Iterable[tuple[str, bytes]], form: int = tarfile.USTAR_FORMAT) -> bytes:
    """An archive of these files, in this order."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=form) as archive:
        for name, data in files:
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return out.getvalue()


def manifest(*files: tuple[str, bytes], algorithm: str = "sha256") -> bytes:
    """Their checksums."""
    return "".join(
        f"{algorithm.upper()}({name})= {hashlib.new(algorithm, data).hexdigest()}\n" for name, data in files
    ).encode()


def of_bytes(data: bytes):
    """What reads from them, and how long they are."""
    return (lambda offset, length: data[offset : offset + length]), len(data)
