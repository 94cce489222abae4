"""Rows written in bulk are the rows that the ORM would have written."""

from __future__ import annotations

import uuid
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from hosts import bulk
from hosts.models import Host
from vms.models import Sighting, Tag, VirtualMachine

pytestmark = pytest.mark.django_db


def whole(row: Any) -> dict[str, Any]:
    """All columns as stored, but for the key."""
    found = type(row).objects.filter(pk=row.pk).values().get()
    return {name: value for name, value in found.items() if name not in ("id", "uuid")}


def facts(host: Host) -> dict[str, Any]:
    """Every kind of value: text with hostile characters, dates, JSON, numbers, nothing, a choice."""
    return {
        "name": "it's \"Ngữ\" %s \\ ☃", "host": host, "power_state": VirtualMachine.PowerState.PAUSED,
        "state_since": timezone.now() - timedelta(days=3), "seen_at": timezone.now(), "absent_since": None,
        "agent_connected": None, "autostart": True, "vcpus": 2, "memory": 2**45, "cpu_percent": 12.5,
        "disks": [{"target": "vda", "source": "/ü 'x'.img", "readonly": False}], "nics": [], "search_text": "",
    }  # fmt: skip


@pytest.fixture
def host() -> Host:
    return Host.objects.create(name="one", uri="qemu+tcp://one/system")


def test_what_is_inserted_is_what_the_orm_inserts(host: Host) -> None:
    columns = facts(host)
    ours, theirs = VirtualMachine(**columns), VirtualMachine.objects.create(**columns)
    bulk.insert([ours])
    assert whole(ours) == whole(theirs)
    assert not ours._state.adding


def test_only_the_columns_named_are_updated(host: Host) -> None:
    vm, other = VirtualMachine.objects.create(**facts(host)), VirtualMachine.objects.create(name="other")
    vm.name, vm.disks, vm.power_state, vm.vcpus = "new", [], VirtualMachine.PowerState.RUNNING, 99
    bulk.update([vm], ("name", "disks", "power_state", "host"))
    stored = VirtualMachine.objects.get(pk=vm.pk)
    assert (stored.name, stored.disks, stored.power_state, stored.vcpus) == ("new", [], "running", 2)
    assert stored.host == host
    assert VirtualMachine.objects.get(pk=other.pk).name == "other"


def test_many_rows_of_a_model_with_a_key_of_the_databases_own(host: Host) -> None:
    vms = [VirtualMachine(name=f"vm-{number}", uuid=uuid.uuid4()) for number in range(1200)]
    bulk.insert(vms)
    seen = timezone.now()
    bulk.insert([Sighting(vm=vm, host=host, power_state="running", name=vm.name, seen_at=seen) for vm in vms])
    assert Sighting.objects.filter(vm__name="vm-1199", host=host, seen_at=seen).count() == 1
    assert Sighting.objects.count() == VirtualMachine.objects.count() == 1200


def test_rows_that_tie_others_together(host: Host) -> None:
    vm, tag = VirtualMachine.objects.create(name="tied"), Tag.objects.create(name="web")
    ties = VirtualMachine.tags.through
    bulk.insert([ties(virtualmachine_id=vm.uuid, tag_id=tag.pk)])
    assert [one.name for one in vm.tags.all()] == ["web"]


def test_nothing_is_written_for_no_rows() -> None:
    bulk.insert([])
    bulk.update([], ("name",))
