"""Every road there is, found by looking: all addresses, all of the API, all kinds, all pieces. None leads past the gate.

test_rights_matrix says who is meant to do what; this file needs no word about a new page, route, kind or piece to try it.
"""

from __future__ import annotations

import json
import re
from contextlib import suppress
from typing import Any
from uuid import UUID

import pytest
from asgiref.sync import sync_to_async
from asgiref.testing import ApplicationCommunicator
from django.contrib.auth.models import AnonymousUser
from django.core.cache import cache
from django.http import HttpResponse
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver

from hosts import access, fragments, hub
from hosts.access import Denied
from hosts.audit import Actor
from hosts.consumers import LiveConsumer
from hosts.models import ApiToken, AuditEntry, Host, Operation, StoragePool, StorageVolume, User
from hosts.operations import queue
from hosts.operations.kind import Refused, registry
from hosts.sessions import SessionStore
from kvmdash.api import api
from kvmdash.tests.cluster import VM1, ApiClient, make_cluster
from kvmdash.tests.test_rights_matrix import LEAST, OUTSIDERS, PAGES, ROLES, meant
from vms.models import ConsoleTicket, VirtualMachine

pytestmark = pytest.mark.django_db(databases=["default", "metrics"])

#: addresses that strangers get an answer from (kvmdash.middleware): logging in, and what asks for a token itself
OPEN = re.compile(r"/(account/login/|account/2fa/authenticate/|api/|i18n/|healthz|metrics|static/)")
#: what anybody who is logged in may change: their own account, language and tokens, and what only shows something
OWN = re.compile(r"/(account/|i18n/language/|palette/|administration/tokens/|overview/|vms/bulk/confirm/$|api/v1/me\b)")
#: where a viewer who may watch gets a ticket for watching
WATCHING = re.compile(r"/(vms/[0-9a-f-]+/console/(ticket|serial/log)/|api/v1/vms/[0-9a-f-]+/console(/log)?)$")
#: words that stand in addresses and are no row: they are tried as they are
WORDS = {"tab": "console", "which": "live", "verb": "test", "name": "start"}
CONVERTER = re.compile(r"<(?:(\w+):)?(\w+)>")


@pytest.fixture
def everybody(people: dict[str, Any]) -> dict[str, Any]:
    disabled = User.objects.create_user("disabled", password="quite-long-enough", role="administrator", is_active=False)
    return people | {"disabled": disabled, "nobody": AnonymousUser()}


@pytest.fixture
def cluster(db: None) -> dict[str, Any]:
    return make_cluster()


def addresses(pool: int, operation: UUID) -> list[str]:
    """Every address of the site once, its parts filled with rows that are there."""

    def value(kind: str | None, name: str, route: str) -> str:
        if kind == "uuid":
            return str(operation if route.startswith("operations/") else VM1)
        if kind == "int":
            return str(pool if "storage" in route or "pool" in route else 1)
        if kind in (None, "str") and name in ("name", "host") and "hosts/" in route:
            return "kvm1"
        return WORDS.get(name, "x")

    def walk(patterns: list[Any], prefix: str) -> list[str]:
        found = []
        for pattern in patterns:
            text = str(pattern.pattern)
            if isinstance(pattern, URLResolver):
                found += walk(pattern.url_patterns, prefix + text)
            elif isinstance(pattern, URLPattern) and not any(c in text for c in "^$(?"):
                route = prefix + text
                found.append("/" + CONVERTER.sub(lambda m, route=route: value(m[1], m[2], route), route))
        return found

    return walk(get_resolver().url_patterns, "")


@pytest.fixture
def every_address(cluster: dict[str, Any], people: dict[str, Any]) -> list[str]:
    operation = queue.enqueue("suspend", cluster["web1"], {}, Actor(people["administrator"]))
    Operation.objects.filter(pk=operation.pk).update(state=Operation.State.SUCCEEDED)
    VirtualMachine.objects.update(addresses=[])
    found = addresses(StoragePool.objects.get().pk, operation.pk)
    assert len(found) > 60
    return found


def client_of(user: Any, **headers: str) -> Client:
    client = Client(headers=headers, raise_request_exception=True)
    if isinstance(user, User):
        client.force_login(user)
    return client


def facts() -> dict[str, Any]:
    """What a page that is only looked at must leave as it is."""
    return {
        "operations": Operation.objects.count(),
        "hosts": sorted(Host.objects.values_list("name", "uri", "enabled")),
        "people": sorted(User.objects.values_list("username", "role", "is_active", "password")),
        "tokens": ApiToken.objects.filter(revoked_at=None).count(),
        "tickets": ConsoleTicket.objects.count(),
        "changes": AuditEntry.objects.exclude(action__in=("login", "logout"))
        .filter(result__in=("done", "queued"))
        .count(),
    }


# --- addresses


