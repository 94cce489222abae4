"""XML of pools is what libvirt's own schema allows, and what people type is checked before it comes there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from lxml import etree

from hosts import storage_names, storage_xml
from hosts.operations.kind import InvalidArguments, registry
from hosts.storage_types import TYPES

SCHEMA = Path("/usr/share/libvirt/schemas/storagepool.rng")
IQN = "iqn.2026-01.com.example:disk1"
#: for each type all that it takes
WHOLE: dict[str, dict[str, Any]] = {
    "dir": {"path": "/srv/images"},
    "fs": {"device": "/dev/disk/by-uuid/4711-0815", "format": "xfs", "path": "/mnt/fs"},
    "netfs": {"host": "filer.example.com", "folder": "/export/vms", "format": "nfs", "path": "/mnt/nfs"},
    "logical": {"source_name": "vg0", "devices": ["/dev/sdb", "/dev/sdc"]},
    "disk": {"device": "/dev/sdb", "format": "gpt", "path": "/dev"},
    "iscsi": {"host": "10.0.0.9", "port": 3261, "target": IQN, "initiator": IQN, "username": "u", "password": "p" * 12,
              "path": "/dev/disk/by-path"},
    "iscsi-direct": {"host": "10.0.0.9", "port": 3261, "target": IQN, "initiator": IQN, "username": "u", "password": "p" * 12},
    "scsi": {"adapter": "host2", "path": "/dev/disk/by-path"},
    "mpath": {},
    "rbd": {"hosts": ["mon1", "mon2:6790", "[2001:db8::1]:6789"], "source_name": "vms", "username": "admin",
            "password": "QUJDRA=="},
    "gluster": {"host": "g1.example.com", "source_name": "vms", "folder": "/images"},
    "zfs": {"source_name": "tank/vms", "devices": ["/dev/sdb"]},
    "vstorage": {"source_name": "cluster1", "path": "/mnt/vz"},
}  # fmt: skip


def cleaned(kind: str, **changes: Any) -> dict[str, Any]:
    return registry["pool-define"].clean({"type": kind, "name": f"my-{kind}", **WHOLE[kind], **changes})


def valid(text: str, schema: Path = SCHEMA) -> None:
    if not schema.exists():
        pytest.skip("libvirt's schemas are not installed")
    etree.RelaxNG(etree.parse(schema)).assertValid(etree.fromstring(text))


def test_every_type_of_libvirt_can_be_asked_for() -> None:
    assert set(WHOLE) == set(TYPES)


@pytest.mark.parametrize("kind", sorted(WHOLE))
def test_a_pool_of_each_type_is_valid_with_all_and_with_the_least_that_it_takes(kind: str) -> None:
    arguments = cleaned(kind)
    assert {*WHOLE[kind]} - {"password"} <= {*arguments}
    text = storage_xml.pool(arguments)
    valid(text)
    for value in WHOLE[kind].values():
        told = [value] if not isinstance(value, list) else []
        assert all(str(one) in text for one in told) or value == WHOLE[kind].get("password")
    least = {"type": kind, "name": "n", **{name: WHOLE[kind][name] for name in TYPES[kind].required}}
    least |= {"adapter": "host0"} if kind == "scsi" else {}
    valid(storage_xml.pool(registry["pool-define"].clean(least)))


@pytest.mark.parametrize("kind", sorted(WHOLE))
def test_what_a_type_needs_and_what_it_does_not_know_is_said_by_field(kind: str) -> None:
    for name in TYPES[kind].required:
        with pytest.raises(InvalidArguments) as caught:
            cleaned(kind, **{name: ""})
        assert caught.value.field == name
    with pytest.raises(InvalidArguments) as caught:
        cleaned(kind, colour="red")
    assert caught.value.field == "colour"


@pytest.mark.parametrize("kind", ["iscsi", "iscsi-direct", "rbd"])
def test_a_password_stands_in_no_argument_no_xml_and_no_command(kind: str) -> None:
    arguments, password = cleaned(kind), WHOLE[kind]["password"]
    for text in (
        str(arguments),
        storage_xml.pool(arguments),
        storage_xml.secret(arguments),
        storage_xml.virsh(arguments),
    ):
        assert password not in text
    assert storage_xml.secret_uuid(arguments["uuid"]) in storage_xml.pool(arguments)
    valid(storage_xml.secret(arguments), SCHEMA.with_name("secret.rng"))


@pytest.mark.parametrize(
    ("kind", "changes", "field"),
    [
        ("dir", {"path": "images"}, "path"),
        ("dir", {"path": "/srv/../etc"}, "path"),
        ("dir", {"path": "/srv\n/x"}, "path"),
        ("dir", {"path": "/" + "x" * 600}, "path"),
        ("dir", {"path": 5}, "path"),
        ("netfs", {"host": "-oProxyCommand=x"}, "host"),
        ("netfs", {"host": "a b"}, "host"),
        ("netfs", {"format": "ntfs"}, "format"),
        ("logical", {"source_name": "--config"}, "source_name"),
        ("logical", {"devices": "/dev/sdb"}, "devices"),
        ("logical", {"devices": ["/dev/../etc"]}, "devices"),
        ("logical", {"build": True, "devices": []}, "devices"),
        ("iscsi", {"target": "x"}, "target"),
        ("iscsi", {"port": 0}, "port"),
        ("iscsi", {"port": True}, "port"),
        ("iscsi", {"password": ""}, "password"),
        ("iscsi", {"username": ""}, "password"),
        ("iscsi", {"build": True}, "build"),
        ("rbd", {"password": "not base64!"}, "password"),
        ("scsi", {"adapter": ""}, "adapter"),
        ("scsi", {"adapter": "../host1"}, "adapter"),
        ("zfs", {"source_name": "tank/../x"}, "source_name"),
        ("dir", {"start": "yes"}, "start"),
        ("dir", {"type": "nothing"}, "type"),
    ],
)
def test_what_is_wrong_is_refused_with_its_field(kind: str, changes: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidArguments) as caught:
        cleaned(kind, **changes)
    assert caught.value.field == field and len(str(caught.value)) > 10


@pytest.mark.parametrize(
    "name",
    [
        "",
        " ",
        "../x",
        "a/b",
        "a\\b",
        "a\nb",
        "a\0b",
        "x" * 300,
        "-rf",
        ".hidden",
        "..",
        " a",
        "a ",
        "a\u202eb",
        "\ud800",
    ],
)
def test_hostile_names_are_refused_with_a_sentence(name: str) -> None:
    with pytest.raises(ValueError, match=r"[A-Z].*\.$"):
        storage_names.name(name)


@pytest.mark.parametrize("name", ["web-1.qcow2", "Debian 12 (netinst).iso", "máy chủ.raw", "a'b\"c$(x)&<y>"])
def test_unusual_names_are_names(name: str) -> None:
    assert storage_names.name(name) == name
    valid(storage_xml.pool(cleaned("dir", name=name)))
    assert etree.fromstring(storage_xml.pool(cleaned("dir", name=name))).findtext("name") == name
