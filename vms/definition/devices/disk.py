"""``<disk>``: hard disks, CD-ROM drives and floppy drives."""

from __future__ import annotations

from vms.definition.devices.base import A_PATH, PATH, VIRTIO_MODELS, Address, Bootable, Indexed, VirtioDriver
from vms.definition.devices.source import (
    Auth,
    Encryption,
    Initiator,
    NetworkHost,
    Reconnect,
    Reservations,
    SecurityLabel,
)
from vms.definition.nodes import Many, Nested, Node
from vms.definition.properties import Choice, Integer, OnOff, Presence, Size, Text, YesNo
from vms.definition.sentences import say

TYPES = ("file", "block", "dir", "network", "volume", "nvme", "vhostuser")
BUSES = ("virtio", "sata", "scsi", "ide", "usb", "fdc", "sd", "xen", "uml")
FORMATS = (
    "raw",
    "qcow2",
    "qcow",
    "qed",
    "vmdk",
    "vdi",
    "vpc",
    "vhd",
    "bochs",
    "cloop",
    "dmg",
    "iso",
    "fat",
    "dir",
    "cow",
    "ploop",
    "luks",
    "aio",
)
CACHES = ("default", "none", "writeback", "writethrough", "directsync", "unsafe")
PROTOCOLS = ("rbd", "iscsi", "nbd", "gluster", "nfs", "http", "https", "ftp", "ftps", "tftp", "sheepdog", "vxhs", "ssh")
#: the names that disks of a bus have in the guest begin with these
TARGET_PREFIXES = {"virtio": "vd", "ide": "hd", "fdc": "fd", "xen": "xvd", "uml": "ubd"}


class Source(Node):
    """``<source>`` of a disk: which of these count depends on the disk's type."""

    order = (
        "host identity snapshot config auth initiator address slices encryption reservations ssl cookies "
        "readahead timeout reconnect seclabel"
    )
    file = Text("@file", r"(/|[a-zA-Z]:\\|\[)[^\n]+", A_PATH)
    fd_group = Text("@fdgroup")
    dev = Text("@dev", r"[^\n]+")
    dir = Text("@dir", PATH, A_PATH)
    pool = Text("@pool", r"[^/\n]+")
    volume = Text("@volume", r"[^/\n]+")
    mode = Choice("@mode", ("host", "direct"))
    protocol = Choice("@protocol", PROTOCOLS)
    name = Text("@name")
    query = Text("@query")
    tls = YesNo("@tls")
    tls_hostname = Text("@tlsHostname")
    hosts = Many("host", NetworkHost)
    snapshot = Text("snapshot@name", r"[a-zA-Z0-9_+\-]+")
    config = Text("config@file", PATH, A_PATH)
    auth = Nested("auth", Auth)
    initiator = Nested("initiator", Initiator)
    encryption = Nested("encryption", Encryption)
    reservations = Nested("reservations", Reservations)
    verify_tls = YesNo("ssl@verify")
    readahead = Integer("readahead@size", 1)
    timeout = Integer("timeout@seconds", 1)
    nfs_user = Text("identity@user", r"[a-zA-Z0-9_+\-]+")
    nfs_group = Text("identity@group", r"[a-zA-Z0-9_+\-]+")
    startup_policy = Choice("@startupPolicy", ("mandatory", "requisite", "optional"))
    index = Integer("@index", 1, read_only=True)
    type = Choice("@type", ("pci", "unix"))  # of nvme, of vhostuser
    namespace = Integer("@namespace", 1, 2**32 - 1)
    managed = YesNo("@managed")
    address = Nested("address", Address)
    path = Text("@path", PATH, A_PATH)
    reconnect = Nested("reconnect", Reconnect)
    labels = Many("seclabel", SecurityLabel)


class Driver(VirtioDriver):
    """``<driver>`` of a disk."""

    name = Text("@name", r"[a-zA-Z0-9_+\-]+")
    format = Choice("@type", FORMATS)
    cache = Choice("@cache", CACHES)
    error_policy = Choice("@error_policy", ("stop", "report", "ignore", "enospace"))
    read_error_policy = Choice("@rerror_policy", ("stop", "report", "ignore"))
    io = Choice("@io", ("threads", "native", "io_uring"))
    io_eventfd = OnOff("@ioeventfd")
    event_idx = OnOff("@event_idx")
    copy_on_read = OnOff("@copy_on_read")
    discard = Choice("@discard", ("unmap", "ignore"))
    detect_zeroes = Choice("@detect_zeroes", ("off", "on", "unmap"))
    iothread = Integer("@iothread", 1, 2**32 - 1)
    queues = Integer("@queues", 1, 2**16)
    queue_size = Integer("@queue_size", 1, 2**16)
    metadata_cache = Size("metadata_cache/max_size", default_unit="bytes")


class Target(Node):
    """``<target>`` of a disk: where the guest sees it."""

    dev = Text(
        "@dev", r"(ioemu:)?(fd|hd|sd|vd|xvd|ubd)[a-zA-Z0-9_]+", say("A name such as “vda” or “sdb”."), required=True
    )
    bus = Choice("@bus", BUSES)
    tray = Choice("@tray", ("open", "closed"))
    removable = OnOff("@removable")
    rotation_rate = Integer("@rotation_rate", 1, 65534)


