"""What the API tells, and to whom."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.urls import reverse
from django.utils import timezone

from hosts.audit import Actor
from hosts.models import Host, Operation, OperationLog
from hosts.operations import queue
from kvmdash.tests.cluster import NOWHERE, VM1, VM2, ApiClient
from vms.api_schemas import VmQuery
from vms.models import ConsoleSession, VirtualMachine
from vms.selection import FILTERS, SORTS, filter_vms, sort_vms

READERS = ("administrator", "operator", "viewer", "viewer-watching")
ADDRESSES = ("me", "hosts", "hosts/kvm1", "vms", f"vms/{VM1}", "operations", "openapi.json")
FILTERED = (
    {},
    {"state": "running"},
    {"state": "running,shutoff", "sort": "-name"},
    {"q": "shop 10.0.0.5"},
    {"host": "kvm1,kvm2", "sort": "-cpu"},
    {"tag": "web,shop"},
    {"folder": "shop", "sort": "memory"},
    {"folder": "/"},
    {"seen": "stale"},
    {"autostart": "yes"},
    {"busy": "no", "sort": "tags"},
    {"q": "nothing like this"},
)


@pytest.mark.parametrize("role", READERS)
@pytest.mark.parametrize("address", ADDRESSES)
def test_every_role_may_read(api: dict[str, ApiClient], address: str, role: str) -> None:
    assert api[role].get(address).status_code == 200


@pytest.mark.parametrize("address", [*ADDRESSES, f"operations/{NOWHERE}"])
def test_a_stranger_reads_nothing(api: dict[str, ApiClient], address: str) -> None:
    answer = api["stranger"].get(address)
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"] == "Bearer"


def test_me_tells_role_token_and_rights(api: dict[str, ApiClient]) -> None:
    me = api["operator"].get("me").json()
    assert (me["username"], me["role"], me["token"]) == ("operator", "operator", "test")
    assert me["verbs"]["vm.start"] is True
    assert me["verbs"]["people.manage"] is False


def test_a_host_is_told_without_its_secrets(api: dict[str, ApiClient], cluster: dict[str, Any]) -> None:
    answer = api["administrator"].get("hosts/kvm1")
    host = answer.json()
    assert host["guests"] == {"total": 2, "running": 1}
    assert host["credentials"]["sasl_password"] is True
    assert host["credentials"]["tls_certificate"] is False
    assert host["pools"][0]["name"] == "images"
    assert host["networks"][0]["bridge"] == "virbr0"
    row = Host.objects.get(name="kvm1")
    for secret in ("geheim", row.ssh_key.token, row.tls_key.token, row.sasl_password.token):
        assert secret.encode() not in answer.content


def test_a_host_that_does_not_answer_says_why(api: dict[str, ApiClient]) -> None:
    hosts = {host["name"]: host for host in api["viewer"].get("hosts").json()["items"]}
    assert hosts["kvm3"]["state"] == "unreachable"
    assert hosts["kvm3"]["state_text"] == "No answer from kvm3."


@pytest.mark.parametrize("query", FILTERED, ids=str)
def test_guests_are_filtered_and_sorted_as_on_the_page(api: dict[str, ApiClient], query: dict[str, str]) -> None:
    wanted = sort_vms(filter_vms(VirtualMachine.objects.all(), query), query.get("sort", "name"))
    answer = api["viewer"].get("vms", **query).json()
    assert [vm["name"] for vm in answer["items"]] == [vm.name for vm in wanted]
    assert answer["count"] == len(wanted)


def test_every_filter_and_order_of_the_page_is_an_api_parameter(api: dict[str, ApiClient]) -> None:
    assert set(VmQuery.model_fields) == {*FILTERS, "sort", "page", "page_size"}
    for sort in SORTS:
        assert api["viewer"].get("vms", sort=f"-{sort}").status_code == 200, sort


@pytest.mark.parametrize("address", ["vms", "hosts"])
def test_lists_come_in_pages(api: dict[str, ApiClient], address: str) -> None:
    whole = api["viewer"].get(address).json()
    pages = [api["viewer"].get(address, page=page, page_size=2).json() for page in (1, 2, 3)]
    assert [item["name"] for page in pages for item in page["items"]] == [item["name"] for item in whole["items"]]
    assert {page["count"] for page in pages} == {whole["count"]}
    assert pages[2] == {"items": [], "count": whole["count"], "page": 3, "page_size": 2}


def test_a_list_costs_the_same_number_of_queries_for_any_length(
    api: dict[str, ApiClient], django_assert_max_num_queries: Any
) -> None:
    api["viewer"].get("vms")
    for address in ("vms", "hosts", "operations"):
        with django_assert_max_num_queries(6):
            api["viewer"].get(address)


def test_a_guest_is_told_with_sightings_watchers_and_definition(
    api: dict[str, ApiClient], cluster: dict[str, Any], people: dict[str, Any]
) -> None:
    busy = queue.enqueue("shutdown", cluster["web1"], {}, Actor(people["operator"]))
    ConsoleSession.objects.create(user=people["operator"], vm=cluster["web1"], view_only=False, gateway="g")
    ConsoleSession.objects.create(user=people["viewer"], vm=cluster["web1"], gateway="g", closed_at=timezone.now())
    vm = api["viewer"].get(f"vms/{VM1}").json()
    assert (vm["host"], vm["tags"], vm["operation"]) == ("kvm1", ["shop", "web"], str(busy.pk))
    assert [sighting["host"] for sighting in vm["sightings"]] == ["kvm1"]
    assert [console["user"] for console in vm["consoles"]] == ["operator"]
    assert "<name>web1</name>" in vm["definition"]


def test_an_operation_is_told_with_progress_log_error_and_virsh(
    api: dict[str, ApiClient], cluster: dict[str, Any], people: dict[str, Any]
) -> None:
    operation = queue.enqueue("migrate", cluster["web1"], {"host": "kvm2"}, Actor(people["operator"]))
    OperationLog.objects.create(operation=operation, serial=1, text="On its way.")
    figures = {"percent": 40.0, "remaining": 6 << 20, "total": 10 << 20}
    error = {"type": "Failed", "message": "It broke.", "code": 38, "domain": 10, "detail": "libvirt's words"}
    Operation.objects.filter(pk=operation.pk).update(state="running", progress=figures, error=error)
    told = api["viewer"].get(f"operations/{operation.pk}").json()
    assert (told["percent"], told["progress"]["remaining"]) == (40.0, 6 << 20)
    assert told["progress_text"].startswith("6.0 MiB of 10.0 MiB left")
    assert [line["text"] for line in told["log"]] == ["On its way."]
    assert told["error"]["message"] == "It broke."
    assert told["virsh"].startswith("virsh migrate web1")
    assert told["signals"] == ["bandwidth", "downtime", "suspend", "post-copy", "recover"]
    assert told["cancellable"] is False
    assert api["operator"].get(f"operations/{operation.pk}").json()["cancellable"] is True


def test_operations_are_filtered(api: dict[str, ApiClient], cluster: dict[str, Any], people: dict[str, Any]) -> None:
    start = queue.enqueue("start", cluster["db1"], {}, Actor(people["operator"]))
    stop = queue.enqueue("shutdown", cluster["web2"], {}, Actor(people["administrator"]))
    Operation.objects.filter(pk=stop.pk).update(state="failed", created_at="2020-01-01T00:00:00Z")

    def ids(**query: Any) -> list[str]:
        return [row["id"] for row in api["viewer"].get("operations", **query).json()["items"]]

    assert ids() == [str(start.pk), str(stop.pk)]
    assert ids(state="failed,queued", kind="start") == [str(start.pk)]
    assert ids(actor="administrator") == [str(stop.pk)]
    assert ids(host="kvm1") == ids(vm=VM2) == ids(since="2021-01-01T00:00:00Z") == [str(start.pk)]
    assert ids(since="2019-12-31T23:00:00+01:00", page_size=1, page=2) == [str(stop.pk)]
    assert ids(parent=start.pk) == []


def test_the_description_tells_every_guest_verb_with_its_arguments(api: dict[str, ApiClient]) -> None:
    description = api["viewer"].get("openapi.json").json()
    assert description["openapi"].startswith("3.")
    migrate = description["components"]["schemas"]["MigrateArguments"]
    assert migrate["required"] == ["host"]
    assert migrate["additionalProperties"] is False
    for methods in description["paths"].values():
        for operation in methods.values():
            assert {"401", "403", "404", "422", "429"} <= set(operation["responses"]), operation["operationId"]


def test_the_documentation_page_needs_a_login_and_keeps_the_content_policy(
    client: Any, people: dict[str, Any], cluster: dict[str, Any]
) -> None:
    address = reverse("api:docs")
    assert client.get(address).status_code == 302
    client.force_login(people["viewer"])
    page = client.get(address)
    assert page.status_code == 200
    text = page.content.decode()
    for part in (f'href="{reverse("api:openapi")}"', "/api/v1/vms/{uuid}/migrate", "auto_converge", 'id="refused"'):
        assert part in text
    assert " style=" not in text and " onclick=" not in text and "cdn" not in text
    assert all("nonce=" in tag or "src=" in tag for tag in text.split("<script")[1:])


def test_answers_are_not_kept_by_caches(api: dict[str, ApiClient]) -> None:
    assert "no-store" in api["viewer"].get("vms").headers["Cache-Control"]
    assert "no-store" in api["stranger"].get("vms").headers["Cache-Control"]


def test_a_page_that_is_logged_in_may_read_without_a_token(client: Any, people: dict[str, Any], cluster: Any) -> None:
    client.force_login(people["viewer"])
    answer = client.get("/api/v1/vms")
    assert answer.status_code == 200
    assert json.loads(answer.content)["count"] == 4
