"""Network filters by the API: what is told, and an address for each change, for those who may."""

from __future__ import annotations

from typing import Any

import pytest

from hosts import filter_inventory, filter_xml
from hosts.hypervisor.records import FilterRecord
from hosts.models import Operation
from hosts.operations.kind import registry
from hosts.tests.network_making import make_card, make_network
from hosts.tests.test_filters import BOMB, CHANGED, TEXT, UUID
from kvmdash.tests.test_rights_matrix import LEAST

pytestmark = pytest.mark.django_db
#: kind → address and body
ASKED: dict[str, tuple[str, Any]] = {
    "filter-define": ("hosts/kvm1/filter-define", {"definition": "<filter name='fresh'/>"}),
    "filter-edit": ("filters/kvm1/mine/edit", {"definition": CHANGED, "base": filter_xml.mark(TEXT)}),
    "filter-delete": ("filters/kvm1/mine/delete", None),
}


@pytest.fixture
def mine(cluster) -> None:
    filter_inventory.filters_seen(cluster["kvm1"].pk, [FilterRecord(UUID, "mine", TEXT)])


def test_every_kind_of_filters_has_an_address() -> None:
    assert set(ASKED) == {name for name in registry if name.startswith("filter-")}


@pytest.mark.parametrize("role", ["viewer", "viewer-watching", "operator", "administrator", "stranger"])
@pytest.mark.parametrize("kind", sorted(ASKED))
def test_a_change_is_asked_for_by_those_who_may(api, mine, kind, role):
    path, body = ASKED[kind]
    ranks = ("viewer", "viewer-watching", "operator", "administrator")
    may = role in ranks and ranks.index(role) >= ranks.index(LEAST[registry[kind].verb])
    answer = api[role].post(path, body)
    assert answer.status_code == (202 if may else 401 if role == "stranger" else 403)
    assert Operation.objects.filter(kind=kind).exists() is may


def test_a_filter_is_told_with_who_uses_it(api, cluster, mine):
    card = make_card(make_network(cluster["kvm1"]), "web", filter="mine", active=True)
    assert [item["name"] for item in api["viewer"].get("filters", host="kvm1").json()["items"]] == ["mine"]
    found = api["viewer"].get("filters/kvm1/mine").json()
    assert (found["definition"], found["mark"], found["references"]) == (
        TEXT,
        filter_xml.mark(TEXT),
        ["no-mac-spoofing"],
    )
    assert found["cards"] == [{"vm": str(card.owner), "name": "web", "running": True, "mac": card.mac}]
    assert api["administrator"].post("filters/kvm1/mine/delete").status_code == 409
    assert api["stranger"].get("filters").status_code == 401


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("hosts/kvm1/filter-define", {"definition": TEXT}, 409),
        ("hosts/kvm1/filter-define", {"definition": BOMB}, 422),
        ("hosts/kvm1/filter-define", {"definition": "<x"}, 422),
        ("hosts/kvm1/filter-define", {}, 422),
        ("hosts/kvm3/filter-define", {"definition": "<filter name='n'/>"}, 409),
        ("filters/kvm1/mine/edit", {"definition": CHANGED, "base": "0" * 32}, 409),
        ("filters/kvm1/mine/edit", {"definition": CHANGED}, 422),
        ("filters/kvm1/mine/edit", {"definition": TEXT.replace("'mine'", "'x'"), "base": filter_xml.mark(TEXT)}, 409),
        ("filters/kvm1/nothing/delete", None, 404),
        ("filters/kvm1/mine/explode", None, 404),
    ],
)
def test_what_cannot_be_is_refused(api, mine, path, body, status):
    assert api["administrator"].post(path, body).status_code == status
    assert not Operation.objects.exists()
