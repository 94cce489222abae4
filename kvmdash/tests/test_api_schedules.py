"""Schedules of snapshots through the API: who may, what is refused, and that a schedule is its own guest's alone."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.http import HttpResponse

from kvmdash.tests.cluster import VM1, VM3, ApiClient
from vms.models import SnapshotSchedule, VirtualMachine

ADDRESS = f"vms/{VM1}/schedules"


@pytest.fixture(autouse=True)
def disks(cluster: dict[str, Any]) -> None:
    disk = {"device": "disk", "readonly": False, "format": "qcow2", "type": "file", "target": "vda", "source": "/d"}
    VirtualMachine.objects.update(disks=[disk])


def ask(who: ApiClient, method: str, path: str, body: Any = None) -> HttpResponse:
    sent = {} if body is None else {"data": json.dumps(body), "content_type": "application/json"}
    answer: HttpResponse = getattr(who.client, method)(f"/api/v1/{path}", headers=who.headers, **sent)
    return answer


def test_operators_make_change_and_remove_one(api: dict[str, ApiClient]) -> None:
    made = api["operator"].post(ADDRESS, {"every": "week", "weekday": 2, "at": "04:30", "keep": 3})
    assert made.status_code == 201, made.json()
    told = made.json()
    assert (told["owner"], told["at"], told["keep"], told["taken"]) == ("operator", "04:30", 3, [])
    changed = ask(api["administrator"], "put", f"{ADDRESS}/{told['id']}", {"enabled": False})
    assert changed.status_code == 200
    assert (changed.json()["enabled"], changed.json()["every"], changed.json()["owner"]) == (
        False,
        "week",
        "administrator",
    )
    assert api["viewer"].get(ADDRESS).json() == [changed.json()]
    assert ask(api["operator"], "delete", f"{ADDRESS}/{told['id']}").status_code == 204
    assert api["viewer"].get(ADDRESS).json() == []


@pytest.mark.parametrize(("role", "status"), [("viewer", 403), ("viewer-watching", 403), ("stranger", 401)])
def test_others_do_not(api: dict[str, ApiClient], role: str, status: int) -> None:
    row = api["operator"].post(ADDRESS, {}).json()["id"]
    assert api[role].post(ADDRESS, {}).status_code == status
    assert ask(api[role], "put", f"{ADDRESS}/{row}", {"keep": 1}).status_code == status
    assert ask(api[role], "delete", f"{ADDRESS}/{row}").status_code == status
    assert SnapshotSchedule.objects.get().keep == 7


@pytest.mark.parametrize(
    "body",
    [{"keep": 0}, {"at": "3 am"}, {"at": "24:00"}, {"every": "minute"}, {"hours": "6"}, {"owner": "administrator"}],
)
def test_what_makes_no_sense_is_refused(api: dict[str, ApiClient], body: dict[str, Any]) -> None:
    answer = api["operator"].post(ADDRESS, body)
    assert answer.status_code == 422 and answer.json()["errors"][0]["field"] == next(iter(body))
    assert not SnapshotSchedule.objects.exists()


def test_a_schedule_is_found_at_its_own_guest_alone(api: dict[str, ApiClient]) -> None:
    row = api["operator"].post(ADDRESS, {}).json()["id"]
    for path in (f"vms/{VM3}/schedules/{row}", f"{ADDRESS}/{row + 1}", f"{ADDRESS}/{2**70}", f"{ADDRESS}/-1"):
        assert ask(api["operator"], "put", path, {}).status_code == 404, path
        assert ask(api["operator"], "delete", path).status_code == 404, path
