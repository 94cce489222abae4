"""What a look at a host costs and tells: only what moved is read again, and only those are told who show it."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from conftest import wait_until
from hosts import notify
from hosts.hypervisor.records import GuestRecord
from hosts.models import Host
from vms.inventory import guest_gone, guests_seen
from vms.models import DefinitionVersion, Sighting, VirtualMachine
from vms.tests.making import make_host

pytestmark = pytest.mark.django_db(transaction=True)
TEXT = (
    "<domain type='test'><name>{name}</name><uuid>{uuid}</uuid><title>{title}</title><vcpu>2</vcpu>"
    "<metadata><k:guest xmlns:k='https://kvmdash.org/xmlns/1'><k:folder>{folder}</k:folder><k:tag>web</k:tag></k:guest>"
    "</metadata><devices><interface type='network'><mac address='52:54:00:00:00:07'/></interface></devices></domain>"
)


def record(
    number: int = 1, state: str = "running", name: str = "one", title: str = "", folder: str = "a"
) -> GuestRecord:
    key = str(uuid.UUID(int=number))
    text = TEXT.format(name=name, uuid=key, title=title, folder=folder)
    return GuestRecord(
        uuid=key, name=name, id=-1, state=state, reason="", persistent=True, autostart=False, managed_save=False,
        live_definition=text, inactive_definition=text,
    )  # fmt: skip


@pytest.fixture
def host() -> Host:
    return make_host()


@pytest.fixture
def told() -> Iterator[list[str]]:
    topics: list[str] = []
    stop = notify.bus.listen(lambda message: topics.extend(message.get("topics", ())))
    yield topics
    stop()


def look(host: Host, *records: GuestRecord, complete: bool = False) -> VirtualMachine:
    guests_seen(host.pk, list(records), complete=complete)
    return VirtualMachine.objects.get(uuid=records[0].uuid)


def lists(told: list[str]) -> set[str]:
    """The lists that were told, once all that was said until now was heard."""
    notify.changed("all-said")
    wait_until(lambda: "all-said" in told, what="what was told to be heard")
    told[:] = [topic for topic in told if topic != "all-said"]
    return {topic for topic in told if topic in ("vms", "vms-states")}


def test_a_guest_that_is_paused_is_told_to_lists_by_state_alone(host: Host, told: list[str]) -> None:
    look(host, record())
    assert lists(told) == {"vms", "vms-states"}
    told.clear()
    assert look(host, record(state="paused")).power_state == "paused"
    assert lists(told) == {"vms-states"}
    assert f"vm:{uuid.UUID(int=1)}" in told


@pytest.mark.parametrize("change", [{"name": "two"}, {"folder": "b"}])
def test_a_guest_that_stands_elsewhere_in_lists_is_told_to_all_of_them(
    host: Host, told: list[str], change: dict[str, str]
) -> None:
    look(host, record())
    lists(told)
    told.clear()
    look(host, record(**change))
    assert lists(told) == {"vms", "vms-states"}


def test_a_guest_that_goes_or_comes_back_is_told_to_all_lists(host: Host, told: list[str]) -> None:
    look(host, record())
    lists(told)
    told.clear()
    guest_gone(host.pk, str(uuid.UUID(int=1)))
    assert lists(told) == {"vms", "vms-states"}
    told.clear()
    assert look(host, record()).absent_since is None
    assert lists(told) == {"vms", "vms-states"}


def test_a_title_is_told_to_no_list(host: Host, told: list[str]) -> None:
    look(host, record())
    lists(told)
    told.clear()
    assert look(host, record(title="new")).title == "new"
    assert lists(told) == set()


def test_nothing_is_told_of_what_is_as_it_was(host: Host, told: list[str]) -> None:
    seen = look(host, record()).seen_at
    lists(told)
    told.clear()
    assert look(host, record()).seen_at > seen
    assert lists(told) == set() and not told


def test_a_change_of_state_costs_few_statements_and_writes_no_definition(host: Host) -> None:
    look(host, record())
    with CaptureQueriesContext(
        connection,
    ) as queries:
        look(host, record(state="paused"))
    statements = [query["sql"] for query in queries if not query["sql"].startswith(("BEGIN", "COMMIT"))]
    assert len(statements) <= 6, statements
    assert not any("definition" in statement for statement in statements if "UPDATE" in statement)


def test_what_was_read_from_a_definition_stays_through_a_change_of_state(host: Host) -> None:
    look(host, record(title="kept"))
    vm = look(host, record(title="kept", state="paused"))
    assert (vm.title, vm.folder, vm.vcpus, [tag.name for tag in vm.tags.all()]) == ("kept", "a", 2, ["web"])
    assert DefinitionVersion.objects.count() == 1


def test_a_guest_that_stops_is_no_longer_found_by_its_address_and_still_by_all_else(host: Host) -> None:
    look(host, record())
    VirtualMachine.objects.update(addresses=[{"address": "10.9.8.7"}], search_text="10.9.8.7")
    text = look(host, record(state="shutoff")).search_text
    assert "10.9.8.7" not in text
    assert {"one", "web", "a", "52:54:00:00:00:07", "kvm1"} <= set(text.split("\n"))


def test_a_guest_seen_on_another_host_is_read_there(host: Host) -> None:
    other = make_host("kvm2")
    look(host, record(state="shutoff", title="old"))
    vm = look(other, record(title="new"))
    assert (vm.host, vm.title) == (other, "new")
    guest_gone(other.pk, str(vm.uuid))
    vm.refresh_from_db()
    assert (vm.host, vm.title, vm.power_state) == (host, "old", "shutoff")


def test_a_whole_look_marks_what_was_not_there(host: Host) -> None:
    look(host, record(1), record(2, name="two"), record(3, name="three"))
    look(host, record(1), record(3, name="three"), complete=True)
    gone = VirtualMachine.objects.exclude(absent_since=None)
    assert [vm.name for vm in gone] == ["two"]
    assert Sighting.objects.filter(absent_since=None).count() == 2


def test_a_whole_look_may_bring_one_and_miss_another(host: Host) -> None:
    look(host, record(1), record(2, name="two"))
    look(host, record(1), record(3, name="three"), complete=True)
    assert sorted(VirtualMachine.objects.filter(absent_since=None).values_list("name", flat=True)) == ["one", "three"]


def test_the_list_by_name_is_not_read_again_for_states(client: Any, people: dict[str, Any], host: Host) -> None:
    client.force_login(people["viewer"], backend="allauth.account.auth_backends.AuthenticationBackend")
    assert b'data-stale="vms"' in client.get("/vms/").content
    for query in ("sort=state", "state=running", "q=one"):
        assert b'data-stale="vms vms-states"' in client.get(f"/vms/?{query}").content
