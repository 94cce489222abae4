"""Search, filters and sorting of guests."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from hosts.models import Host, Operation
from vms.inventory import search_text
from vms.models import Tag, VirtualMachine
from vms.selection import FILTERS, SORTS, InvalidFilter, filter_vms, sort_vms

pytestmark = pytest.mark.django_db


def make(name: str, *, tags: tuple[str, ...] = (), **columns: Any) -> VirtualMachine:
    vm = VirtualMachine.objects.create(name=name, **columns)
    vm.tags.set([Tag.objects.get_or_create(name=tag)[0] for tag in tags])
    vm.search_text = search_text(vm, list(tags))
    vm.save()
    return vm


@pytest.fixture
def cluster() -> dict[str, VirtualMachine]:
    up = Host.objects.create(name="kvm1", uri="qemu+tcp://a/system", state=Host.State.CONNECTED)
    down = Host.objects.create(name="kvm2", uri="qemu+tcp://b/system", state=Host.State.UNREACHABLE)
    vms = [
        make(
            "web-1", host=up, power_state="running", tags=("prod", "web tier"), folder="shop/front", cpu_percent=5.0,
            memory=2**30, os_type="debian/12", graphics=[{"type": "vnc"}], agent_connected=True, autostart=True,
            addresses=[{"mac": "52:54:00:00:00:01", "address": "10.0.0.7", "prefix": 24, "source": "agent"}],
            nics=[{"mac": "52:54:00:00:00:01"}],
        ),
        make("Web-2", host=up, power_state="paused", tags=("prod",), folder="shop", cpu_percent=80.0, memory=2**31),
        make("db_1", host=down, power_state="running", title="The 100% ledger", memory=2**29),
        make("old", power_state="unknown", absent_since=timezone.now()),
    ]  # fmt: skip
    return {vm.name: vm for vm in vms}


def found(**params: str) -> set[str]:
    return set(filter_vms(VirtualMachine.objects.all(), params).values_list("name", flat=True))


@pytest.mark.parametrize(
    ("params", "names"),
    [
        ({}, {"web-1", "Web-2", "db_1"}),
        ({"q": "WEB"}, {"web-1", "Web-2"}),
        ({"q": "web kvm1 prod"}, {"web-1", "Web-2"}),
        ({"q": "10.0.0.7"}, {"web-1"}),
        ({"q": "52:54:00:00:00:01"}, {"web-1"}),
        ({"q": "shop/front web"}, {"web-1"}),
        ({"q": "web ledger"}, set()),
        ({"q": "100%"}, {"db_1"}),
        ({"q": "b_1"}, {"db_1"}),
        ({"q": "%"}, {"db_1"}),
        ({"q": "'; DROP TABLE vms_tag; --"}, set()),
        ({"state": "running"}, {"web-1", "db_1"}),
        ({"state": "running,paused", "host": "kvm1"}, {"web-1", "Web-2"}),
        ({"host": "nowhere"}, set()),
        ({"tag": "prod"}, {"web-1", "Web-2"}),
        ({"tag": "prod,web tier"}, {"web-1"}),
        ({"folder": "shop"}, {"web-1", "Web-2"}),
        ({"folder": "shop/front/"}, {"web-1"}),
        ({"folder": "sho"}, set()),
        ({"folder": "/"}, {"db_1"}),
        ({"os": "debian/12"}, {"web-1"}),
        ({"seen": "live"}, {"web-1", "Web-2"}),
        ({"seen": "stale"}, {"db_1"}),
        ({"seen": "gone"}, {"old"}),
        ({"seen": "all"}, {"web-1", "Web-2", "db_1", "old"}),
        ({"console": "yes"}, {"web-1"}),
        ({"console": "no"}, {"Web-2", "db_1"}),
        ({"agent": "yes"}, {"web-1"}),
        ({"agent": "no"}, {"Web-2", "db_1"}),
        ({"autostart": "true"}, {"web-1"}),
        ({"saved": "no"}, {"web-1", "Web-2", "db_1"}),
        ({"page": "7", "sort": "name", "unknown": "x"}, {"web-1", "Web-2", "db_1"}),
    ],
)
def test_each_filter_finds_what_it_says(cluster, params: dict[str, str], names: set[str]) -> None:
    assert found(**params) == names


def test_a_guest_is_found_by_its_uuid(cluster) -> None:
    assert found(q=str(cluster["web-1"].uuid)) == {"web-1"}


def test_busy_guests_are_those_with_an_operation_that_has_not_ended(cluster) -> None:
    for name, state in (("web-1", "running"), ("Web-2", "succeeded")):
        Operation.objects.create(kind="start", state=state, subject_uuid=cluster[name].pk)
    assert found(busy="yes") == {"web-1"}
    assert found(busy="no") == {"Web-2", "db_1"}


@pytest.mark.parametrize(
    "params",
    [
        {"state": "flying"},
        {"state": "running,"},
        {"seen": "sometimes"},
        {"console": "perhaps"},
        {"q": "x" * 201},
        {"q": " ".join("abcdefghijklmnop")},
        {"q": "a\0b"},
        {"folder": "a\nb"},
        {"tag": "\x1b[0m"},
        {"host": "h" * 300},
    ],
)
def test_a_filter_that_makes_no_sense_is_named(cluster, params: dict[str, str]) -> None:
    with pytest.raises(InvalidFilter) as caught:
        filter_vms(VirtualMachine.objects.all(), params)
    assert caught.value.field == next(iter(params))
    assert caught.value.message


def test_every_filter_takes_hostile_text_without_breaking(cluster) -> None:
    for name in FILTERS:
        for text in ("'", '"', "%", "_", "\\", "{{ 7 }}", "<script>", "🦆", "../..", "null", "[]"):
            try:
                list(filter_vms(VirtualMachine.objects.all(), {name: text}))
            except InvalidFilter as error:
                assert error.field == name


@pytest.mark.parametrize("sort", [name for base in SORTS for name in (base, f"-{base}")])
def test_every_sort_is_a_total_order(cluster, sort: str) -> None:
    names = [vm.name for vm in sort_vms(VirtualMachine.objects.all(), sort)]
    assert len(names) == 4
    assert names == [vm.name for vm in sort_vms(VirtualMachine.objects.all(), sort)]


def ordered(sort: str) -> list[str]:
    return [vm.name for vm in sort_vms(filter_vms(VirtualMachine.objects.all(), {}), sort)]


def test_live_figures_sort_with_the_unknown_last_both_ways(cluster) -> None:
    assert ordered("cpu") == ["web-1", "Web-2", "db_1"]
    assert ordered("-cpu") == ["Web-2", "web-1", "db_1"]


def test_names_sort_without_regard_to_case(cluster) -> None:
    assert ordered("name") == ["db_1", "web-1", "Web-2"]
    assert ordered("-name") == ["Web-2", "web-1", "db_1"]


def test_tags_addresses_and_titles_sort_with_the_empty_last(cluster) -> None:
    assert ordered("tags")[-1] == "db_1"
    assert ordered("addresses")[0] == "web-1"
    assert ordered("-title")[0] == "db_1"


def test_a_guest_with_two_tags_is_listed_once(cluster) -> None:
    assert ordered("tags").count("web-1") == 1
    assert ordered("-tags").count("web-1") == 1


def test_states_sort_by_what_needs_somebody_first(cluster) -> None:
    VirtualMachine.objects.filter(name="db_1").update(power_state="crashed")
    assert ordered("state") == ["db_1", "web-1", "Web-2"]


def test_the_time_in_a_state_sorts(cluster) -> None:
    VirtualMachine.objects.filter(name="db_1").update(state_since=timezone.now() - timedelta(days=3))
    assert ordered("since")[0] == "db_1"


@pytest.mark.parametrize("sort", ["", "-", "--name", "name; DROP TABLE", "host__ssh_key", "?", "x" * 500])
def test_an_unknown_sort_is_refused(sort: str) -> None:
    with pytest.raises(InvalidFilter) as caught:
        sort_vms(VirtualMachine.objects.all(), sort)
    assert caught.value.field == "sort"
