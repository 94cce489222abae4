"""Pieces of storage sources that several devices share."""

from __future__ import annotations

from vms.definition.devices.base import A_PATH, HOST_NAME, PATH, UUID
from vms.definition.nodes import Node
from vms.definition.properties import Choice, Integer, Text, YesNo
from vms.definition.sentences import say


class NetworkHost(Node):
    """``<host>``: a server of network storage."""

    natural_key = "name"
    transport = Choice("@transport", ("tcp", "rdma", "unix"))
    name = Text("@name", HOST_NAME, say("A host name or an address."))
    port = Integer("@port", 0, 65535)
    socket = Text("@socket", PATH, A_PATH)

    @property
    def place(self) -> str:
        """'10.0.0.1:6789'"""
        return self.socket or f"{self.name or ''}{f':{self.port}' if self.port is not None else ''}"


class Auth(Node):
    """``<auth>``: a user, and which of libvirt's secrets is the password."""

    username = Text("@username", r"[a-zA-Z0-9_+\-]+", required=True)
    secret_type = Choice("secret@type", ("ceph", "iscsi"), required=True)
    secret_uuid = Text("secret@uuid", UUID, say("A UUID."))
    secret_usage = Text("secret@usage", r"[^/\n]+")


class Initiator(Node):
    """``<initiator>``: the name that this side has for an iSCSI server."""

    iqn = Text("iqn@name")


class Encryption(Node):
    """``<encryption>``: how the image is encrypted. To read; it is decided when the image is made."""

    format = Choice("@format", ("default", "qcow", "luks", "luks2"), read_only=True)
    engine = Choice("@engine", ("qemu", "librbd"), read_only=True)
    secret_type = Text("secret@type", read_only=True)
    secret_uuid = Text("secret@uuid", read_only=True)
    secret_usage = Text("secret@usage", read_only=True)


class Reconnect(Node):
    """``<reconnect>``: what is done when a socket's other end goes away."""

    born = {"enabled": "yes"}
    enabled = YesNo("@enabled", required=True)
    timeout = Integer("@timeout", 0, 2**32 - 1)


class Reservations(Node):
    """``<reservations>``: SCSI persistent reservations by a helper."""

    managed = YesNo("@managed")
    path = Text("source@path", PATH, A_PATH, born={"type": "unix", "mode": "client"})


class SecurityLabel(Node):
    """``<seclabel>`` of a source: how it is labelled on the host."""

    natural_key = "model"
    model = Text("@model")
    relabel = YesNo("@relabel")
    label = Text("label")
