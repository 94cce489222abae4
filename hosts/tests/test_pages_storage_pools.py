"""Changing pools in the page: who may, what is asked first, and a form for each type."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.test import Client

from hosts.models import Operation, OperationSecret, StoragePool, StorageTypes
from hosts.storage_types import TYPES
from hosts.tests.storage_making import make_claim, make_host, make_pool, make_volume
from hosts.tests.test_pages_storage import HTMX, browser, words
from hosts.tests.test_storage_types import WHOLE

pytestmark = pytest.mark.django_db(databases=["default", "metrics"])
DEFINE = "/hosts/storage/define/"


@pytest.fixture
def admin(people: dict[str, Any]) -> Client:
    return browser(people["administrator"])


@pytest.fixture
def pool() -> StoragePool:
    return make_pool(make_host(), "nfs", type="netfs")


def do(client: Client, pool: StoragePool, kind: str, query: str = "", **fields: Any) -> Any:
    return client.post(f"{pool.get_absolute_url()}do/{kind}/{query}", fields, headers=HTMX)


def asked() -> list[tuple[str, dict[str, Any]]]:
    return list(Operation.objects.order_by("created_at").values_list("kind", "arguments"))


def test_each_change_is_asked_for_by_its_button(admin, pool) -> None:
    for kind, query, arguments in (
        ("pool-refresh", "", {}),
        ("pool-stop", "", {}),
        ("pool-autostart", "?enabled=false", {"enabled": False}),
        ("pool-delete", "", {"delete_storage": False, "confirm": ""}),
    ):
        answer = do(admin, pool, kind, query)
        assert answer.status_code == 204 and "toast" in json.loads(answer["HX-Trigger"])
        assert asked() == [(kind, arguments)]
        Operation.objects.all().delete()
    StoragePool.objects.update(active=False)
    assert do(admin, pool, "pool-start").status_code == 204


def test_what_a_person_may_not_do_is_no_button_and_no_road(people, pool) -> None:
    for role, refresh in (("viewer", 403), ("operator", 204)):
        client = browser(people[role])
        page = words(client.get(pool.get_absolute_url()))
        assert "do/pool-delete" not in page and ("do/pool-refresh" in page) is (refresh == 204)
        assert do(client, pool, "pool-refresh").status_code == refresh
        for kind in ("pool-stop", "pool-delete", "pool-autostart", "pool-start"):
            assert do(client, pool, kind).status_code == 403
            assert client.get(f"{pool.get_absolute_url()}do/{kind}/", headers=HTMX).status_code in (403, 405)
        assert client.get(DEFINE).status_code == 403 and "Add pool" not in words(client.get("/hosts/storage/"))
        assert client.post(f"{DEFINE}find/", {"on": "kvm1", "type": "logical"}, headers=HTMX).status_code == 403
    assert {kind for kind, _arguments in asked()} == {"pool-refresh"}


def test_what_makes_no_sense_now_is_shown_with_the_reason(admin, pool) -> None:
    StoragePool.objects.update(persistent=False)
    assert "forgotten when it stops" in words(admin.get(pool.get_absolute_url()))
    answer = do(admin, pool, "pool-autostart", "?enabled=true")
    assert answer.status_code == 409 and "forgotten when it stops" in words(answer)


def test_deleting_storage_wants_the_name_and_says_what_stays(admin, pool) -> None:
    dialog = words(admin.get(f"{pool.get_absolute_url()}do/pool-delete/", headers=HTMX))
    assert "Delete the storage itself" in dialog and "stays, unless you say otherwise" in dialog
    answer = do(admin, pool, "pool-delete", delete_storage="on", confirm="nf")
    assert answer.status_code == 422 and "Type the pool" in words(answer) and not asked()
    do(admin, pool, "pool-delete", delete_storage="on", confirm="nfs")
    assert asked() == [("pool-delete", {"delete_storage": True, "confirm": "nfs"})]


def test_stopping_a_mount_under_running_guests_names_them_and_wants_the_name(admin, pool) -> None:
    make_claim(pool.host, "web", make_volume(pool, "disk").path, active=True)
    assert "web" in words(admin.get(f"{pool.get_absolute_url()}do/pool-stop/", headers=HTMX))
    assert do(admin, pool, "pool-stop").status_code == 409 and not asked()
    do(admin, pool, "pool-stop", confirm="nfs")
    assert asked() == [("pool-stop", {"confirm": "nfs"})]


def test_other_verbs_and_other_pools_are_404(admin, pool) -> None:
    for kind in ("host-refresh", "start", "pool-define", "nothing"):
        assert do(admin, pool, kind).status_code == 404
    make_host("kvm2")
    assert admin.post(f"/hosts/storage/kvm2/{pool.uuid}/do/pool-refresh/", headers=HTMX).status_code == 404


# --- a new one


def of_form(kind: str) -> dict[str, Any]:
    fields = {name: "\n".join(value) if isinstance(value, list) else value for name, value in WHOLE[kind].items()}
    return {"name": f"my {kind}", "start": "on", **fields}


@pytest.mark.parametrize("kind", sorted(TYPES))
def test_a_pool_of_each_type_is_asked_for_by_a_form_of_its_own(admin, kind) -> None:
    make_host()
    form = words(admin.get(DEFINE, {"on": "kvm1", "type": kind}))
    assert all(f'name="{name}"' in form for name in TYPES[kind].fields)
    answer = admin.post(f"{DEFINE}?on=kvm1&type={kind}", of_form(kind))
    assert answer.status_code == 302, words(answer)
    arguments = Operation.objects.get().arguments
    wanted = {name: value for name, value in WHOLE[kind].items() if name != "password"}
    assert {name: arguments[name] for name in wanted} == wanted and arguments["start"] is True
    assert OperationSecret.objects.count() == ("password" in WHOLE[kind])


def test_wrong_values_are_said_at_their_fields_and_passwords_are_not_sent_back(admin) -> None:
    make_host()
    fields = of_form("iscsi") | {"target": "nonsense", "password": "hunter2-hunter2"}
    answer = admin.post(f"{DEFINE}?on=kvm1&type=iscsi", fields)
    assert answer.status_code == 422 and "A name such as iqn" in words(answer) and "hunter2" not in words(answer)
    for name in ("../etc", "a\nb", "x" * 300, "-x"):
        assert admin.post(f"{DEFINE}?on=kvm1&type=dir", of_form("dir") | {"name": name}).status_code == 422
    assert not Operation.objects.exists()


def test_a_type_without_its_driver_is_shown_as_such(admin) -> None:
    StorageTypes.objects.create(host=make_host(), types={"rbd": False, "dir": True})
    page = words(admin.get(DEFINE, {"on": "kvm1", "type": "rbd"}))
    assert "libvirt-daemon-driver-storage-rbd" in page and "no driver on this host" in page
    assert admin.post(f"{DEFINE}?on=kvm1&type=rbd", of_form("rbd")).status_code == 409


def test_sources_that_were_found_fill_the_form_in(admin) -> None:
    make_host()
    waiting = words(admin.post(f"{DEFINE}find/", {"on": "kvm1", "type": "netfs", "host": "filer"}, headers=HTMX))
    assert "hx-trigger" in waiting
    source = {"hosts": ["filer"], "devices": [], "folder": "/vms", "name": "", "format": "nfs"}
    Operation.objects.update(state="succeeded", result={"sources": [source]})
    found = words(admin.get(f"{DEFINE}found/{Operation.objects.get().pk}/"))
    assert "on=kvm1&amp;type=netfs&amp;host=filer&amp;folder=%2Fvms&amp;format=nfs" in found
    assert "hx-trigger" not in found
    form = words(admin.get(DEFINE, {"on": "kvm1", "type": "netfs", "host": "filer", "folder": "/vms"}))
    assert 'value="filer"' in form and 'value="/vms"' in form


def test_a_form_for_what_is_not_there_is_404_or_asks_again(admin) -> None:
    make_host()
    assert admin.get(DEFINE, {"on": "kvm9", "type": "dir"}).status_code == 404
    for query in ({}, {"on": "kvm1"}, {"on": "kvm1", "type": "nothing"}):
        assert "Continue" in words(admin.get(DEFINE, query))
