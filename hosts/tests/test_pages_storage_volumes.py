"""Changing volumes in the page."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from hosts.models import Operation, StoragePool
from hosts.storage_names import size
from hosts.tests.storage_making import make_claim, make_host, make_pool, make_volume
from hosts.tests.test_pages_storage import HTMX, browser, words

pytestmark = pytest.mark.django_db(databases=["default", "metrics"])
GIB = 1 << 30


@pytest.fixture
def operator(people: dict[str, Any]) -> Client:
    return browser(people["operator"])


@pytest.fixture
def pool() -> StoragePool:
    return make_pool(make_host())


def do(client: Client, row: Any, kind: str, **fields: Any) -> Any:
    return client.post(f"{row.get_absolute_url()}do/{kind}/", fields, headers=HTMX)


def asked() -> dict[str, Any]:
    arguments: dict[str, Any] = Operation.objects.get().arguments
    return arguments


def test_a_volume_is_asked_for_with_a_size_as_people_write_it(operator, pool) -> None:
    base = make_volume(pool, "base.qcow2")
    dialog = words(operator.get(f"{pool.get_absolute_url()}do/volume-create/", headers=HTMX))
    assert "images: base.qcow2" in dialog and "New volume" in words(operator.get(pool.get_absolute_url()))
    fields = {"name": "web.qcow2", "capacity": "1.5 GiB", "format": "qcow2", "backing": base.path}
    assert do(operator, pool, "volume-create", **fields).status_code == 204
    assert asked() == {
        "name": "web.qcow2",
        "capacity": 3 * GIB // 2,
        "format": "qcow2",
        "allocate": False,
        "backing": base.path,
    }


@pytest.mark.parametrize(
    "fields",
    [
        {"name": "../x"}, {"name": "x\ny"}, {"name": "x" * 300}, {"name": "-x"}, {"name": ""}, {"name": "there"},
        {"capacity": "much"}, {"capacity": "0"}, {"capacity": "-5 GiB"}, {"format": "vmdk"}, {"backing": "/etc/passwd"},
        {"capacity": "9000 GiB", "allocate": "on"},
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_in_the_dialog(operator, pool, fields) -> None:
    make_volume(pool, "there")
    answer = do(operator, pool, "volume-create", **{"name": "n", "capacity": "1 GiB", "format": "qcow2"} | fields)
    assert answer.status_code == 422 and "is-invalid" in words(answer) and not Operation.objects.exists()


def test_each_change_is_asked_for_by_its_dialog(operator, pool) -> None:
    row = make_volume(pool, "disk.qcow2")
    for kind, fields, arguments in (
        ("volume-clone", {"name": "copy.qcow2"}, {"name": "copy.qcow2"}),
        ("volume-resize", {"capacity": "20G"}, {"capacity": 20 * GIB, "confirm": ""}),
        ("volume-wipe", {"confirm": "disk.qcow2"}, {"algorithm": "zero", "confirm": "disk.qcow2"}),
        ("volume-delete", {}, {"confirm": ""}),
    ):
        assert operator.get(f"{row.get_absolute_url()}do/{kind}/", headers=HTMX).status_code == 200
        assert do(operator, row, kind, **fields).status_code == 204
        assert asked() == arguments
        Operation.objects.all().delete()


def test_what_is_used_says_by_whom_and_wants_its_name(operator, pool) -> None:
    row = make_volume(pool, "disk.qcow2")
    make_claim(pool.host, "web", row.path)
    assert "It is used by web" in words(operator.get(f"{row.get_absolute_url()}do/volume-delete/", headers=HTMX))
    assert do(operator, row, "volume-delete").status_code == 409
    assert do(operator, row, "volume-delete", confirm="disk.qcow2").status_code == 204


def test_a_viewer_has_no_buttons_and_no_road(people, pool) -> None:
    client, row = browser(people["viewer"]), make_volume(pool, "disk")
    for kind in ("volume-clone", "volume-resize", "volume-wipe", "volume-delete"):
        assert do(client, row, kind, name="x", capacity="1G").status_code == 403
        assert client.get(f"{row.get_absolute_url()}do/{kind}/", headers=HTMX).status_code == 403
    assert do(client, pool, "volume-create", name="x", capacity="1G", format="qcow2").status_code == 403
    assert "do/volume-" not in words(client.get(row.get_absolute_url())) + words(client.get(pool.get_absolute_url()))
    assert not Operation.objects.exists()


def test_verbs_of_others_are_404(operator, pool) -> None:
    row = make_volume(pool, "disk")
    for kind in ("pool-stop", "volume-create", "start", "nothing"):
        assert do(operator, row, kind).status_code == 404
    for kind in ("volume-delete", "volume-clone"):
        assert do(operator, pool, kind).status_code == 404


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("20 GiB", 20 * GIB),
        ("20g", 20 * GIB),
        ("20", 20 * GIB),
        ("512MiB", 512 << 20),
        ("1,5T", 3 << 39),
        ("4096 B", 4096),
    ],
)
def test_sizes_are_read_as_people_write_them(text: str, number: int) -> None:
    assert size(text) == number


def test_who_may_not_hears_that_and_not_what_is_wrong_in_the_form(people, pool) -> None:
    viewer = browser(people["viewer"])
    for row, kind in ((pool, "volume-create"), (make_volume(pool, "a.qcow2"), "volume-resize")):
        answer = do(viewer, row, kind, capacity="nonsense")
        assert answer.status_code == 403, kind
    assert not Operation.objects.exists()