class IoTune(Node):
    """``<iotune>``: limits, in bytes or requests a second."""

    order = (
        "total_bytes_sec read_bytes_sec write_bytes_sec total_iops_sec read_iops_sec write_iops_sec total_bytes_sec_max "
        "read_bytes_sec_max write_bytes_sec_max total_iops_sec_max read_iops_sec_max write_iops_sec_max size_iops_sec group_name "
        "total_bytes_sec_max_length read_bytes_sec_max_length write_bytes_sec_max_length total_iops_sec_max_length "
        "read_iops_sec_max_length write_iops_sec_max_length"
    )
    total_bytes_sec = Integer("total_bytes_sec")
    read_bytes_sec = Integer("read_bytes_sec")
    write_bytes_sec = Integer("write_bytes_sec")
    total_iops_sec = Integer("total_iops_sec")
    read_iops_sec = Integer("read_iops_sec")
    write_iops_sec = Integer("write_iops_sec")
    total_bytes_sec_max = Integer("total_bytes_sec_max")
    read_bytes_sec_max = Integer("read_bytes_sec_max")
    write_bytes_sec_max = Integer("write_bytes_sec_max")
    total_iops_sec_max = Integer("total_iops_sec_max")
    read_iops_sec_max = Integer("read_iops_sec_max")
    write_iops_sec_max = Integer("write_iops_sec_max")
    size_iops_sec = Integer("size_iops_sec")
    group_name = Text("group_name")
    total_bytes_sec_max_length = Integer("total_bytes_sec_max_length")
    read_bytes_sec_max_length = Integer("read_bytes_sec_max_length")
    write_bytes_sec_max_length = Integer("write_bytes_sec_max_length")
    total_iops_sec_max_length = Integer("total_iops_sec_max_length")
    read_iops_sec_max_length = Integer("read_iops_sec_max_length")
    write_iops_sec_max_length = Integer("write_iops_sec_max_length")


class BackingStore(Node):
    """``<backingStore>``: what the image lies on; libvirt finds it out."""

    index = Integer("@index", read_only=True)
    type = Choice("@type", TYPES, read_only=True)
    format = Choice("format@type", FORMATS, read_only=True)
    file = Text("source@file", read_only=True)
    dev = Text("source@dev", read_only=True)
    name = Text("source@name", read_only=True)


class Disk(Bootable, Indexed):
    """``<disk>``"""

    natural_key = "target.dev"
    born = {"type": "file", "device": "disk"}
    order = (
        "driver auth source backingStore backenddomain geometry blockio mirror target iotune readonly "
        "shareable transient serial wwn vendor product encryption boot alias address acpi"
    )
    type = Choice("@type", TYPES, default="file")
    device = Choice("@device", ("disk", "cdrom", "floppy", "lun"), default="disk")
    model = Choice("@model", VIRTIO_MODELS)
    raw_io = YesNo("@rawio")
    sgio = Choice("@sgio", ("filtered", "unfiltered"))
    snapshot = Choice("@snapshot", ("no", "internal", "external", "manual"))
    driver = Nested("driver", Driver)
    source = Nested("source", Source)
    auth = Nested("auth", Auth)
    target = Nested("target", Target)
    iotune = Nested("iotune", IoTune)
    backing_store = Nested("backingStore", BackingStore, lasting=True)
    encryption = Nested("encryption", Encryption)
    logical_block_size = Integer("blockio@logical_block_size", 512)
    physical_block_size = Integer("blockio@physical_block_size", 512)
    readonly = Presence("readonly")
    shareable = Presence("shareable")
    transient = Presence("transient")
    serial = Text("serial", r"[A-Za-z0-9_.+\- ]+", say("Letters, digits, spaces and “_.+-”."))
    wwn = Text("wwn", r"(0x)?[0-9a-fA-F]{16}", say("16 hexadecimal digits."))
    vendor = Text("vendor", r"[ -~]{0,8}", say("Up to 8 plain characters."))
    product = Text("product", r"[ -~]{0,16}", say("Up to 16 plain characters."))

    @property
    def is_empty_drive(self) -> bool:
        """Whether it is a drive with no medium in it."""
        return self.device in ("cdrom", "floppy") and not self.where

    @property
    def where(self) -> str:
        """Where its bytes are, as one word that a person recognises; '' when nothing is inserted."""
        source = self.source
        if source.volume:
            return f"{source.pool or ''}/{source.volume}"
        if source.protocol:
            first = next(iter(source.hosts), None)
            host = first.place if first is not None else ""
            return f"{source.protocol}://{host}/{source.name or ''}"
        return source.file or source.dev or source.dir or source.path or ""

    def insert(self, file: str) -> None:
        """Put an image file into a drive, in place of what is in it."""
        self.eject()
        self.type = "file"
        self.source.file = file

    def eject(self) -> None:
        """Take the medium out; the drive stays."""
        self.source.remove()
        self.backing_store.remove()


class Cdrom(Disk):
    """``<disk device='cdrom'>``"""

    born = {"type": "file", "device": "cdrom"}


class Floppy(Disk):
    """``<disk device='floppy'>``"""

    born = {"type": "file", "device": "floppy"}


def target_name(prefix: str, number: int) -> str:
    """('vd', 0) → 'vda', ('vd', 26) → 'vdaa'."""
    letters = ""
    number += 1
    while number:
        number, letter = divmod(number - 1, 26)
        letters = chr(ord("a") + letter) + letters
    return prefix + letters
