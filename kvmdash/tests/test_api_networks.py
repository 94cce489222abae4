"""Networks by the API: what each tells, and an address for each change, for those who may."""

from __future__ import annotations

from typing import Any

import pytest

from hosts.models import Network, Operation
from hosts.operations.kind import registry
from hosts.tests.network_making import LEAST as LEAST_FIELDS
from hosts.tests.network_making import WHOLE, definition, make_card, make_network
from kvmdash.tests.test_rights_matrix import LEAST

pytestmark = pytest.mark.django_db
EDIT = {"mode": "nat", "bridge": "virbr1", "ipv4": "10.1.0.1/24"}
UPDATE = {"section": "dns-host", "command": "add", "record": "10.1.0.9 web"}
#: kind → address and body
ASKED: dict[str, tuple[str, Any]] = {
    "network-define": ("hosts/kvm1/network-define", {"mode": "isolated", "name": "new"}),
    "network-start": ("networks/kvm1/off/start", None),
    "network-stop": ("networks/kvm1/lan/stop", None),
    "network-autostart": ("networks/kvm1/lan/autostart", {"enabled": True}),
    "network-edit": ("networks/kvm1/lan/edit", EDIT),
    "network-update": ("networks/kvm1/lan/update", UPDATE),
    "network-delete": ("networks/kvm1/lan/delete", None),
}


@pytest.fixture
def lan(cluster) -> Network:
    make_network(cluster["kvm1"], "off", active=False, bridge="virbr2")
    lease = {"mac": "52:54:00:00:00:01", "address": "10.1.0.9", "prefix": 24, "hostname": "w", "client_id": ""}
    leases = [lease | {"expires": 1_800_000_000}, lease | {"expires": 0, "address": "10.1.0.10"}]
    return make_network(cluster["kvm1"], leases=leases)


def test_every_kind_of_networks_has_an_address() -> None:
    assert set(ASKED) == {name for name in registry if name.startswith("network-")}


@pytest.mark.parametrize("role", ["viewer", "viewer-watching", "operator", "administrator", "stranger"])
@pytest.mark.parametrize("kind", sorted(ASKED))
def test_a_change_is_asked_for_by_those_who_may(api, lan, kind, role):
    path, body = ASKED[kind]
    ranks = ("viewer", "viewer-watching", "operator", "administrator")
    may = role in ranks and ranks.index(role) >= ranks.index(LEAST[registry[kind].verb])
    answer = api[role].post(path, body)
    assert answer.status_code == (202 if may else 401 if role == "stranger" else 403)
    assert Operation.objects.filter(kind=kind).exists() is may
    if may:
        told = api[role].get(answer["Location"].removeprefix("/api/v1/")).json()
        assert (told["vm"], told["host"], told["virsh"][:5]) == (None, "kvm1", "virsh")


@pytest.mark.parametrize("mode", sorted(WHOLE))
def test_a_network_of_each_kind_is_asked_for_with_all_and_with_the_least(api, cluster, mode):
    for name, fields in (("all", WHOLE[mode]), ("least", LEAST_FIELDS[mode])):
        answer = api["administrator"].post("hosts/kvm1/network-define", {"mode": mode, "name": name, **fields})
        assert answer.status_code == 202, answer.json()
        arguments = answer.json()["arguments"]
        assert {field: arguments[field] for field in fields} == fields


def test_a_network_is_told_with_its_fields_leases_and_cards(api, lan):
    card = make_card(lan, "web", active=True, target="vnet0")
    found = api["viewer"].get("networks/kvm1/lan").json()
    assert found["fields"] == EDIT and found["mark"] and found["next_definition"] == found["definition"]
    assert [lease["expires_at"] for lease in found["leases"]] == ["2027-01-15T08:00:00Z", None]
    assert found["cards"] == [
        {"vm": str(card.owner), "name": "web", "running": True, "mac": card.mac, "model": "virtio", "portgroup": "",
         "target": "vnet0"}
    ]  # fmt: skip
    body = found["fields"] | {"base": found["mark"], "domain": "x.example"}
    assert api["administrator"].post("networks/kvm1/lan/edit", body).status_code == 202
    Network.objects.filter(pk=lan.pk).update(definition="<network><forward mode='new'/></network>")
    assert api["viewer"].get("networks/kvm1/lan").json()["fields"] == {"mode": ""}


def test_networks_are_listed_and_searched(api, lan):
    def names(**query: Any) -> list[str]:
        return [item["name"] for item in api["viewer"].get("networks", **query).json()["items"]]

    assert names() == ["default", "lan", "off"] and names(q="la") == ["lan"] and names(host="kvm2") == []
    assert api["viewer"].get("networks", colour="red").status_code == 422
    assert api["stranger"].get("networks").status_code == api["stranger"].get("networks/kvm1/lan").status_code == 401


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("hosts/kvm1/network-define", {"mode": "nat", "name": "n"}, 409),
        ("hosts/kvm1/network-define", {"mode": "bridge", "name": "n"}, 422),
        ("hosts/kvm1/network-define", {"mode": "nothing", "name": "n"}, 422),
        ("hosts/kvm1/network-define", {"mode": "isolated", "name": "../n"}, 422),
        ("hosts/kvm1/network-define", {"mode": "isolated", "name": "n", "colour": 1}, 422),
        ("hosts/kvm1/network-define", {"mode": "isolated", "name": "n", "mtu": "1500"}, 422),
        ("hosts/kvm1/network-define", {"mode": "isolated", "name": "lan"}, 409),
        ("hosts/kvm1/network-define", {"mode": "isolated", "name": "n", "bridge": "virbr1"}, 409),
        ("hosts/kvm3/network-define", {"mode": "isolated", "name": "n"}, 409),
        ("networks/kvm1/lan/start", None, 409),
        ("networks/kvm1/nothing/start", None, 404),
        ("networks/kvm1/lan/explode", None, 404),
        ("networks/kvm1/lan/delete", {"confirm": "la"}, 409),
        ("networks/kvm1/lan/autostart", {"enabled": "yes"}, 422),
        ("networks/kvm1/lan/edit", {"mode": "isolated"}, 409),
        ("networks/kvm1/lan/edit", EDIT | {"base": "0" * 32}, 409),
        ("networks/kvm1/lan/edit", EDIT | {"ipv4_ranges": ["10.2.0.5-10.2.0.6"]}, 409),
        ("networks/kvm1/lan/edit", EDIT | {"ipv4_ranges": ["10.2.0.5"]}, 422),
        ("networks/kvm1/lan/edit", EDIT | {"base": "old"}, 422),
        ("networks/kvm1/lan/update", UPDATE | {"command": "modify"}, 422),
        ("networks/kvm1/lan/update", UPDATE | {"command": "delete"}, 409),
        ("networks/kvm1/lan/update", UPDATE | {"record": "10.1.0.9"}, 422),
    ],
)
def test_what_cannot_be_is_refused(api, lan, path, body, status):
    make_card(lan, "web")
    assert api["administrator"].post(path, body).status_code == status
    assert not Operation.objects.exists()


def test_what_the_page_shows_as_a_field_is_what_the_description_knows(api, cluster):
    text = definition("n", **WHOLE["nat"])
    Network.objects.update(definition=text)
    body = api["viewer"].get("networks/kvm1/default").json()["fields"]
    assert api["administrator"].post("networks/kvm1/default/edit", body).status_code == 202
