"""``<filesystem>``: a directory of the host in the guest, by virtiofs or 9p; in a container any kind of mount."""

from __future__ import annotations

from vms.definition.devices.base import A_PATH, PATH, VIRTIO_MODELS, Bootable, Indexed, VirtioDriver
from vms.definition.nodes import Nested, Node
from vms.definition.properties import Choice, Integer, OnOff, Presence, Size, Text
from vms.definition.sentences import say

_MODE = r"0[0-7]{3}|[0-7]{1,3}"


class Driver(VirtioDriver):
    """``<driver>`` of a file system."""

    type = Choice("@type", ("virtiofs", "path", "handle", "loop", "nbd", "ploop"))
    format = Choice("@format", ("raw", "qcow2", "ploop"))
    write_policy = Choice("@wrpolicy", ("immediate",))
    queue = Integer("@queue", 0, 2**32 - 1)


class Binary(Node):
    """``<binary>``: how virtiofsd is run."""

    order = "cache sandbox lock thread_pool"
    path = Text("@path", PATH, A_PATH)
    xattr = OnOff("@xattr")
    cache = Choice("cache@mode", ("none", "always"))
    sandbox = Choice("sandbox@mode", ("namespace", "chroot"))
    lock_posix = OnOff("lock@posix")
    lock_flock = OnOff("lock@flock")
    thread_pool = Integer("thread_pool@size", -1, 2**31 - 1)


class Source(Node):
    """``<source>`` of a file system; which of these count depends on its type."""

    dir = Text("@dir", r"/[^\n]*", A_PATH)
    socket = Text("@socket", PATH, A_PATH)
    file = Text("@file", PATH, A_PATH)
    dev = Text("@dev", PATH, A_PATH)
    name = Text("@name", r"[a-zA-Z0-9_+\-]+")
    usage = Size("@usage", unit="units")


class Filesystem(Bootable, Indexed):
    """``<filesystem>``"""

    natural_key = "target"
    born = {"type": "mount"}
    order = "driver binary source target readonly space_hard_limit space_soft_limit boot alias address acpi"
    type = Choice("@type", ("mount", "file", "block", "template", "ram", "bind"))
    access_mode = Choice("@accessmode", ("passthrough", "mapped", "squash"))
    model = Choice("@model", VIRTIO_MODELS)
    multidevs = Choice("@multidevs", ("default", "remap", "forbid", "warn"))
    file_mode = Text("@fmode", _MODE, say("An octal number such as “0640”."))
    directory_mode = Text("@dmode", _MODE, say("An octal number such as “0750”."))
    driver = Nested("driver", Driver)
    binary = Nested("binary", Binary)
    source = Nested("source", Source)
    target = Text("target@dir", required=True)
    readonly = Presence("readonly")
    hard_limit = Size("space_hard_limit", default_unit="bytes")
    soft_limit = Size("space_soft_limit", default_unit="bytes")
