"""Changes of storage by the API: each kind has an address, for those who may."""

from __future__ import annotations

from typing import Any

import pytest

from hosts.models import Operation, StoragePool
from hosts.operations.kind import registry
from hosts.operations.storage_base import StorageKind
from hosts.tests.storage_making import make_pool, make_volume
from kvmdash.tests.test_rights_matrix import LEAST

pytestmark = pytest.mark.django_db

#: kind → address and body
ASKED: dict[str, tuple[str, Any]] = {
    "pool-define": ("hosts/kvm1/pool-define", {"type": "dir", "name": "new", "path": "/srv/new"}),
    "pool-find": ("hosts/kvm1/pool-find", {"type": "logical"}),
    "pool-start": ("pools/kvm1/off/start", None),
    "pool-stop": ("pools/kvm1/images/stop", None),
    "pool-autostart": ("pools/kvm1/images/autostart", {"enabled": False}),
    "pool-refresh": ("pools/kvm1/images/refresh", None),
    "pool-delete": ("pools/kvm1/images/delete", {"delete_storage": False}),
    "volume-create": ("pools/kvm1/images/volumes", {"name": "new.qcow2", "capacity": 1 << 30}),
    "volume-clone": ("volumes/{id}/clone", {"name": "copy.qcow2"}),
    "volume-upload": ("pools/kvm1/images/uploads", {"name": "new.iso", "size": 1 << 20}),
    "volume-fetch": ("pools/kvm1/images/fetch", {"url": "https://example.com/new.iso", "checksum": "0" * 64}),
    "volume-resize": ("volumes/{id}/resize", {"capacity": 20 << 30}),
    "volume-read-ova": ("volumes/{id}/read-ova", None),
    "volume-wipe": ("volumes/{id}/wipe", {"confirm": "disk.qcow2"}),
    "volume-delete": ("volumes/{id}/delete", None),
}


@pytest.fixture
def images(cluster):
    make_pool(cluster["kvm1"], "off", active=False)
    pool = StoragePool.objects.get(name="images")
    StoragePool.objects.filter(pk=pool.pk).update(capacity=100 << 30, available=50 << 30)
    pool.volume = make_volume(pool, "disk.qcow2")
    return pool


def test_every_kind_of_storage_has_an_address() -> None:
    assert set(ASKED) == {name for name, kind in registry.items() if isinstance(kind, StorageKind)}


@pytest.mark.parametrize("role", ["viewer", "viewer-watching", "operator", "administrator", "stranger"])
@pytest.mark.parametrize("kind", sorted(ASKED))
def test_a_change_is_asked_for_by_those_who_may(api, images, kind, role):
    path, body = ASKED[kind][0].format(id=images.volume.pk), ASKED[kind][1]
    ranks = ("viewer", "viewer-watching", "operator", "administrator")
    may = role in ranks and ranks.index(role) >= ranks.index(LEAST[registry[kind].verb])
    answer = api[role].post(path, body)
    assert answer.status_code == (202 if may else 401 if role == "stranger" else 403)
    assert Operation.objects.filter(kind=kind).exists() is may
    if may:
        told = api[role].get(answer["Location"].removeprefix("/api/v1/")).json()
        assert (told["vm"], told["host"], told["virsh"][:5]) == (None, "kvm1", "virsh")


def test_a_password_is_told_to_nobody(api, images):
    body = {"type": "iscsi", "name": "s", "host": "10.0.0.9", "target": "iqn.2026-01.com.example:x", "username": "u",
            "password": "hunter2-hunter2"}  # fmt: skip
    answer = api["administrator"].post("hosts/kvm1/pool-define", body)
    assert answer.status_code == 202 and b"hunter2" not in answer.content
    assert b"hunter2" not in api["administrator"].get("operations").content


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("hosts/kvm1/pool-define", {"type": "dir", "name": "n"}, 422),
        ("hosts/kvm1/pool-define", {"type": "dir", "name": "../n", "path": "/x"}, 422),
        ("hosts/kvm1/pool-define", {"type": "dir", "name": "n", "path": "/x", "colour": 1}, 422),
        ("hosts/kvm3/pool-define", {"type": "dir", "name": "n", "path": "/x"}, 409),
        ("hosts/kvm1/pool-find", {"type": "dir"}, 422),
        ("pools/kvm1/images/start", None, 409),
        ("pools/kvm1/nothing/start", None, 404),
        ("pools/kvm1/images/explode", None, 404),
        ("pools/kvm1/images/delete", {"delete_storage": True, "confirm": "image"}, 409),
        ("pools/kvm1/images/autostart", {"enabled": "yes"}, 422),
        ("pools/kvm1/images/volumes", {"name": "../x", "capacity": 1 << 30}, 422),
        ("pools/kvm1/images/volumes", {"name": "x\ny", "capacity": 1 << 30}, 422),
        ("pools/kvm1/images/volumes", {"name": "x" * 300, "capacity": 1 << 30}, 422),
        ("pools/kvm1/images/volumes", {"name": "disk.qcow2", "capacity": 1 << 30}, 409),
        ("pools/kvm1/images/volumes", {"name": "big.raw", "capacity": 1 << 40, "format": "raw", "allocate": True}, 409),
        ("pools/kvm1/off/volumes", {"name": "x", "capacity": 1 << 30}, 409),
        ("volumes/{id}/resize", {"capacity": 1 << 30}, 409),
        ("volumes/{id}/resize", {"capacity": "1G"}, 422),
        ("volumes/{id}/wipe", {"confirm": "disk"}, 409),
        ("volumes/{id}/clone", {"name": "-x"}, 422),
        ("volumes/99999999/delete", None, 404),
    ],
)
def test_what_cannot_be_is_refused(api, images, path, body, status):
    path = path.format(id=images.volume.pk)
    assert api["administrator"].post(path, body).status_code == status
    assert not Operation.objects.exists()
