"""Pages of networks: what each role sees and may do, what is asked first, and a form for each kind."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from hosts.models import Network, Operation
from hosts.network_modes import MODES
from hosts.operations.network_edit import mark
from hosts.tests.network_making import WHOLE, definition, make_card, make_network
from hosts.tests.storage_making import make_host
from hosts.tests.test_pages_storage import HTMX, browser, words

pytestmark = pytest.mark.django_db(databases=["default", "metrics"])
DEFINE = "/hosts/networks/define/"
LEASE = {
    "mac": "52:54:00:00:00:01", "address": "10.1.0.9", "prefix": 24, "hostname": "web", "client_id": "", "expires": 1_800_000_000,
}  # fmt: skip


@pytest.fixture
def admin(people: dict[str, Any]) -> Client:
    return browser(people["administrator"])


@pytest.fixture
def network() -> Network:
    text = definition(
        bridge="virbr1", ipv4="10.1.0.1/24", ipv4_ranges=["10.1.0.10-10.1.0.20"],
        ipv4_hosts=["52:54:00:00:00:01 10.1.0.9 web"], dns_hosts=["10.1.0.9 web"], inbound_average=1000,
    )  # fmt: skip
    return make_network(make_host(), definition=text, leases=[LEASE])


def do(client: Client, network: Network, kind: str, query: str = "", **fields: Any) -> Any:
    return client.post(f"{network.get_absolute_url()}do/{kind}/{query}", fields, headers=HTMX)


def dialog(client: Client, network: Network, kind: str, query: str = "") -> str:
    return words(client.get(f"{network.get_absolute_url()}do/{kind}/{query}", headers=HTMX))


def asked() -> list[tuple[str, dict[str, Any]]]:
    return list(Operation.objects.order_by("created_at").values_list("kind", "arguments"))


# --- looking


def test_the_page_tells_what_it_is_who_has_addresses_and_who_is_connected(admin, network) -> None:
    card = make_card(network, "shop <1>", active=True, target="vnet3", filter="clean-traffic")
    page = words(admin.get(network.get_absolute_url()))
    for text in ("10.1.0.1/24", "NAT", "10.1.0.10-10.1.0.20", "1000 KiB/s", "52:54:00:00:00:01", "2027-01-15",
                 "shop &lt;1&gt;", "vnet3", "clean-traffic", f"/vms/{card.owner}/", "&lt;network&gt;"):  # fmt: skip
        assert text in page, text
    assert network.get_absolute_url() in words(admin.get("/hosts/networks/"))
    assert network.get_absolute_url() in words(admin.get("/hosts/kvm1/networks/"))


@pytest.mark.parametrize("role", ["viewer", "operator"])
def test_who_may_not_change_networks_sees_no_button_and_finds_no_road(people, network, role) -> None:
    client = browser(people[role])
    page = words(client.get(network.get_absolute_url()))
    assert "10.1.0.1/24" in page and "do/network-" not in page and "/edit/" not in page
    assert "Add network" not in words(client.get("/hosts/networks/"))
    for kind in ("network-stop", "network-delete", "network-autostart", "network-update"):
        query = "?section=dns-host&command=delete" if kind == "network-update" else ""
        assert do(client, network, kind, query).status_code == 403
        assert client.get(f"{network.get_absolute_url()}do/{kind}/{query}", headers=HTMX).status_code in (403, 405)
    for address in (f"{DEFINE}?on=kvm1&mode=nat", f"{network.get_absolute_url()}edit/"):
        assert client.get(address).status_code == client.post(address, {"name": "x"}).status_code == 403
    assert not asked()


def test_a_stranger_gets_the_login(network) -> None:
    for address in (network.get_absolute_url(), DEFINE, f"{network.get_absolute_url()}edit/"):
        assert browser(None).get(address).status_code == 302


def test_a_page_costs_the_same_with_many_cards(admin, network) -> None:
    def cost() -> int:
        with CaptureQueriesContext(connection) as queries:
            admin.get(network.get_absolute_url())
        return len(queries)

    make_card(network, "first")
    cost()
    before = cost()
    for number in range(30):
        make_card(network, f"more{number}")
    assert cost() == before


def test_what_waits_for_the_next_start_is_told(admin, network) -> None:
    later = network.definition.replace('address="10.1.0.1"', 'address="10.1.0.2"')
    Network.objects.update(next_definition=later)
    page = words(admin.get(network.get_absolute_url()))
    assert "take effect when it is started next" in page and "IPv4 address of the host" in page
    assert "As it runs" in page


def test_a_definition_that_cannot_be_read_is_said_to_be_so(admin, network) -> None:
    Network.objects.update(definition="<network><oops></network>")
    assert "cannot be read" in words(admin.get(network.get_absolute_url()))
    assert admin.get(f"{network.get_absolute_url()}edit/").status_code == 409
    Network.objects.update(definition="<network><name>lan</name><forward mode='new'/></network>")
    assert admin.get(network.get_absolute_url()).status_code == 200
    assert "virsh net-edit" in words(admin.get(f"{network.get_absolute_url()}edit/"))


# --- changing


def test_each_change_is_asked_for_by_its_button(admin, network) -> None:
    for kind, query, arguments in (
        ("network-stop", "", {}),
        ("network-autostart", "?enabled=true", {"enabled": True}),
        ("network-delete", "", {}),
    ):
        answer = do(admin, network, kind, query)
        assert answer.status_code == 204 and "toast" in json.loads(answer["HX-Trigger"])
        assert asked() == [(kind, arguments)]
        Operation.objects.all().delete()
    Network.objects.update(active=False)
    assert do(admin, network, "network-start").status_code == 204


def test_stopping_it_under_running_guests_names_them_and_wants_the_name(admin, network) -> None:
    make_card(network, "web", active=True)
    for kind in ("network-stop", "network-delete"):
        assert "web (52:54:00:00:00:aa)" in dialog(admin, network, kind)
        answer = do(admin, network, kind, confirm="Lan")
        assert answer.status_code == 422 and "Type its name" in words(answer) and not asked()
        do(admin, network, kind, confirm="lan")
        assert asked() == [(kind, {"confirm": "lan"})]
        Operation.objects.all().delete()


def test_what_makes_no_sense_now_is_shown_with_the_reason(admin, network) -> None:
    Network.objects.update(persistent=False)
    assert "forgotten when it stops" in words(admin.get(network.get_absolute_url()))
    answer = do(admin, network, "network-autostart", "?enabled=true")
    assert answer.status_code == 409 and "forgotten when it stops" in words(answer)


def test_one_element_is_changed_by_a_dialog_of_its_own(admin, network) -> None:
    add = "?section=ip-dhcp-host&command=add"
    assert "MAC, address" in dialog(admin, network, "network-update", add)
    for lease, message in (("nonsense", "such as"), ("52:54:00:00:00:02 10.9.0.9", "is not in"),
                           ("52:54:00:00:00:02 10.1.0.9", "stands there twice")):  # fmt: skip
        answer = do(admin, network, "network-update", add, lease=lease)
        assert answer.status_code == 422 and message in words(answer), lease
    do(admin, network, "network-update", add, lease="52:54:00:00:00:02 10.1.0.11")
    key = "52:54:00:00:00:01 10.1.0.9 web"
    remove = f"?section=ip-dhcp-host&command=delete&key={key.replace(':', '%3A').replace(' ', '%20')}"
    shown = dialog(admin, network, "network-update", remove)
    assert f'value="{key}"' in shown and "btn-danger" in shown
    Operation.objects.update(state="succeeded")
    do(admin, network, "network-update", remove, lease=key)
    assert asked() == [
        ("network-update", {"section": "ip-dhcp-host", "command": "add", "lease": "52:54:00:00:00:02 10.1.0.11"}),
        ("network-update", {"section": "ip-dhcp-host", "command": "delete", "lease": key}),
    ]


def test_other_verbs_and_other_networks_are_404(admin, network) -> None:
    for kind in ("host-refresh", "start", "network-define", "pool-stop", "nothing"):
        assert do(admin, network, kind).status_code == 404
    for query in ("", "?section=nothing&command=add", "?section=dns-host&command=modify"):
        assert do(admin, network, "network-update", query).status_code == 404
    make_host("kvm2")
    assert admin.post(f"/hosts/networks/kvm2/{network.uuid}/do/network-stop/", headers=HTMX).status_code == 404
    assert admin.get(f"/hosts/networks/kvm2/{network.uuid}/edit/").status_code == 404


# --- forms


def of_form(mode: str) -> dict[str, Any]:
    found: dict[str, Any] = {"dns": "on"}
    for name, value in WHOLE[mode].items():
        if name == "vlans":
            found[name] = ", ".join(map(str, value))
        elif isinstance(value, list):
            found[name] = "\r\n".join(value)
        elif isinstance(value, bool):
            found[name] = "on" if value else ""
        else:
            found[name] = value
    return {"name": f"my {mode}", "start": "on"} | {name: value for name, value in found.items() if value != ""}


@pytest.mark.parametrize("mode", sorted(MODES))
def test_a_network_of_each_kind_is_asked_for_by_a_form_of_its_own(admin, mode) -> None:
    make_host()
    form = words(admin.get(DEFINE, {"on": "kvm1", "mode": mode}))
    assert all(f'name="{name}"' in form for name in MODES[mode].fields)
    answer = admin.post(f"{DEFINE}?on=kvm1&mode={mode}", of_form(mode))
    assert answer.status_code == 302, words(answer)
    arguments = Operation.objects.get().arguments
    assert {name: arguments[name] for name in WHOLE[mode]} == WHOLE[mode] and arguments["start"] is True


def test_all_that_is_wrong_is_said_at_its_field_at_once(admin) -> None:
    make_host()
    fields = of_form("nat") | {"ipv4": "10.1.0.300/24", "mtu": "12", "ipv4_hosts": "x", "name": "a/b"}
    answer = words(admin.post(f"{DEFINE}?on=kvm1&mode=nat", fields))
    for message in ("such as 192.168.100.1/24", "greater than or equal to 68", "such as 52:54:00"):
        assert message in answer, message
    wrong = of_form("nat") | {"ipv4_ranges": "192.168.101.5-192.168.101.9"}
    answer = words(admin.post(f"{DEFINE}?on=kvm1&mode=nat", wrong))
    assert "192.168.101.5 is not in 192.168.100.0/24" in answer
    for name in ("../etc", "a\nb", "x" * 300, ""):
        assert admin.post(f"{DEFINE}?on=kvm1&mode=isolated", {"name": name}).status_code == 422
    assert not asked()


def test_addresses_of_another_network_are_told_and_taken_only_when_that_is_meant(admin, network) -> None:
    fields = {"name": "twin", "ipv4": "10.1.0.77/16", "dns": "on"}
    answer = admin.post(f"{DEFINE}?on=kvm1&mode=nat", fields)
    assert answer.status_code == 422 and "overlaps 10.1.0.0/24 of lan" in words(answer) and not asked()
    assert admin.post(f"{DEFINE}?on=kvm1&mode=nat", fields | {"heeded": "yes"}).status_code == 302


def test_the_form_of_a_network_shows_what_it_is_and_asks_for_what_it_becomes(admin, network) -> None:
    address = f"{network.get_absolute_url()}edit/"
    form = words(admin.get(address))
    assert 'value="10.1.0.1/24"' in form and "10.1.0.10-10.1.0.20" in form and 'value="1000"' in form
    fields = {"base": mark(network.definition), "bridge": "virbr1", "ipv4": "10.1.0.1/24", "domain": "x.example"}
    assert admin.post(address, fields).status_code == 302
    wanted = {"mode": "nat", "bridge": "virbr1", "ipv4": "10.1.0.1/24", "domain": "x.example", "dns": False,
              "base": mark(network.definition), "live": True}  # fmt: skip
    assert asked() == [("network-edit", wanted)]


def test_the_second_of_two_editors_is_told_and_overwrites_nothing(admin, network) -> None:
    fields = {"base": "of-somebody-else", "bridge": "virbr1", "ipv4": "10.1.0.1/24", "dns": "on"}
    answer = admin.post(f"{network.get_absolute_url()}edit/", fields)
    assert answer.status_code == 422 and "changed meanwhile" in words(answer) and not asked()


def test_a_form_for_what_is_not_there_is_404_or_asks_again(admin) -> None:
    make_host()
    assert admin.get(DEFINE, {"on": "kvm9", "mode": "nat"}).status_code == 404
    for query in ({}, {"on": "kvm1"}, {"on": "kvm1", "mode": "nothing"}):
        assert "Continue" in words(admin.get(DEFINE, query))
