"""/metrics: who may read it, and that it counts what is there."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client
from prometheus_client.parser import text_string_to_metric_families

from hosts import alarms
from hosts.audit import Actor
from hosts.hub import Socket, hub
from hosts.models import Host, Worker
from hosts.operations import queue
from kvmdash import metrics
from vms.models import ConsoleSession

pytestmark = pytest.mark.django_db
TOKEN = "m" * 40


@pytest.fixture(autouse=True)
def _count_anew() -> None:
    metrics.snapshot.forget()


def figures(**headers: str) -> dict[tuple[Any, ...], float]:
    """What is served: (name, label values …) → number."""
    answer = Client(headers=headers).get("/metrics")
    assert answer.status_code == 200
    assert answer.headers["Content-Type"].startswith("text/plain; version=")
    families = text_string_to_metric_families(answer.content.decode())
    return {(sample.name, *sample.labels.values()): sample.value for family in families for sample in family.samples}


def status(address: str = "127.0.0.1", **headers: str) -> int:
    return Client(headers=headers, REMOTE_ADDR=address).get("/metrics").status_code


def test_there_are_no_metrics_until_somebody_may_read_them() -> None:
    assert status() == 404


def test_only_who_shows_the_token_reads_them(settings: Any) -> None:
    settings.METRICS_TOKEN = TOKEN
    assert status(authorization=f"Bearer {TOKEN}") == 200
    for wrong in ("", f"Bearer {TOKEN}x", "Bearer ", f"Basic {TOKEN}", TOKEN, "Bearer é"):
        assert status(authorization=wrong) == 403, wrong
    assert status() == 403


def test_only_who_asks_from_a_named_address_reads_them(settings: Any) -> None:
    settings.METRICS_FROM = ["10.0.0.0/8", "2001:db8::5"]
    for address, right in (("10.1.2.3", 200), ("2001:db8::5", 200), ("127.0.0.1", 403), ("2001:db8::6", 403)):
        assert status(address) == right, address
    assert status("10.1.2.3", authorization="Bearer wrong") == 200


def test_an_address_that_no_trusted_proxy_names_is_not_believed(settings: Any) -> None:
    settings.METRICS_FROM = ["10.1.2.3"]
    forged = {"x-forwarded-for": "10.1.2.3"}
    assert status("192.0.2.1", **forged) == 403
    settings.TRUSTED_PROXIES = ["192.0.2.1"]
    assert status("192.0.2.1", **forged) == 200
    assert status("192.0.2.1", **{"x-forwarded-for": "10.1.2.3, 6.6.6.6"}) == 403


def test_nothing_is_changed_by_asking(settings: Any) -> None:
    settings.METRICS_TOKEN = TOKEN
    assert Client(headers={"authorization": f"Bearer {TOKEN}"}).post("/metrics").status_code == 405


def test_what_is_there_is_counted(settings: Any, people: dict[str, Any], cluster: dict[str, Any]) -> None:
    settings.METRICS_TOKEN = TOKEN
    queue.enqueue("shutdown", cluster["web1"], {}, Actor(people["operator"]))
    alarms.raise_alarm("key", "host-lost", level="critical")
    ConsoleSession.objects.create(user=people["operator"], vm=cluster["web1"], gateway="x")
    Worker.report("inventory", "a", 60)
    found = figures(authorization=f"Bearer {TOKEN}")
    assert found[("kvmdash_hosts", "connected")] == 2
    assert found[("kvmdash_hosts", "unreachable")] == 1
    assert found[("kvmdash_hosts", "silent")] == 0
    assert {name[1] for name in found if name[0] == "kvmdash_hosts"} == set(Host.State.values)
    assert found[("kvmdash_guests", "running")] == 3
    assert found[("kvmdash_guests", "shutoff")] == 1
    assert found[("kvmdash_guests_stale",)] == 1
    by_labels = {tuple(sorted(map(str, name[1:]))): n for name, n in found.items() if name[0] == "kvmdash_operations"}
    assert by_labels == {("queued", "shutdown"): 1}
    assert found[("kvmdash_alarms", "critical")] == 1
    assert found[("kvmdash_consoles",)] == 1
    assert found[("kvmdash_workers", "inventory")] == 1
    assert found[("kvmdash_workers", "operations")] == 0


def test_open_push_sockets_are_counted_as_they_are(settings: Any, people: dict[str, Any]) -> None:
    settings.METRICS_TOKEN = TOKEN
    before = figures(authorization=f"Bearer {TOKEN}")[("kvmdash_sockets",)]

    async def nothing(_what: Any) -> None:
        """Sent to nobody."""

    socket = Socket(people["viewer"], "en", nothing, nothing)
    hub.add(socket)
    try:
        assert figures(authorization=f"Bearer {TOKEN}")[("kvmdash_sockets",)] == before + 1
    finally:
        hub.remove(socket)


def test_asking_often_counts_once(settings: Any, cluster: Any, django_assert_num_queries: Any) -> None:
    settings.METRICS_TOKEN = TOKEN
    figures(authorization=f"Bearer {TOKEN}")
    with django_assert_num_queries(0):
        figures(authorization=f"Bearer {TOKEN}")


def test_no_name_is_told(settings: Any, cluster: dict[str, Any], people: dict[str, Any]) -> None:
    settings.METRICS_TOKEN = TOKEN
    text = Client(headers={"authorization": f"Bearer {TOKEN}"}).get("/metrics").content.decode()
    for name in [*cluster, *people]:
        assert f'"{name}"' not in text