@pytest.mark.parametrize("method", ["get", "post"])
def test_a_stranger_gets_nothing_but_the_way_in(
    every_address: list[str], everybody: dict[str, Any], method: str
) -> None:
    before = facts()
    for address in every_address:
        answer = getattr(Client(), method)(address)
        if OPEN.match(address):
            assert answer.status_code in (200, 301, 302, 401, 404, 405, 415), (address, answer.status_code)
            if address.startswith("/api/") and not address.endswith("/docs"):
                assert answer.status_code in (401, 404, 405), (address, answer.status_code)
            continue
        assert answer.status_code == 302 and "/account/login/" in answer["Location"], (address, answer.status_code)
    assert facts() == before


@pytest.mark.parametrize(("role", "htmx"), [("viewer", True), ("viewer-watching", False)])
def test_who_may_only_look_changes_nothing_by_any_address(
    every_address: list[str], everybody: dict[str, Any], role: str, htmx: bool
) -> None:
    client = client_of(everybody[role], **({"HX-Request": "true"} if htmx else {}))
    before = facts()
    for address in every_address:
        if OWN.match(address) or (role == "viewer-watching" and WATCHING.match(address)) or "logout" in address:
            continue
        for method in ("post", "delete"):
            kind = {"content_type": "application/json"} if address.startswith("/api/") else {}
            status = getattr(client, method)(address, {}, **kind).status_code
            # 422 is the API's: it reads what is sent before it asks who may.
            refused = (401, 403, 404, 405) + ((409, 415, 422) if address.startswith("/api/") else ())
            assert status in refused, (method, address, status)
    assert facts() == before


@pytest.mark.parametrize("role", ["viewer", "administrator"])
def test_looking_changes_nothing(every_address: list[str], everybody: dict[str, Any], role: str) -> None:
    client = client_of(everybody[role])
    before = facts()
    for address in every_address:
        if "logout" in address:
            continue
        status = client.get(address).status_code
        assert status in (200, 204, 302, 403, 404, 405, 422), (address, status)
    assert facts() == before


def test_the_pages_for_administrators_are_among_the_addresses(every_address: list[str]) -> None:
    """So that the walk is a walk."""
    for part in ("/hosts/kvm1/edit/", "/administration/audit/", f"/vms/{VM1}/do/start/", "/operations/", "/metrics"):
        assert any(address.startswith(part) for address in every_address), part


# --- the API


def api_routes() -> list[tuple[str, str]]:
    found = []
    for path, methods in api.get_openapi_schema()["paths"].items():
        filled = path.replace("{uuid}", str(VM1)).replace("{name}", "kvm1").replace("{id}", str(VM1))
        filled = re.sub(r"{\w+}", "1", filled)
        found += [(method, filled) for method in methods if method in ("get", "post", "put", "patch", "delete")]
    return found


def sent(user: Any, method: str, path: str) -> HttpResponse:
    client = ApiClient(user if isinstance(user, User) else None)
    kwargs = {"content_type": "application/json"} if method != "get" else {}
    cache.clear()  # So that nobody has failed too often yet.
    return getattr(client.client, method)(path, **kwargs, headers=client.headers)


@pytest.mark.parametrize("role", OUTSIDERS)
def test_the_api_answers_nobody_without_a_working_token(cluster: Any, everybody: dict[str, Any], role: str) -> None:
    assert len(api_routes()) > 20
    for method, path in api_routes():
        assert sent(everybody[role], method, path).status_code == 401, (method, path)


def test_who_may_only_look_changes_nothing_by_the_api(cluster: Any, everybody: dict[str, Any]) -> None:
    before = facts()
    for method, path in api_routes():
        status = sent(everybody["viewer"], method, path).status_code
        if method == "get":
            assert status in (200, 403, 404, 422), (path, status)
        else:
            assert status in (403, 404, 409, 422), (method, path, status)
    assert facts() == before | {"tokens": facts()["tokens"]}


# --- kinds


def subject_of(name: str, cluster: dict[str, Any]) -> Any:
    """A row that the kind can be asked of."""
    pool = StoragePool.objects.get()
    volume = StorageVolume.objects.get_or_create(pool=pool, name="v")[0]
    for row in (volume, pool, cluster["web1"], cluster["kvm1"]):
        try:
            registry[name].subject(row)
        except (AttributeError, TypeError):
            continue
        return row
    raise AssertionError(f"no row for {name}")


@pytest.mark.parametrize("role", [*ROLES, *OUTSIDERS])
def test_every_kind_asks_for_the_right_before_anything_else(
    cluster: dict[str, Any], everybody: dict[str, Any], role: str
) -> None:
    user = everybody[role]
    actor = Actor(user if isinstance(user, User) else None)
    assert len(registry) > 15
    for name, kind in registry.items():
        row, nonsense = subject_of(name, cluster), {"nonsense": object()}
        if meant(role, kind.verb):
            with suppress(Refused):  # The right is there; the arguments are none.
                queue.enqueue(name, row, nonsense, actor)
            continue
        for asked in (queue.enqueue, enqueue_one_of_many):
            with pytest.raises(Denied):
                asked(name, row, nonsense, actor)
        refused = AuditEntry.objects.filter(action=kind.verb, result="refused", actor_name=actor.label)
        assert refused.count() >= 2, name
    assert not Operation.objects.exists()


def enqueue_one_of_many(name: str, row: Any, *more: Any) -> Operation:
    return queue.enqueue_many(name, [row], *more)


