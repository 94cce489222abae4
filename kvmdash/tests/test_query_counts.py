"""What each page asks of the database, against a committed file: a query more is a line in a diff, and somebody says why.

After a change that is meant, write the file anew with

    KVMDASH_RENEW_QUERIES=1 .venv/bin/pytest kvmdash/tests/test_query_counts.py
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from django.db import connections
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import URLPattern, URLResolver, get_resolver, reverse
from django.utils import timezone

from hosts.models import ApiToken, NetworkFilter, Operation, StorageVolume, User
from hosts.views.hosts import TABS as HOST_TABS
from kvmdash.tests.cluster import VM1, _vm
from vms.models import DefinitionVersion, Sighting, VirtualMachine
from vms.views.machine import TABS as VM_TABS

pytestmark = pytest.mark.django_db(databases=["default", "metrics"])

FILE = Path(__file__).with_name("queries.json")
#: pages of others, with addresses that have no end
NOT_OURS = ("account", "api", "static")
Arguments = dict[str, Any]


@pytest.fixture
def rows(people: dict[str, Any], cluster: dict[str, Any]) -> dict[str, Any]:
    """One of everything that has a page of its own."""
    host, now = cluster["kvm1"], timezone.now()
    pool = host.pools.get()
    seen = [{"mac": "52:54:00:00:00:01", "address": "10.0.0.5", "prefix": 24, "source": "agent"}]
    VirtualMachine.objects.filter(pk=VM1).update(addresses=seen)
    volume = StorageVolume.objects.create(pool=pool, name="a.qcow2", path="/images/a.qcow2", seen_at=now)
    operation = Operation.objects.create(
        kind="start", state="succeeded", host=host, host_name="kvm1", subject_name="web1", subject_uuid=VM1,
        actor=people["operator"], actor_name="operator",
    )  # fmt: skip
    text = Sighting.objects.get(vm=VM1).inactive_definition
    versions = [
        DefinitionVersion.objects.create(vm_id=VM1, host=host, mark=str(number), text=text, seen_at=now)
        for number in range(2)
    ]
    token, _secret = ApiToken.issue(people["administrator"], "one")
    network = host.networks.get()
    rules = NetworkFilter.objects.create(
        host=host, name="mine", uuid=UUID(int=60), definition="<filter name='mine'/>", seen_at=now
    )
    return {"network": network.uuid, "filter": rules.uuid, "pool": pool.uuid,
            "volume": volume.pk, "operation": operation.pk, "token": token.pk, "host": host.pk,
            "version": versions[0].pk}  # fmt: skip


def arguments_of(name: str, wanted: set[str], rows: dict[str, Any], user: User) -> list[Arguments]:
    """What stands in the address of a page, several where one address has several pages."""
    space, _colon, page = name.rpartition(":")
    keys: dict[str, Any] = {"vms": VM1, "operations": rows["operation"], "administration": user.pk}
    if space == "administration" and page.startswith("token"):
        keys["administration"] = rows["token"]
    known: Arguments = {
        "key": rows["volume"] if "pool" in wanted else keys.get(space, VM1), "uuid": VM1, "name": "kvm1",
        "pool": rows["pool"], "pk": rows["host"], "number": rows["version"], "which": "live", "verb": "start", "kind": "refresh",
        "network": rows["network"], "filter": rows["filter"], "operation": rows["operation"],
    }  # fmt: skip
    if page == "act" and space == "vms":
        known["name"] = "migrate"
    tabs = {"vms": VM_TABS, "hosts": HOST_TABS}.get(space, {})
    choices = [{"tab": tab} for tab in tabs if tab] if "tab" in wanted else [{}]
    every = [known | choice for choice in choices]
    return [{name: one[name] for name in wanted} for one in every if wanted <= one.keys()]


def routes(patterns: list[Any], space: str = "") -> Iterator[tuple[str, set[str]]]:
    """The names of all addresses of ours, with what has to be filled in."""
    for pattern in patterns:
        if isinstance(pattern, URLResolver):
            if not str(pattern.pattern).startswith(NOT_OURS):
                yield from routes(pattern.url_patterns, f"{pattern.namespace}:" if pattern.namespace else space)
        elif isinstance(pattern, URLPattern) and pattern.name and not str(pattern.pattern).startswith(NOT_OURS):
            yield f"{space}{pattern.name}", wanted_by(space + pattern.name)


def wanted_by(name: str) -> set[str]:
    """Names of the arguments, those of the resolvers around it included."""
    space, _colon, page = name.rpartition(":")
    resolver = get_resolver()
    for one in resolver.url_patterns:
        if isinstance(one, URLResolver) and one.namespace == space and space:
            resolver = one
    return set(resolver.reverse_dict.getlist(page)[0][0][0][1])


def queries_of(client: Client, address: str) -> int | None:
    """How many queries the page costs when it is asked a second time; None for what is no page."""
    answer = client.get(address)
    if answer.status_code != 200 or not answer.headers.get("Content-Type", "").startswith("text/html"):
        return None
    captures = [CaptureQueriesContext(connections[alias]) for alias in ("default", "metrics")]
    for capture in captures:
        capture.__enter__()
    assert client.get(address).status_code == 200
    for capture in captures:
        capture.__exit__(None, None, None)
    return sum(map(len, captures))


def counted(rows: dict[str, Any], user: User) -> dict[str, int]:
    """Page → number of queries, for an administrator, who sees the most."""
    client = Client()
    client.force_login(user, backend="allauth.account.auth_backends.AuthenticationBackend")
    found = {}
    for name, wanted in routes(get_resolver().url_patterns):
        for arguments in arguments_of(name, wanted, rows, user):
            count = queries_of(client, reverse(name, kwargs=arguments))
            if count is not None:
                found[f"{name} {arguments['tab']}" if "tab" in arguments else name] = count
    return dict(sorted(found.items()))


def test_no_page_asks_the_database_more_or_less_than_the_committed_file_says(
    rows: dict[str, Any], people: dict[str, Any]
) -> None:
    now = counted(rows, people["administrator"])
    if os.environ.get("KVMDASH_RENEW_QUERIES"):
        FILE.write_text(json.dumps(now, indent=2) + "\n")
    committed = json.loads(FILE.read_text())
    different = {
        name: f"{committed.get(name, 'not in the file')} → {now.get(name, 'no page any more')}"
        for name in sorted(now.keys() | committed.keys())
        if now.get(name) != committed.get(name)
    }
    assert not different, f"{different}; if that is meant, renew {FILE.name} (see the top of this file)"


def test_the_file_has_the_pages_that_are_looked_at_most() -> None:
    assert {"overview", "vms:list", "vms:detail", "hosts:list", "hosts:detail", "operations:list"} <= set(
        json.loads(FILE.read_text())
    )


def test_a_guest_more_is_no_query_more(rows: dict[str, Any], people: dict[str, Any], cluster: dict[str, Any]) -> None:
    before = counted(rows, people["administrator"])
    for number in range(10):
        _vm(UUID(int=1000 + number), f"more-{number}", cluster["kvm1"], "running", tags=["web"])
    after = counted(rows, people["administrator"])
    assert {name: (count, after.get(name)) for name, count in before.items() if after.get(name) != count} == {}
