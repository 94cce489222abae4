"""Storage by the API."""

from __future__ import annotations

import pytest

from hosts.models import StoragePool
from hosts.tests.storage_making import make_claim, make_pool, make_volume

pytestmark = pytest.mark.django_db


@pytest.fixture
def images(cluster):
    pool = StoragePool.objects.get(name="images")
    base = make_volume(pool, "base.qcow2")
    top = make_volume(pool, "web1.qcow2", backing_path=base.path)
    make_volume(pool, "debian.iso", format="iso")
    make_claim(cluster["kvm1"], "web1", top.path, owner=cluster["web1"].uuid, active=True)
    return pool


def test_pools_are_listed_with_what_they_hold_and_promise(api, images):
    answer = api["viewer"].get("pools").json()
    assert answer["count"] == 1
    pool = answer["items"][0]
    assert (pool["host"], pool["name"], pool["volumes"], pool["promised"]) == ("kvm1", "images", 3, 30 << 30)
    assert api["viewer"].get("pools", host="kvm2").json()["items"] == []


def test_a_pool_tells_whom_it_is_shared_with(api, images, cluster):
    StoragePool.objects.update(shared_key="netfs:filer:/x", shared_by="source")
    make_pool(cluster["kvm2"], "nfs", shared_key="netfs:filer:/x", shared_by="source")
    answer = api["viewer"].get("pools/kvm1/images").json()
    assert (answer["sharing"], answer["shared_by"]) == (2, "source")
    assert answer["shared_with"] == [{"host": "kvm2", "name": "nfs"}]


def test_volumes_tell_who_uses_them(api, images, cluster):
    found = {item["name"]: item for item in api["viewer"].get("pools/kvm1/images/volumes").json()["items"]}
    user = found["base.qcow2"]["users"][0]
    assert (user["vm"], user["through"], user["running"]) == (str(cluster["web1"].uuid), "web1.qcow2", True)
    assert found["base.qcow2"]["overlays"] == ["web1.qcow2"] and found["debian.iso"]["users"] == []


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ({"library": "true"}, ["base.qcow2", "debian.iso"]),
        ({"use": "unused"}, ["debian.iso"]),
        ({"kind": "image", "sort": "-name"}, ["web1.qcow2", "base.qcow2"]),
        ({"pool": "nothing"}, []),
    ],
)
def test_volumes_of_all_pools_are_filtered(api, images, query, names):
    assert [item["name"] for item in api["viewer"].get("volumes", **query).json()["items"]] == names


@pytest.mark.parametrize(
    "path", ["pools?kind=iso", "volumes?sort=pk", "volumes?kind=x", "pools/kvm1/images/volumes?host=x"]
)
def test_what_is_no_filter_is_refused(api, images, path):
    assert api["viewer"].get(path).status_code == 422


def test_strangers_see_nothing_and_what_is_not_there_is_404(api, images):
    for path in ("pools", "volumes", "pools/kvm1/images", "pools/kvm1/images/volumes"):
        assert api["stranger"].get(path).status_code == 401
    for path in ("pools/kvm1/other", "pools/kvm9/images", "pools/kvm9/images/volumes"):
        assert api["viewer"].get(path).status_code == 404
