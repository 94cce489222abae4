"""What can be asked for through the API, by whom, and what comes of it."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from django.conf import settings
from django.test import Client

from hosts import access
from hosts.audit import Actor
from hosts.models import ApiToken, AuditEntry, Host, Operation, OperationSignal
from hosts.operations import queue
from hosts.operations.kind import registry
from kvmdash.tests.cluster import NOWHERE, VM1, VM2, VM3, ApiClient
from kvmdash.tests.verbs import ARGUMENTS as ARGUMENTS_OF
from kvmdash.tests.verbs import ready_for
from vms.api_schemas import ARGUMENTS, verbs
from vms.models import ConsoleTicket, VirtualMachine
from vms.operations.base import GuestKind
from vms.tests.making import sighted

ALL_VERBS = verbs()


def test_the_verbs_are_those_of_the_registry() -> None:
    assert set(ALL_VERBS) >= {
        "start", "shutdown", "reboot", "reset", "destroy", "suspend", "resume", "managed-save", "managed-save-remove",
        "autostart", "set-metadata", "migrate",
    }  # fmt: skip
    assert set(ALL_VERBS) == {name for name, kind in registry.items() if isinstance(kind, GuestKind)}


@pytest.mark.parametrize("verb", ALL_VERBS)
def test_every_verb_describes_its_arguments(verb: str) -> None:
    assert verb in ARGUMENTS


@pytest.mark.parametrize("role", ["administrator", "operator", "viewer", "viewer-watching", "stranger"])
@pytest.mark.parametrize("verb", ALL_VERBS)
def test_a_verb_answers_202_with_the_operation_to_those_who_may(
    api: dict[str, ApiClient], people: dict[str, Any], verb: str, role: str
) -> None:
    ready_for(verb)
    answer = api[role].post(f"vms/{VM1}/{verb}", ARGUMENTS_OF.get(verb))
    if role == "stranger":
        assert answer.status_code == 401
    elif not access.may(people[role], registry[verb].verb):
        assert answer.status_code == 403
        assert answer.json()["detail"] == "You do not have the right to do this."
    else:
        assert answer.status_code == 202, answer.json()
        told = answer.json()
        assert (told["kind"], told["state"], told["vm"], told["actor"]) == (verb, "queued", str(VM1), role)
        assert answer.headers["Location"] == told["url"] == f"/api/v1/operations/{told['id']}"
        assert api[role].get(told["url"].removeprefix("/api/v1/")).json()["id"] == told["id"]
        return
    assert not Operation.objects.exists()


def test_what_is_asked_for_is_audited_with_its_road_and_address(api: dict[str, ApiClient]) -> None:
    api["operator"].post(f"vms/{VM2}/start")
    api["viewer"].post(f"vms/{VM2}/start")
    entries = AuditEntry.objects.filter(action="vm.start").order_by("id")
    assert [(entry.actor_name, entry.road, entry.result) for entry in entries] == [
        ("operator", "api", "queued"),
        ("viewer", "api", "refused"),
    ]
    assert entries[0].address == "127.0.0.1"


def test_the_second_to_act_on_a_guest_is_refused_with_who_was_first(api: dict[str, ApiClient]) -> None:
    assert api["operator"].post(f"vms/{VM1}/shutdown").status_code == 202
    answer = api["administrator"].post(f"vms/{VM1}/migrate", {"host": "kvm2"})
    assert answer.status_code == 409
    problem = answer.json()
    assert problem["title"] == "Not now"
    assert "web1 is busy: operator asked for “shutdown”" in problem["detail"]
    assert Operation.objects.count() == 1


@pytest.mark.parametrize(
    ("path", "body", "words"),
    [
        (f"vms/{VM2}/shutdown", None, "db1 is shut off; this needs it to be running."),
        (f"vms/{VM1}/migrate", {"host": "kvm1"}, "is on kvm1 already"),
        (f"vms/{VM1}/migrate", {"host": "kvm3"}, "Host kvm3 is not connected."),
        ("vms/00000000-0000-0000-0000-000000000004/reboot", None, "No answer from kvm3."),
    ],
)
def test_what_makes_no_sense_now_is_refused_with_the_reason(
    api: dict[str, ApiClient], path: str, body: Any, words: str
) -> None:
    answer = api["operator"].post(path, body)
    assert answer.status_code == 409
    assert words in answer.json()["detail"]


@pytest.mark.parametrize(
    ("verb", "body", "field"),
    [
        ("migrate", {"host": "nowhere"}, "host"),
        ("migrate", {}, "host"),
        ("migrate", None, ""),
        ("migrate", {"host": "kvm2", "bandwidth": -1}, "bandwidth"),
        ("migrate", {"host": "kvm2", "bandwidth": "5"}, "bandwidth"),
        ("migrate", {"host": "kvm2", "fast": True}, "fast"),
        ("shutdown", {"wait": 0}, "wait"),
        ("shutdown", {"wait": True}, "wait"),
        ("autostart", {"enabled": "maybe"}, "enabled"),
        ("start", {"force": True}, "force"),
        ("set-metadata", {}, "title"),
        ("set-metadata", {"tags": ["good", "<bad>"]}, "tags.1"),
        ("set-metadata", {"folder": "a//b"}, "folder"),
    ],
)
def test_a_wrong_argument_is_named(api: dict[str, ApiClient], verb: str, body: Any, field: str) -> None:
    answer = api["operator"].post(f"vms/{VM1}/{verb}", body)
    assert answer.status_code == 422
    assert [(one["location"], one["field"]) for one in answer.json()["errors"]] == [("body", field)]
    assert not Operation.objects.exists()


def test_a_guest_that_is_not_there_is_not_found(api: dict[str, ApiClient]) -> None:
    assert api["operator"].post(f"vms/{NOWHERE}/start").status_code == 404
    assert api["operator"].get(f"vms/{NOWHERE}").status_code == 404


@pytest.mark.parametrize(
    ("role", "status"),
    [("administrator", 202), ("operator", 403), ("viewer", 403), ("viewer-watching", 403), ("stranger", 401)],
)
def test_only_administrators_refresh_hosts(api: dict[str, ApiClient], role: str, status: int) -> None:
    answer = api[role].post("hosts/kvm1/refresh")
    assert answer.status_code == status
    assert Operation.objects.filter(kind="host-refresh").exists() == (status == 202)


def test_a_host_is_tested(api: dict[str, ApiClient]) -> None:
    answer = api["administrator"].post("hosts/kvm1/test", {"enable": True})
    assert answer.status_code == 202
    assert (answer.json()["kind"], answer.json()["arguments"]) == ("host-test", {"enable": True})
    assert api["administrator"].post("hosts/kvm1/test", {"enable": "yes"}).status_code == 422
    assert api["operator"].post("hosts/kvm1/test").status_code == 403


def test_a_disabled_host_is_not_refreshed(api: dict[str, ApiClient]) -> None:
    Host.objects.filter(name="kvm1").update(enabled=False)
    assert api["administrator"].post("hosts/kvm1/refresh").status_code == 409


def test_many_are_asked_at_once_with_a_result_each(api: dict[str, ApiClient]) -> None:
    body = {"verb": "shutdown", "uuids": [str(VM1), str(VM2), str(VM3), str(VM1)], "arguments": {"wait": 30}}
    answer = api["operator"].post("vms/bulk", body)
    assert answer.status_code == 202
    told = api["viewer"].get(f"operations/{answer.json()['id']}").json()
    assert told["kind"] == "bulk"
    states = {child["subject"]: child["state"] for child in told["children"]}
    assert states == {"web1": "queued", "db1": "refused", "web2": "queued"}
    assert all(child["parent"] == told["id"] and child["arguments"] == {"wait": 30} for child in told["children"])
    assert told["progress"]["total"] == 3


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"verb": "explode", "uuids": [str(VM1)]}, "verb"),
        ({"verb": "host-refresh", "uuids": [str(VM1)]}, "verb"),
        ({"verb": "start", "uuids": []}, "uuids"),
        ({"verb": "start", "uuids": [str(NOWHERE)]}, "uuids"),
        ({"verb": "start", "uuids": ["x"]}, "uuids.0"),
        ({"verb": "start"}, "uuids"),
        ({"verb": "start", "uuids": [str(VM1)] * 501}, "uuids"),
        ({"verb": "shutdown", "uuids": [str(VM1)], "arguments": {"wait": "x"}}, "arguments.wait"),
        ({"verb": "migrate", "uuids": [str(VM1)], "arguments": {"host": "nowhere"}}, "host"),
    ],
)
def test_a_wrong_bulk_changes_nothing(api: dict[str, ApiClient], body: Any, field: str) -> None:
    answer = api["operator"].post("vms/bulk", body)
    assert answer.status_code == 422
    assert [one["field"] for one in answer.json()["errors"]] == [field]
    assert not Operation.objects.exists()


@pytest.mark.parametrize(
    ("role", "status"), [("administrator", 202), ("operator", 202), ("viewer", 403), ("stranger", 401)]
)
def test_whoever_may_ask_may_cancel(
    api: dict[str, ApiClient], cluster: dict[str, Any], people: dict[str, Any], role: str, status: int
) -> None:
    operation = queue.enqueue("shutdown", cluster["web1"], {}, Actor(people["operator"]))
    answer = api[role].post(f"operations/{operation.pk}/cancel")
    assert answer.status_code == status
    operation.refresh_from_db()
    assert operation.state == ("cancelled" if status == 202 else "queued")
    if status == 202:
        assert answer.json()["state"] == "cancelled"
        assert api[role].post(f"operations/{operation.pk}/cancel").status_code == 409


def test_a_running_operation_that_cannot_be_stopped_says_so(
    api: dict[str, ApiClient], cluster: dict[str, Any], people: dict[str, Any]
) -> None:
    operation = queue.enqueue("reset", cluster["web1"], {}, Actor(people["operator"]))
    Operation.objects.filter(pk=operation.pk).update(state="running")
    answer = api["operator"].post(f"operations/{operation.pk}/cancel")
    assert answer.status_code == 409
    assert answer.json()["detail"] == "This cannot be stopped once it runs."


def test_a_bulk_operation_is_cancelled_with_its_children(api: dict[str, ApiClient]) -> None:
    parent = api["operator"].post("vms/bulk", {"verb": "shutdown", "uuids": [str(VM1), str(VM3)]}).json()["id"]
    assert api["operator"].post(f"operations/{parent}/cancel").json()["state"] == "cancelled"
    assert not Operation.objects.filter(state__in=Operation.ACTIVE).exists()


@pytest.fixture
def moving(cluster: dict[str, Any], people: dict[str, Any]) -> Operation:
    """A migration that runs."""
    operation = queue.enqueue("migrate", cluster["web1"], {"host": "kvm2"}, Actor(people["operator"]))
    Operation.objects.filter(pk=operation.pk).update(state="running")
    return operation


def test_a_migration_under_way_takes_another_bandwidth(api: dict[str, ApiClient], moving: Operation) -> None:
    body = {"name": "bandwidth", "arguments": {"bandwidth": 200}}
    assert api["viewer"].post(f"operations/{moving.pk}/signal", body).status_code == 403
    assert api["operator"].post(f"operations/{moving.pk}/signal", body).status_code == 202
    signal = OperationSignal.objects.get()
    assert (signal.name, signal.arguments, signal.actor_name) == ("bandwidth", {"bandwidth": 200}, "operator")


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"name": "explode"}, "name"),
        ({"name": "bandwidth", "arguments": {"bandwidth": "fast"}}, "bandwidth"),
        ({"name": "bandwidth", "arguments": {"speed": 1}}, "speed"),
        ({}, "name"),
    ],
)
def test_a_wrong_signal_is_not_left(api: dict[str, ApiClient], moving: Operation, body: Any, field: str) -> None:
    answer = api["operator"].post(f"operations/{moving.pk}/signal", body)
    assert answer.status_code == 422
    assert [one["field"] for one in answer.json()["errors"]] == [field]
    assert not OperationSignal.objects.exists()


def test_an_operation_that_has_ended_takes_no_signal(api: dict[str, ApiClient], moving: Operation) -> None:
    Operation.objects.filter(pk=moving.pk).update(state="succeeded")
    body = {"name": "bandwidth", "arguments": {"bandwidth": 200}}
    assert api["operator"].post(f"operations/{moving.pk}/signal", body).status_code == 409


def test_a_session_must_show_the_csrf_token_to_change(people: dict[str, Any], cluster: dict[str, Any]) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(people["operator"])
    path = f"/api/v1/vms/{VM2}/start"
    refused = client.post(path)
    assert refused.status_code == 403
    assert "CSRF" in refused.json()["detail"]
    assert not Operation.objects.exists()
    token = client.cookies["kvmdash_csrf"] = "a" * 32
    assert client.post(path, {"csrfmiddlewaretoken": token}).status_code == 415
    assert client.post(path, content_type="application/json", headers={"X-CSRFToken": token}).status_code == 202


def test_a_console_ticket_opens_once_and_is_bound_to_its_token(
    api: dict[str, ApiClient], people: dict[str, Any], cluster: Any
) -> None:
    told = api["operator"].post(f"vms/{VM1}/console", {"view_only": True}).json()
    address = urlsplit(told["url"])
    assert (address.scheme, address.netloc, address.path) == ("ws", "testserver", settings.CONSOLE_PUBLIC_PATH)
    assert (told["view_only"], told["expires_in"]) == (True, 30)
    text = parse_qs(address.query)["ticket"][0]
    ticket = ConsoleTicket.redeem(text)
    assert ticket is not None
    assert (ticket.user, ticket.vm_id, ticket.view_only) == (people["operator"], VM1, True)
    assert ticket.token_id == ApiToken.objects.get(user=people["operator"]).pk
    assert ConsoleTicket.redeem(text) is None


def test_behind_tls_the_console_is_reached_through_tls(api: dict[str, ApiClient]) -> None:
    assert api["operator"].post(f"vms/{VM1}/console", secure=True).json()["url"].startswith("wss://")


def test_there_is_no_console_of_a_guest_that_is_off(api: dict[str, ApiClient]) -> None:
    answer = api["operator"].post(f"vms/{VM2}/console")
    assert (answer.status_code, answer.json()["detail"]) == (409, "db1 is not running.")
    assert not ConsoleTicket.objects.exists()


def test_the_api_takes_the_host_of_the_copy(api: dict[str, ApiClient], cluster) -> None:
    vm = VirtualMachine.objects.get(pk=VM1)
    other = Host.objects.exclude(pk=vm.host_id).filter(state="connected").first()
    sighted(vm, other, "running")
    told = api["operator"].post(f"vms/{VM1}/destroy?on={other.name}").json()
    assert told["host"] == other.name
    wrong = api["operator"].post(f"vms/{VM1}/shutdown?on=nowhere")
    assert (wrong.status_code, "is not on nowhere" in wrong.json()["detail"]) == (409, True)
    assert api["operator"].post(f"vms/{VM1}/reboot?on={other.name}").status_code == 422
