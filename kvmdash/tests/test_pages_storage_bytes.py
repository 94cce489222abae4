"""The upload page, how an upload stands, and downloads: who may, and what is said."""

from __future__ import annotations

import pytest
from django.test import Client

from hosts.models import AuditEntry, Filling, Operation, StoragePool
from hosts.tests.storage_making import make_host, make_pool, make_volume
from kvmdash.tests.cluster import ApiClient

pytestmark = pytest.mark.django_db
ROLES = ("viewer", "viewer-watching", "operator", "administrator")


@pytest.fixture
def pool():
    return make_pool(make_host())


@pytest.fixture
def browsers(people):
    found = {role: Client() for role in ROLES}
    for role, client in found.items():
        client.force_login(people[role], backend="allauth.account.auth_backends.AuthenticationBackend")
    return found


def may(role: str) -> bool:
    return role in ("operator", "administrator")


@pytest.mark.parametrize("role", ROLES)
def test_who_may_upload_sees_the_page_and_begins(browsers, pool, role):
    address = f"{pool.get_absolute_url()}upload/"
    page = browsers[role].get(address)
    assert page.status_code == (200 if may(role) else 403)
    begun = browsers[role].post(address, {"name": "new.iso", "size": "1000"})
    assert begun.status_code == (200 if may(role) else 403)
    assert Filling.objects.exists() is may(role)
    button = f'href="{address}"' in browsers[role].get(pool.get_absolute_url()).content.decode()
    assert button is may(role)


def test_an_upload_is_begun_once_and_stands_there_to_go_on(browsers, pool):
    address = f"{pool.get_absolute_url()}upload/"
    fingerprint = "ab" * 32
    given = {"name": "new.iso", "size": "6000000000", "fingerprint": fingerprint, "checksum": "CD" * 32}
    told = browsers["operator"].post(address, given).json()
    assert (told["size"], told["offset"], told["open"], told["active"]) == (6_000_000_000, 0, False, True)
    assert Filling.objects.get().checksum == f"sha256:{'cd' * 32}"
    page = browsers["operator"].get(address).content.decode()
    assert 'data-size="6000000000"' in page and fingerprint in page
    assert "data-waiting" not in browsers["administrator"].get(address).content.decode()
    again = browsers["operator"].post(address, {"name": "new.iso", "size": "5"})
    assert again.status_code == 409 and "made or changed" in again.json()["detail"]
    tickets = {role: "ticket" in browsers[role].get(told["standing"]).json() for role in ROLES}
    assert tickets == {"viewer": False, "viewer-watching": False, "operator": True, "administrator": True}


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"name": "../x", "size": "1"}, "name"),
        ({"name": "x", "size": "none"}, "size"),
        ({"name": "x", "size": "0"}, "size"),
        ({"name": "x", "size": "-1"}, "size"),
        ({"name": "x", "size": "9" * 30}, "size"),
        ({"name": "x", "size": str(1 << 59)}, "size"),
        ({"name": "x", "size": "1", "checksum": "abc"}, "checksum"),
        ({"name": "x", "size": "1", "fingerprint": "abc"}, "fingerprint"),
        ({}, "name"),
    ],
)
def test_what_is_wrong_is_said_with_its_field(browsers, pool, given, field):
    answer = browsers["operator"].post(f"{pool.get_absolute_url()}upload/", given)
    assert answer.status_code in (409, 422) and answer.json()["field"] == field
    assert not Operation.objects.exists()


def test_a_pool_that_is_off_says_so(browsers, pool):
    StoragePool.objects.update(active=False)
    page = browsers["operator"].get(f"{pool.get_absolute_url()}upload/").content.decode()
    assert "is off" in page and "disabled" in page


@pytest.mark.parametrize("role", ROLES)
def test_a_download_is_for_those_who_may_and_recorded(browsers, people, pool, role, settings):
    settings.CONSOLE_GATEWAY = "127.0.0.1:1"
    volume = make_volume(pool, "a.qcow2")
    answer = browsers[role].get(f"{volume.get_absolute_url()}download/")
    # Here no gateway answers: whoever may is told so.
    assert answer.status_code == (409 if may(role) else 403)
    assert ("gateway" in answer.content.decode()) is may(role)
    assert AuditEntry.objects.filter(action="volume.download", result="refused").count() == 1
    program = ApiClient(people[role]).get(f"volumes/{volume.pk}/download")
    assert program.status_code == (409 if may(role) else 403)
    refused = AuditEntry.objects.filter(action="volume.download", result="refused")
    assert sorted(refused.values_list("road", flat=True)) == ["api", "page"], "both roads are recorded"
