"""Pages of storage: what each role sees, how lists are searched, and what people say of pools."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from hosts.models import AuditEntry, StoragePool, StorageVolume, User
from hosts.storage_queries import with_sums
from hosts.tests.storage_making import LONG_AGO, make_claim, make_host, make_pool, make_volume

pytestmark = pytest.mark.django_db(databases=["default", "metrics"])
HTMX = {"HX-Request": "true"}


def browser(user: User | None) -> Client:
    client = Client()
    if user is not None:
        client.force_login(user, backend="allauth.account.auth_backends.AuthenticationBackend")
    return client


def words(response: Any) -> str:
    text: str = response.content.decode()
    return text


@pytest.fixture
def admin(people: dict[str, Any]) -> Client:
    return browser(people["administrator"])


@pytest.fixture
def pool() -> StoragePool:
    """A pool with an image, what lies on it and belongs to a guest, one that is lost, an ISO, and one that is gone."""
    host = make_host()
    pool = make_pool(host)
    base = make_volume(pool, "base.qcow2")
    top = make_volume(pool, "web.qcow2", backing_path=base.path)
    make_volume(pool, "lost.raw", format="raw")
    make_volume(pool, "debian.iso", format="iso", capacity=1 << 20)
    make_volume(pool, "old.qcow2", absent_since=LONG_AGO)
    make_claim(host, "web", top.path, active=True)
    return pool


PAGES = ("/hosts/storage/", "/hosts/storage/library/", "/hosts/storage/unused/", "POOL", "/hosts/kvm1/storage/")


def of(pool: StoragePool, address: str) -> str:
    return pool.get_absolute_url() if address == "POOL" else address


@pytest.mark.parametrize("address", PAGES)
def test_every_role_sees_storage_and_a_stranger_the_login(people, pool, address) -> None:
    for role in ("administrator", "operator", "viewer"):
        assert browser(people[role]).get(of(pool, address)).status_code == 200
    assert browser(None).get(of(pool, address)).status_code == 302


def names_on(client: Client, address: str, **query: str) -> list[str]:
    return [row["volume"].name for row in client.get(address, query).context["uses"]]


def test_a_pool_lists_its_volumes_with_who_uses_them(admin, pool) -> None:
    page = admin.get(pool.get_absolute_url())
    rows = {row["volume"].name: row["use"] for row in page.context["uses"]}
    assert list(rows) == ["base.qcow2", "debian.iso", "lost.raw", "web.qcow2"]
    assert rows["web.qcow2"].names == ["web"] and rows["base.qcow2"].names == ["web", "web.qcow2"]
    assert "nobody" in words(page)


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ({"q": "BASE"}, ["base.qcow2"]),
        ({"q": "qcow2 web"}, ["web.qcow2"]),
        ({"kind": "iso"}, ["debian.iso"]),
        ({"kind": "image", "sort": "-name"}, ["web.qcow2", "lost.raw", "base.qcow2"]),
        ({"use": "unused"}, ["debian.iso", "lost.raw"]),
        ({"use": "used"}, ["base.qcow2", "web.qcow2"]),
        ({"use": "template"}, ["base.qcow2", "debian.iso", "lost.raw"]),
        ({"format": "raw"}, ["lost.raw"]),
        ({"seen": "gone"}, ["old.qcow2"]),
        ({"sort": "capacity", "size": "25"}, ["debian.iso", "base.qcow2", "lost.raw", "web.qcow2"]),
    ],
)
def test_volumes_are_searched_filtered_and_sorted_by_the_address(admin, pool, query, names) -> None:
    assert names_on(admin, pool.get_absolute_url(), **query) == names


@pytest.mark.parametrize(
    "query",
    [{"kind": "'"}, {"sort": "pk"}, {"page": "-1"}, {"use": "x" * 300}, {"q": "\0"}, {"seen": "never"}, {"size": "7"}],
)
@pytest.mark.parametrize("address", PAGES[:4])
def test_an_address_that_makes_no_sense_shows_why_and_no_rows(admin, pool, query, address) -> None:
    page = admin.get(of(pool, address), query)
    assert page.status_code == 200
    ours = address == "/hosts/storage/" and set(query) & {"kind", "use", "seen"}
    assert ours or "error" in page.context


def test_the_library_and_the_list_of_the_unused_name_shared_storage_once(admin, pool) -> None:
    StoragePool.objects.update(shared_key="netfs:filer:/x", shared_by="source")
    twin = make_pool(make_host("kvm2"), shared_key="netfs:filer:/x", shared_by="source")
    for name in ("base.qcow2", "debian.iso", "lost.raw"):
        make_volume(twin, name)
    assert names_on(admin, "/hosts/storage/library/") == ["base.qcow2", "debian.iso", "lost.raw"]
    assert names_on(admin, "/hosts/storage/unused/") == ["lost.raw"]
    assert "shared by 2 hosts" in words(admin.get("/hosts/storage/"))
    assert "kvm2: images" in words(admin.get(pool.get_absolute_url()))


def test_what_is_promised_beyond_what_there_is_is_told(admin, pool) -> None:
    StorageVolume.objects.filter(name="lost.raw").update(capacity=200 << 30)
    assert with_sums(StoragePool.objects.all()).get().overcommit > 200
    assert "More is promised than there is" in words(admin.get(pool.get_absolute_url()))


def test_a_pool_that_does_not_answer_is_shown_as_last_seen_with_the_reason(admin, pool) -> None:
    StoragePool.objects.update(trouble="The pool does not answer.")
    page = words(admin.get(pool.get_absolute_url()))
    assert "The pool does not answer." in page and "Inaccessible" in page and "web.qcow2" in page


def test_a_volume_shows_its_chain_and_who_uses_it(admin, pool) -> None:
    top = StorageVolume.objects.get(name="web.qcow2")
    make_volume(pool, "lowest", backing_path="")
    StorageVolume.objects.filter(name="base.qcow2").update(backing_path="/srv/outside.raw")
    page = admin.get(top.get_absolute_url())
    assert [step.get("path") or step["volume"].name for step in page.context["chain"]] == [
        "base.qcow2",
        "/srv/outside.raw",
    ]
    assert "in no pool" in words(page)
    assert "through web.qcow2" in words(admin.get(StorageVolume.objects.get(name="base.qcow2").get_absolute_url()))


def test_names_are_text_whatever_they_are(admin, pool) -> None:
    evil = make_volume(pool, "<script>alert(1)</script>\n'\"", path="/x/<b>")
    hostile = make_pool(pool.host, "a/../b&?#é<i>")
    for address in (pool.get_absolute_url(), evil.get_absolute_url(), hostile.get_absolute_url(), "/hosts/storage/"):
        page = admin.get(address)
        assert page.status_code == 200 and "<script>alert" not in words(page) and "<i>" not in words(page)


def test_what_is_not_there_is_404(admin, pool) -> None:
    other = make_volume(make_pool(pool.host, "other"), "x")
    url = pool.get_absolute_url()
    nowhere = (f"{url}volume/{other.pk}/", f"{url}volume/99999999/", f"/hosts/storage/kvm9/{pool.uuid}/", f"{url}x/")
    for address in nowhere:
        assert admin.get(address).status_code == 404


@pytest.mark.parametrize("address", PAGES[:4])
def test_a_list_costs_the_same_number_of_queries_however_long_it_is(admin, pool, address) -> None:
    def cost() -> int:
        with CaptureQueriesContext(connection) as queries:
            admin.get(of(pool, address))
        return len(queries)

    admin.get(of(pool, address))
    first = cost()
    for number in range(20):
        volume = make_volume(pool, f"more-{number}", backing_path=f"{pool.path}/base.qcow2")
        make_claim(pool.host, f"guest-{number}", volume.path)
        make_pool(pool.host, f"pool-{number}")
    assert cost() <= first + 1


# --- what people say


def test_an_administrator_says_which_pools_are_the_same_and_takes_it_back(admin, pool) -> None:
    twin = make_pool(make_host("kvm2"), "vms", path="/elsewhere")
    dialog = f"{pool.get_absolute_url()}shared/"
    assert "the same as vms of kvm2" in words(admin.get(dialog, headers=HTMX))
    answer = admin.post(dialog, {"same": str(twin.pk)}, headers=HTMX)
    assert answer.status_code == 204 and json.loads(answer["HX-Trigger"])["refresh"]
    assert {row.sharing for row in with_sums(StoragePool.objects.all())} == {2}
    admin.post(dialog, {"same": "alone"}, headers=HTMX)
    pool.refresh_from_db()
    assert (pool.shared_key, pool.shared_by) == ("", "person")
    admin.post(dialog, {"same": ""}, headers=HTMX)
    pool.refresh_from_db()
    assert (pool.shared_key, pool.shared_by) == ("", "")
    actions = list(
        AuditEntry.objects.filter(action__startswith="pool.").order_by("id").values_list("action", flat=True)
    )
    assert actions == ["pool.same", "pool.alone", "pool.recognise"]


def test_a_pool_of_the_same_host_or_none_at_all_is_not_taken(admin, pool) -> None:
    other = make_pool(pool.host, "other")
    for chosen in (str(other.pk), "123456789", "x"):
        assert admin.post(f"{pool.get_absolute_url()}shared/", {"same": chosen}, headers=HTMX).status_code == 422


@pytest.mark.parametrize("role", ["operator", "viewer"])
@pytest.mark.parametrize("what", ["shared/", "forget/"])
def test_others_say_nothing_of_pools(people, pool, role, what) -> None:
    client = browser(people[role])
    assert client.post(f"{pool.get_absolute_url()}{what}", {"same": "alone"}, headers=HTMX).status_code == 403
    pool.refresh_from_db()
    assert pool.shared_by == "" and StorageVolume.objects.filter(name="old.qcow2").exists()
    assert what not in words(client.get(pool.get_absolute_url()))


def test_what_is_gone_is_forgotten_when_a_person_says_so(admin, pool) -> None:
    admin.post(f"{pool.get_absolute_url()}forget/", headers=HTMX)
    assert not StorageVolume.objects.filter(name="old.qcow2").exists() and StorageVolume.objects.count() == 4
    StoragePool.objects.update(absent_since=LONG_AGO)
    admin.post(f"{pool.get_absolute_url()}forget/", headers=HTMX)
    assert not StoragePool.objects.exists()
