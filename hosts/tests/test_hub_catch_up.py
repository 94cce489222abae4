"""A change between the rendering of a page and its first words on the socket reaches the page all the same."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings

from hosts import fragments, hub
from hosts.fragments import Fragment
from hosts.models import User

TOPIC, KEY = "thing:1", "thing:1"


@pytest.fixture
def fragment() -> Iterator[None]:
    fragments.register(
        Fragment("thing", "ui/_virsh.html", "vm.view", lambda i: [f"thing:{i}"], lambda _i, _u: {"command": "x"})
    )
    yield
    del fragments.registry["thing"]


@pytest.fixture
def wide(fragment: None) -> Iterator[list[str]]:
    """A piece that shows everything, and the order in which pieces were rendered."""
    order: list[str] = []

    def context(name: str) -> Callable[[str, User], fragments.Context]:
        return lambda _identifier, _user: order.append(name) or {"command": name}  # type: ignore[func-returns-value]

    topics: Callable[[str], list[str]] = lambda _i: [TOPIC]  # noqa: E731
    fragments.register(Fragment("all", "ui/_virsh.html", "vm.view", topics, context("all"), late=True))
    fragments.register(Fragment("thing", "ui/_virsh.html", "vm.view", topics, context("thing")))
    yield order
    del fragments.registry["all"]


class Page:
    """A socket that keeps what it was sent."""

    def __init__(self, stale: tuple[str, ...] = ()) -> None:
        self.sent: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        user = User(username="v", role="viewer", is_active=True)
        self.socket = hub.Socket(user, "en", self._take, self._close)
        self.socket.stale_names = frozenset(stale)

    async def _take(self, text: str) -> None:
        self.sent.put_nowait(json.loads(text))

    async def _close(self, code: int) -> None:
        raise AssertionError(code)

    async def next(self) -> dict[str, Any]:
        return await asyncio.wait_for(self.sent.get(), 10)


def changed(one: hub.Hub, *topics: str) -> None:
    one._hear({"type": "changes", "topics": list(topics)})


async def test_what_changed_just_before_it_was_watched_is_pushed(fragment: None) -> None:
    one, page = hub.Hub(), Page()
    changed(one, TOPIC)
    one.watch(page.socket, [KEY])
    message = await page.next()
    assert [key for key, _html in message["html"]] == [KEY]


async def test_what_did_not_change_is_not_rendered_again(fragment: None) -> None:
    one, page = hub.Hub(), Page()
    changed(one, "thing:2")
    one.watch(page.socket, [KEY])
    assert not one._renderer.waiting
    changed(one, TOPIC)
    message = await page.next()
    assert len(message["html"]) == 1


async def test_a_change_that_is_long_past_is_not_pushed_again(fragment: None, monkeypatch: pytest.MonkeyPatch) -> None:
    one, page = hub.Hub(), Page()
    changed(one, TOPIC)
    monkeypatch.setattr(hub, "RECENT_SECONDS", -1.0)
    one.watch(page.socket, [KEY])
    assert not one._renderer.waiting
    assert not one._recent


async def test_a_list_that_went_stale_meanwhile_is_told_so_once() -> None:
    one, page = hub.Hub(), Page(stale=("vms",))
    changed(one, "vms")
    one.watch(page.socket, [])
    assert (await page.next())["stale"] == ["vms"]
    one.watch(page.socket, [])
    assert page.sent.empty()
    assert not page.socket._stale


async def test_the_page_of_one_thing_is_told_of_that_thing_alone() -> None:
    one, page, other = hub.Hub(), Page(stale=("pool:3",)), Page(stale=("pool:4",))
    for looking in (page, other):
        one.add(looking.socket)
    changed(one, "pool:3")
    assert (await page.next())["stale"] == ["pool:3"]
    assert other.sent.empty()
    one._hear({"type": "resync"})
    assert (await other.next())["stale"] == ["pool:4"]


def test_what_pages_wait_for_is_known_to_the_hub() -> None:
    topics: set[str] = set()
    for template in Path(settings.BASE_DIR, "templates").rglob("*.html"):
        for found in re.findall(r'data-stale="([^"]*)"', template.read_text()):
            plain = re.sub(r"{%.*?%}", " ", re.sub(r":{{.*?}}", ":1", found))
            topics |= {topic for topic in plain.split() if "{" not in topic and "}" not in topic and topic != "stale"}
    assert {"pool:1", "plans", "storage-claims"} <= topics
    assert {topic for topic in topics if not hub.stale_verb(topic)} == set()
    assert not any(hub.stale_verb(topic) for topic in ("", "pool", "pool:", "pool:x", "vm:1", "nothing"))


async def test_what_shows_one_object_is_sent_before_what_shows_everything(wide: list[str]) -> None:
    one, page = hub.Hub(), Page()
    one.watch(page.socket, ["all:", KEY])
    changed(one, TOPIC)
    assert [key for key, _html in (await page.next())["html"]] == [KEY]
    assert [key for key, _html in (await page.next())["html"]] == ["all:"]
    assert wide == ["thing", "all"]


async def test_a_change_that_comes_while_much_waits_does_not_wait_for_all_of_it(wide: list[str]) -> None:
    one, page = hub.Hub(), Page()
    one.watch(page.socket, [f"all:{number}" for number in range(40)])
    changed(one, TOPIC)
    await page.next()
    one.watch(page.socket, [*page.socket.keys, KEY])
    changed(one, TOPIC)
    while "thing" not in wide:
        await page.next()
    assert wide.index("thing") < 40