def test_every_verb_is_asked_for_on_some_road() -> None:
    asked = {kind.verb for kind in registry.values()} | {fragment.verb for fragment in fragments.registry.values()}
    asked |= (
        set(access.VIEW_VERBS.values())
        | set(PAGES.values())
        | set(hub.STALE_TOPICS.values())
        | set(hub.STALE_KINDS.values())
    )
    # These have pages and tests of their own.
    elsewhere = {"vm.console", "vm.console_view", "vm.forget", "vm.snapshot_schedule", "volume.download"}
    elsewhere |= {"vm.plan", "host.maintenance"}
    assert set(LEAST) - asked <= elsewhere | {verb for verb in LEAST if verb.endswith(".manage")}


# --- pushes, by the socket itself


async def answers(user: Any, keys: list[str]) -> tuple[list[str], frozenset[str], frozenset[str]]:
    """(refused keys, keys watched, lists that are told to be stale) for somebody's page."""
    scope = {"type": "websocket", "path": "/ws/live/", "headers": [], "user": user, "cookies": {}}
    socket = ApplicationCommunicator(LiveConsumer.as_asgi(), scope)
    before = set(hub.hub.sockets)
    await socket.send_input({"type": "websocket.connect"})
    assert (await socket.receive_output(5))["type"] == "websocket.accept"
    if (first := await socket.receive_output(5))["type"] == "websocket.close":
        assert first["code"] == 4401
        return keys, frozenset(), frozenset()
    (mine,) = set(hub.hub.sockets) - before
    await socket.send_input({"type": "websocket.receive", "text": json.dumps({"watch": keys})})
    # Answered in turn: when this one's refusal is here, the first message was taken.
    await socket.send_input({"type": "websocket.receive", "text": json.dumps({"watch": [*keys, "nothing:1"]})})
    refused: list[str] = []
    while "nothing:1" not in refused:
        message = json.loads((await socket.receive_output(5))["text"])
        refused = message.get("refused", refused)
    watched, stale = mine.keys, mine.stale_names
    await socket.send_input({"type": "websocket.disconnect", "code": 1000})
    await socket.wait(5)
    return [key for key in refused if key != "nothing:1"], watched, stale


@pytest.mark.django_db(transaction=True, databases=["default", "metrics"])
@pytest.mark.parametrize("role", [*ROLES, *OUTSIDERS])
async def test_a_socket_watches_what_its_user_may_see_and_nothing_else(everybody: dict[str, Any], role: str) -> None:
    user = everybody[role]
    pieces = {f"{name}:{VM1}": fragment.verb for name, fragment in fragments.registry.items()}
    pieces |= {f"figures:vm:{VM1}": "vm.view", "figures:host:1": "host.view"}
    lists = {f"stale:{topic}": verb for topic, verb in hub.STALE_TOPICS.items()}
    lists |= {f"stale:{kind}:1": verb for kind, verb in hub.STALE_KINDS.items()}
    refused, watched, stale = await answers(user, [*pieces, *lists])
    allowed = {key for key, verb in pieces.items() if meant(role, verb)}
    assert watched == allowed
    if role not in OUTSIDERS:
        assert set(refused) == set(pieces) - allowed
    assert stale == {key[6:] for key, verb in lists.items() if meant(role, verb)}


class Page:
    """A page's socket with a log-in session."""

    def __init__(self, user: Any, cookie: str) -> None:
        session = SessionStore(cookie)
        scope = {
            "type": "websocket",
            "path": "/ws/live/",
            "headers": [],
            "user": user,
            "cookies": {},
            "session": session,
        }
        self._application = ApplicationCommunicator(LiveConsumer.as_asgi(), scope)

    async def open(self) -> None:
        await self._application.send_input({"type": "websocket.connect"})
        for expected in ("websocket.accept", "websocket.send"):
            assert (await self._application.receive_output(5))["type"] == expected

    async def say(self) -> None:
        await self._application.send_input({"type": "websocket.receive", "text": '{"watch": ["drawer:all"]}'})

    async def close_code(self) -> int:
        while (message := await self._application.receive_output(10))["type"] != "websocket.close":
            pass
        await self._application.send_input({"type": "websocket.disconnect", "code": 1000})
        await self._application.wait(5)
        return int(message["code"])


@sync_to_async
def session_of(seconds: int) -> str:
    store = SessionStore()
    store["x"] = 1
    store.set_expiry(seconds)
    store.create()
    return str(store.session_key)


@pytest.mark.django_db(transaction=True, databases=["default", "metrics"])
async def test_an_open_page_ends_with_its_session_though_nobody_touches_it(everybody: dict[str, Any]) -> None:
    page = Page(everybody["viewer"], await session_of(2))
    await page.open()
    assert await page.close_code() == 4401


@pytest.mark.django_db(transaction=True, databases=["default", "metrics"])
async def test_a_page_whose_session_is_gone_is_told_when_it_asks(everybody: dict[str, Any]) -> None:
    cookie = await session_of(1000)
    page = Page(everybody["viewer"], cookie)
    await page.open()
    await SessionStore(cookie).adelete()
    await page.say()
    assert await page.close_code() == 4401
