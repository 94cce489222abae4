"""Definitions by the API: read, the history, stored, refused."""

from __future__ import annotations

from typing import Any

import pytest

from hosts.models import Operation
from kvmdash.tests.cluster import DEFINITION, NOWHERE, VM1, ApiClient
from vms.models import DefinitionVersion, TypedSecrets

pytestmark = pytest.mark.django_db
TEXT = f"<domain type='qemu'><name>web1</name><uuid>{VM1}</uuid><title>t</title></domain>"
PATH = f"vms/{VM1}"


def digest(client: ApiClient) -> str:
    return str(client.get(f"{PATH}/definition").json()["digest"])


def version(cluster: Any, text: str = TEXT, **columns: Any) -> DefinitionVersion:
    facts = {"host": cluster["kvm1"], "host_name": "kvm1", "mark": "x", "seen_at": cluster["web1"].seen_at}
    return DefinitionVersion.objects.create(vm=cluster["web1"], text=text, **facts | columns)


@pytest.mark.parametrize("role", ["viewer", "operator", "administrator"])
def test_everybody_reads_definitions_and_their_history(api: dict[str, ApiClient], cluster: Any, role: str) -> None:
    kept = version(cluster, changes=[["title", "a", "b"]], changes_count=1, actor_name="anna")
    now = api[role].get(f"{PATH}/definition").json()
    assert (
        now["definition"] == DEFINITION.format(name="web1") and len(now["digest"]) == 64 and now["kind"] == "inactive"
    )
    (listed,) = api[role].get(f"{PATH}/definitions").json()["items"]
    assert (listed["number"], listed["actor"], listed["changes"]) == (kept.pk, "anna", [["title", "a", "b"]])
    assert "definition" not in listed and len(listed["digest"]) == 64
    assert api[role].get(f"{PATH}/definitions/{kept.pk}").json()["definition"] == TEXT


def test_strangers_read_none(api: dict[str, ApiClient], cluster: Any) -> None:
    for rest in ("definition", "definitions", f"definitions/{version(cluster).pk}"):
        assert api["stranger"].get(f"{PATH}/{rest}").status_code == 401


@pytest.mark.parametrize(
    ("path", "status"),
    [
        (f"vms/{NOWHERE}/definition", 404), (f"{PATH}/definition?kind=both", 422), (f"{PATH}/definition?colour=red", 422),
        (f"{PATH}/definitions/0", 404), (f"{PATH}/definitions/{2**70}", 404), (f"{PATH}/definitions?page=0", 422),
    ],
)  # fmt: skip
def test_what_is_not_there_is_not_found(api: dict[str, ApiClient], path: str, status: int) -> None:
    path, _, query = path.partition("?")
    given = dict([query.split("=")]) if query else {}
    assert api["viewer"].get(path, **given).status_code == status


def test_an_administrator_stores_a_definition_and_a_typed_password_is_answered_to_nobody(api, cluster: Any) -> None:
    text = TEXT.replace("</domain>", "<devices><graphics type='vnc' passwd='geheim'/></devices></domain>")
    client = api["administrator"]
    answer = client.post(f"{PATH}/define", {"definition": text, "base": digest(client)})
    assert answer.status_code == 202 and "geheim" not in answer.content.decode()
    assert "geheim" not in api["viewer"].get(f"operations/{answer.json()['id']}").content.decode()
    assert "geheim" in TypedSecrets.objects.get().sealed.open()


def test_a_version_is_restored_by_its_number(api: dict[str, ApiClient], cluster: Any) -> None:
    client, old = api["administrator"], version(cluster)
    answer = client.post(f"{PATH}/define", {"version": old.pk, "base": digest(client)})
    assert (answer.status_code, answer.json()["arguments"]["version"]) == (202, old.pk)
    Operation.objects.all().delete()
    for wrong in (old.pk + 1000, version(cluster, kind="live").pk):
        assert client.post(f"{PATH}/define", {"version": wrong, "base": digest(client)}).status_code == 409


def test_what_was_made_from_another_definition_is_a_conflict(api: dict[str, ApiClient]) -> None:
    answer = api["administrator"].post(f"{PATH}/define", {"definition": TEXT, "base": "0" * 64})
    assert answer.status_code == 409 and "another by now" in answer.json()["detail"]


@pytest.mark.parametrize(
    "body",
    [
        {}, {"base": "0" * 64}, {"definition": TEXT}, {"definition": "<domain", "base": "0" * 64},
        {"definition": TEXT, "base": "0"},
        {"definition": "x" * (2**20 + 1), "base": "0" * 64}, {"version": 0, "base": "0" * 64}, {"version": "1", "base": "0" * 64},
    ],
)  # fmt: skip
def test_values_that_are_wrong_are_named(api: dict[str, ApiClient], body: dict[str, Any]) -> None:
    answer = api["administrator"].post(f"{PATH}/define", body)
    assert answer.status_code == 422 and answer.json()["errors"]


def test_it_is_not_asked_of_many(api: dict[str, ApiClient]) -> None:
    body = {"verb": "define", "uuids": [str(VM1)], "arguments": {"definition": TEXT, "base": "0" * 64}}
    answer = api["administrator"].post("vms/bulk", body)
    assert answer.status_code == 409 and "one at a time" in answer.json()["detail"]
