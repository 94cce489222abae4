"""Whose turn it is in the queue: nobody's requests keep everybody else's waiting."""

from __future__ import annotations

from typing import Any

import pytest

from hosts.models import Host, Operation
from hosts.operations.claims import next_in_turn

pytestmark = pytest.mark.django_db(databases=["default", "metrics"])

PLACES, OF_BULK = 8, 4


@pytest.fixture
def host(settings: Any) -> Host:
    settings.OPERATIONS_PER_HOST, settings.BULK_CONCURRENCY = PLACES, OF_BULK
    return Host.objects.create(name="kvm1", uri="qemu+tcp://kvm1/system")


def ask(host: Host, kind: str, number: int = 1, **columns: Any) -> list[Operation]:
    return [Operation.objects.create(kind=kind, host=host, host_name=host.name, **columns) for _ in range(number)]


def turns(host: Host, free: int = 400) -> list[str]:
    return sorted(operation.kind for operation in next_in_turn({host.pk}, free))


@pytest.mark.parametrize("kind", ["volume-upload", "shutdown", "restart", "migrate", "pool-start", "volume-fetch"])
def test_what_takes_long_does_not_stand_before_the_one_that_forces_a_guest_off(host, kind):
    ask(host, kind, 3 * PLACES, state="running")
    ask(host, kind)
    ask(host, "destroy")
    assert turns(host) == ["destroy"]


def test_who_waits_for_a_person_keeps_no_move_waiting(host):
    ask(host, "volume-upload", PLACES, state="running")
    ask(host, "migrate")
    assert turns(host) == ["migrate"]


@pytest.mark.parametrize("kind", ["destroy", "migrate", "shutdown"])
def test_a_host_has_so_many_places_for_each_pace(host, kind):
    ask(host, kind, 2, state="running")
    ask(host, kind, 2 * PLACES)
    assert len(turns(host)) == PLACES - 2


def test_kinds_of_one_pace_take_the_turns_in_which_they_were_asked_for(host):
    for kind in ("start", "destroy", "suspend", "resume"):
        ask(host, kind, 3)
    assert turns(host) == sorted(["start"] * 3 + ["destroy"] * 3 + ["suspend"] * 2)


def test_a_bulk_request_has_its_own_share_and_single_ones_come_first(host):
    parent = Operation.objects.create(kind="bulk", state="running")
    ask(host, "start", 10, parent=parent)
    assert turns(host) == ["start"] * OF_BULK
    ask(host, "destroy", PLACES - 1)
    assert turns(host) == ["destroy"] * (PLACES - 1) + ["start"]


def test_who_asks_bit_by_bit_keeps_the_pace_that_was_chosen(host):
    parent = Operation.objects.create(kind="bulk", state="running", arguments={"kind": "migrate", "paced": True})
    ask(host, "migrate", PLACES, parent=parent)
    assert turns(host) == ["migrate"] * PLACES


def test_no_more_begin_than_the_process_has_room_for(host):
    ask(host, "start", 5)
    ask(host, "migrate", 5)
    assert len(turns(host, 3)) == 3


def test_what_another_host_does_takes_no_place(host):
    other = Host.objects.create(name="kvm2", uri="qemu+tcp://kvm2/system")
    ask(other, "start", PLACES, state="running")
    ask(host, "start")
    assert turns(host) == ["start"]


def test_a_kind_that_nobody_knows_any_more_has_its_turn_too(host):
    ask(host, "of-an-older-version")
    assert turns(host) == ["of-an-older-version"]
