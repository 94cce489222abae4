"""The push hub: who may watch what, what is rendered for whom, and what hostile pages get."""

from __future__ import annotations

import asyncio
import json

import pytest
from asgiref.testing import ApplicationCommunicator
from channels import layers

from hosts import consumers, notify
from hosts.hub import Hub, Socket
from kvmdash.tests.cluster import VM1

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.mark.parametrize(
    "text",
    ["", "nonsense", "[]", "{}", '{"watch": "vm-row:1"}', '{"watch": [1]}', '{"watch": ["' + "k" * 200 + '"]}',
     '{"watch": [' + '"a",' * 300000 + '"a"]}', "\x00", '{"watch": {"a": 1}}'],
)  # fmt: skip
def test_what_is_not_a_message_of_ours_is_not_taken(text):
    assert consumers._parsed(text) is None


def test_a_message_of_ours_is_taken():
    assert consumers._parsed('{"watch": ["vm-row:x"]}') == {"watch": ["vm-row:x"]}


def test_a_page_opens_while_the_channel_layer_is_away(people, monkeypatch):
    class Away:
        async def new_channel(self, *_: object) -> str:
            raise ConnectionError("nobody answers")

    monkeypatch.setitem(layers.channel_layers.backends, layers.DEFAULT_CHANNEL_LAYER, Away())

    async def work(_hub):
        scope = {"type": "websocket", "user": people["viewer"], "session": None, "query_string": b"", "headers": []}
        page = ApplicationCommunicator(consumers.LiveConsumer.as_asgi(), scope)
        await page.send_input({"type": "websocket.connect"})
        assert (await page.receive_output(5))["type"] == "websocket.accept"
        assert "hello" in json.loads((await page.receive_output(5))["text"])
        await page.send_input({"type": "websocket.disconnect", "code": 1000})
        await page.wait(5)

    with_hub(work)


class Page:
    """A socket that keeps what it was sent."""

    def __init__(self, hub, user, language="en"):
        self.sent = []
        self.closed = []
        self.socket = Socket(user, language, self.send, self.close)
        hub.add(self.socket)

    async def send(self, text):
        self.sent.append(json.loads(text))

    async def close(self, code):
        self.closed.append(code)

    def html(self):
        return {key: html for message in self.sent for key, html in message.get("html", [])}


def with_hub(work):
    """Run ``work(hub)`` on a loop with a hub that hears ``hub._hear``."""

    async def main():
        return await work(Hub())

    return asyncio.run(main())


async def until(condition):
    for _ in range(500):
        if condition():
            return
        await asyncio.sleep(0.01)
    pytest.fail("it was not pushed")


def test_a_viewer_may_watch_guests_and_not_what_is_not_there(people, cluster):
    async def work(hub):
        page = Page(hub, people["viewer"])
        refused = hub.watch(page.socket, [f"vm-row:{VM1}", "no-such-piece:1", "figures:vm:x", "figures:secrets:x"])
        assert refused == ["figures:secrets:x", "no-such-piece:1"]

    with_hub(work)


def test_a_changed_guest_is_pushed_to_those_who_show_it_and_to_nobody_else(people, cluster):
    async def work(hub):
        showing, other = Page(hub, people["viewer"]), Page(hub, people["viewer"])
        hub.watch(showing.socket, [f"vm-row:{VM1}"])
        hub._hear({"type": "changes", "topics": [f"vm:{VM1}"]})
        await until(lambda: showing.html())
        assert "web1" in showing.html()[f"vm-row:{VM1}"]
        assert not other.sent

    with_hub(work)


def test_one_burst_is_one_push_of_the_newest(people, cluster):
    async def work(hub):
        page = Page(hub, people["viewer"])
        hub.watch(page.socket, [f"vm-row:{VM1}"])
        for _ in range(200):
            hub._hear({"type": "changes", "topics": [f"vm:{VM1}"]})
        await until(lambda: page.html())
        assert len(page.sent) <= 3

    with_hub(work)


def test_a_socket_that_stalls_keeps_only_the_newest_and_holds_up_nobody(people, cluster):
    async def work(hub):
        stalled, brisk = Page(hub, people["viewer"]), Page(hub, people["operator"])
        gate = asyncio.Event()

        async def never(text):
            await gate.wait()

        stalled.socket._send = never
        for page in (stalled, brisk):
            hub.watch(page.socket, [f"vm-row:{VM1}"])
        for count in range(1, 6):
            hub._hear({"type": "changes", "topics": [f"vm:{VM1}"]})
            await until(lambda count=count: len(brisk.sent) >= count)
        assert len(stalled.socket._html) <= 1
        gate.set()

    with_hub(work)


def test_a_guest_that_is_gone_is_told_as_gone(people, cluster):
    async def work(hub):
        page = Page(hub, people["viewer"])
        hub.watch(page.socket, ["vm-row:00000000-0000-0000-0000-0000000000ff"])
        hub._hear({"type": "changes", "topics": ["vm:00000000-0000-0000-0000-0000000000ff"]})
        await until(lambda: page.html())
        assert page.html() == {"vm-row:00000000-0000-0000-0000-0000000000ff": None}

    with_hub(work)


def test_a_user_whose_rights_changed_is_asked_again_who_they_are(people, cluster):
    async def work(hub):
        page, other = Page(hub, people["viewer"]), Page(hub, people["operator"])
        hub._hear({"type": "changes", "topics": [f"user:{people['viewer'].pk}"]})
        await until(lambda: page.closed)
        assert page.closed == [4403] and not other.closed

    with_hub(work)


def test_operators_and_viewers_get_the_piece_that_their_rights_allow(people, cluster):
    async def work(hub):
        pages = {role: Page(hub, people[role]) for role in ("operator", "viewer")}
        for page in pages.values():
            hub.watch(page.socket, [f"vm-head:{VM1}"])
        hub._hear({"type": "changes", "topics": [f"vm:{VM1}"]})
        await until(lambda: all(page.html() for page in pages.values()))
        key = f"vm-head:{VM1}"
        assert "/do/shutdown/" in pages["operator"].html()[key]
        assert "/do/shutdown/" not in pages["viewer"].html()[key]

    with_hub(work)


def test_a_change_is_told_only_once_it_is_committed():
    from django.db import transaction

    heard = []
    stop = notify.bus.listen(lambda message: heard.append(message.get("topics")))
    try:
        with transaction.atomic():
            notify.changed("vm:x")
            assert ["vm:x"] not in heard
        for _ in range(200):
            if any("vm:x" in (topics or []) for topics in heard):
                break
            import time

            time.sleep(0.01)
        assert any("vm:x" in (topics or []) for topics in heard)
    finally:
        stop()
