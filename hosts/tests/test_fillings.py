"""A volume that is not whole is marked, and given to nobody: rows only."""

from __future__ import annotations

import uuid
from typing import Any

import pytest

from hosts import fillings, storage_inventory, storage_selection
from hosts.audit import Actor
from hosts.models import Filling, Operation, StorageVolume
from hosts.operations import queue
from hosts.operations.kind import Refused
from hosts.operations.storage_base import NotNow
from hosts.storage_queries import orphans
from hosts.tests.storage_making import look, make_claim, make_host, make_pool, make_volume, pool_seen
from hosts.transfer import standing
from hosts.views.storage_actions import volume_actions
from vms.operations.start import Start

pytestmark = pytest.mark.django_db


@pytest.fixture
def operator(people) -> Any:
    return people["operator"]


def half_filled(pool: Any, name: str = "half.iso", state: str = "running", actor: Any = None) -> StorageVolume:
    """A volume that an upload is at, or has left behind."""
    operation = Operation.objects.create(kind="volume-upload", state=state, host=pool.host, actor=actor)
    fills = Filling.State.OPEN if operation.is_active else Filling.State.ENDED
    Filling.objects.create(operation=operation, pool=pool, name=name, partial=True, size=100, state=fills)
    return make_volume(pool, name, format="raw")


@pytest.fixture
def pool():
    return make_pool(make_host())


def test_it_is_offered_nowhere(pool, operator):
    volume = half_filled(pool)
    every = StorageVolume.objects.all()
    assert not storage_selection.library(every).exists()
    assert not orphans(every).exists()
    assert fillings.partial_among([volume]) == {volume.pk}
    for kind, row, arguments in (
        ("volume-clone", volume, {"name": "copy"}),
        ("volume-create", pool, {"name": "top.qcow2", "capacity": 1 << 30, "backing": volume.path}),
    ):
        with pytest.raises((Refused, NotNow), match="not whole yet"):
            queue.enqueue(kind, row, arguments, Actor(operator))
    item = next(item for item in volume_actions(volume, operator)["more"] if item["url"].endswith("/download/"))
    assert item["disabled"] and "not whole" in item["reason"]


def test_hosts_that_share_the_storage_know_it_too(pool):
    half_filled(pool)
    type(pool).objects.update(shared_key="nfs")
    other = make_volume(make_pool(make_host("kvm2"), shared_key="nfs"), "half.iso")
    assert "not whole" in fillings.why_not_whole(other)
    assert not fillings.whole_only(StorageVolume.objects.all()).exists()


def test_what_was_left_behind_is_an_orphan_until_it_is_gone(pool):
    volume = half_filled(pool, state="unknown")
    assert list(orphans(StorageVolume.objects.all())) == [volume]
    assert "Delete it" in fillings.why_not_whole(volume)
    seen = pool_seen(name=pool.name, path=pool.path)
    type(pool).objects.update(uuid=seen.uuid)
    storage_inventory.storage_seen(pool.host_id, look(seen))
    assert not Filling.objects.filter(partial=True).exists(), "another volume of that name is none of ours"


def test_a_guest_does_not_start_with_it(pool):
    volume, owner = half_filled(pool), uuid.uuid4()
    make_claim(pool.host, "web", volume.path, owner=owner)
    task = type("Task", (), {"operation": Operation(subject_uuid=owner, host=pool.host)})
    with pytest.raises(Refused, match="not whole yet"):
        Start().change(task)
    other = uuid.uuid4()
    make_claim(pool.host, "db", pool_name=pool.name, volume_name=volume.name, owner=other)
    assert "not whole" in fillings.not_whole_of(other, pool.host)
    assert fillings.not_whole_of(uuid.uuid4(), pool.host) == ""


def test_who_may_send_to_an_upload(pool, people, operator):
    half_filled(pool, actor=operator)
    filling = Filling.objects.select_related("operation").get()
    assert [who for who, person in people.items() if standing.may_send(person, filling)] == [
        "administrator",
        "operator",
    ]
    assert list(standing.unfinished(operator)) == [filling]
    assert not standing.unfinished(people["administrator"]).exists()
    assert "ticket" in standing.of(filling, operator) and "ticket" not in standing.of(filling, people["viewer"])


def test_of_two_who_hold_it_one_is_lost(pool):
    half_filled(pool)
    filling = Filling.objects.get()
    fillings.take(filling.pk, "first")
    fillings.write(filling.pk, "first", {"offset": 50, "confirmed": 20})
    taken = fillings.take(filling.pk, "second")
    assert (taken.offset, taken.was_another) == (20, True)
    with pytest.raises(fillings.Lost):
        fillings.write(filling.pk, "first", {"offset": 60})
    assert not fillings.is_at(filling.pk, "first", 20) and fillings.is_at(filling.pk, "second", 20)
    Filling.objects.update(state=Filling.State.ENDED)
    with pytest.raises(fillings.Lost):
        fillings.take(filling.pk, "second")
