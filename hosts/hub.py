"""One subscriber to changes in each web process; it fans out to all of the process's sockets itself.

A socket names the pieces it shows. When a topic changes, each piece that depends on it is rendered once per language and right,
not once per socket. Bursts are gathered while a rendering is under way; a slow socket keeps only the newest of each piece.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import structlog
from django.db import close_old_connections

from hosts import access, fragments, notify
from hosts.models import User
from hosts.work import database_work

log = structlog.get_logger(__name__)

MOST_KEYS = 8000
KEEPALIVE_SECONDS = 10.0
#: between the rendering of a page and its first ``watch`` so much time may pass without a change being lost to it
RECENT_SECONDS = 10.0
Send = Callable[[str], Awaitable[None]]


class Socket:
    """One open page: whose it is, what it shows, and what waits to be sent."""

    def __init__(self, user: User, language: str, send: Send, close: Callable[[int], Awaitable[None]]) -> None:
        self.user = user
        self.language = language
        self.right = access.right_class(user)
        self.keys: frozenset[str] = frozenset()
        self.stale_names: frozenset[str] = frozenset()
        self.caught_up: frozenset[str] = frozenset()
        self.close = close
        self._send = send
        self._html: dict[str, str | None] = {}
        self._figures: dict[str, Any] = {}
        self._stale: set[str] = set()
        self._sending = False

    def push_html(self, key: str, html: str | None) -> None:
        """Queue a piece; an older one of the same key that still waits is replaced."""
        self._html[key] = html
        self._start()

    def push_figures(self, figures: dict[str, Any]) -> None:
        """Queue figures."""
        self._figures.update(figures)
        self._start()

    def push_stale(self, names: set[str]) -> None:
        """Queue 'read this list again'."""
        self._stale |= names
        self._start()

    def _start(self) -> None:
        if not self._sending:
            self._sending = True
            task = asyncio.ensure_future(self._drain())
            _tasks.add(task)
            task.add_done_callback(_tasks.discard)

    async def _drain(self) -> None:
        try:
            while self._html or self._figures or self._stale:
                await self._send(self._take())
        except Exception:  # The socket is gone; its consumer takes it out of the hub.
            self._html.clear()
        finally:
            self._sending = False

    def _take(self) -> str:
        message: dict[str, Any] = {}
        if self._html:
            message["html"], self._html = list(self._html.items()), {}
        if self._figures:
            message["figures"], self._figures = self._figures, {}
        if self._stale:
            message["stale"], self._stale = sorted(self._stale), set()
        return json.dumps(message, separators=(",", ":"))


_tasks: set[asyncio.Future[None]] = set()


class Hub:
    """All sockets of this process."""

    def __init__(self) -> None:
        self.sockets: set[Socket] = set()
        self._by_topic: dict[str, dict[str, None]] = {}
        self._watchers: dict[str, set[Socket]] = {}
        self._dirty: dict[str, None] = {}
        self._recent: dict[str, float] = {}
        self._rendering = False
        self._pool = ThreadPoolExecutor(2, thread_name_prefix="render")
        self._unlisten: Callable[[], None] = lambda: None
        self._keeper: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Listen to changes; called on the server's loop."""
        self._unlisten = notify.bus.listen(self._hear)
        self._keeper = asyncio.get_running_loop().create_task(self._keep_alive(), name="hub-keepalive")

    def stop(self) -> None:
        """Stop listening."""
        self._unlisten()
        if self._keeper is not None:
            self._keeper.cancel()

    async def _keep_alive(self) -> None:
        """Pieces that cost something are only kept fresh while somebody watches them."""
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(KEEPALIVE_SECONDS)
            keys = [key for key in self._watchers if fragments.wants_keepalive(key)]
            if keys:
                await loop.run_in_executor(self._pool, _keep_alive, keys)

    def add(self, socket: Socket) -> None:
        """A page was opened."""
        self.sockets.add(socket)

    def remove(self, socket: Socket) -> None:
        """A page was closed."""
        self.sockets.discard(socket)
        self._forget_keys(socket, socket.keys)

    def watch(self, socket: Socket, wanted: list[str]) -> list[str]:
        """Make ``wanted`` what the socket shows; returns the keys it may not."""
        allowed = {key for key in wanted[:MOST_KEYS] if fragments.may_watch(socket.user, key)}
        keys = frozenset(key for key in allowed if not key.startswith("stale:"))
        self._forget_keys(socket, socket.keys - keys)
        for key in keys - socket.keys:
            self._watchers.setdefault(key, set()).add(socket)
            for topic in _topics_of(key):
                self._by_topic.setdefault(topic, {})[key] = None
        self._catch_up(socket, keys - socket.keys)
        socket.keys = keys
        return sorted(set(wanted) - allowed)

    def _catch_up(self, socket: Socket, new: frozenset[str]) -> None:
        """What changed after the page was rendered and before it told what it shows would be lost to it."""
        recent = self._recently()
        self._dirty.update(dict.fromkeys(key for key in new if not recent.isdisjoint(_topics_of(key))))
        stale = (socket.stale_names - socket.caught_up) & recent
        socket.caught_up = socket.stale_names
        if stale:
            socket.push_stale(set(stale))
        self._render_soon()

    def _recently(self) -> set[str]:
        """Topics that changed in the last seconds; older ones are forgotten."""
        since = time.monotonic() - RECENT_SECONDS
        self._recent = {topic: at for topic, at in self._recent.items() if at >= since}
        return set(self._recent)

    def _forget_keys(self, socket: Socket, keys: frozenset[str]) -> None:
        for key in keys:
            watchers = self._watchers.get(key, set())
            watchers.discard(socket)
            if not watchers:
                self._watchers.pop(key, None)
                for topic in _topics_of(key):
                    self._by_topic.get(topic, {}).pop(key, None)
                    if not self._by_topic.get(topic):
                        self._by_topic.pop(topic, None)

    def _hear(self, message: dict[str, Any]) -> None:
        if message["type"] == "changes":
            self._topics_changed(message["topics"])
        elif message["type"] == "figures":
            self._figures(message["figures"])
        elif message["type"] == "resync":
            self._dirty.update(dict.fromkeys(key for key in self._watchers if not key.startswith("figures:")))
            self._stale(set(STALE_TOPICS))
            self._render_soon()

    def _topics_changed(self, topics: list[str]) -> None:
        self._recently()
        self._recent.update(dict.fromkeys(topics, time.monotonic()))
        for topic in topics:
            self._dirty.update(self._by_topic.get(topic, {}))
            if topic.startswith("user:"):
                self._drop_user(topic[5:])
        stale = {name for topic in topics for name in [topic] if name in STALE_TOPICS}
        if stale:
            self._stale(stale)
        self._render_soon()

    def _stale(self, names: set[str]) -> None:
        for socket in self.sockets:
            wanted = names & socket.stale_names
            if wanted:
                socket.push_stale(wanted)

    def _figures(self, figures: dict[str, Any]) -> None:
        for subject, values in figures.items():
            for socket in self._watchers.get(f"figures:{subject}", ()):
                socket.push_figures({subject: values})

    def _drop_user(self, user_id: str) -> None:
        """The user's rights changed: every page of theirs connects again and is asked who it is."""
        for socket in [s for s in self.sockets if str(s.user.pk) == user_id]:
            task = asyncio.ensure_future(socket.close(4403))
            _tasks.add(task)
            task.add_done_callback(_tasks.discard)

    def _render_soon(self) -> None:
        if self._dirty and not self._rendering:
            self._rendering = True
            task = asyncio.ensure_future(self._render())
            _tasks.add(task)
            task.add_done_callback(_tasks.discard)

    async def _render(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            while self._dirty:
                keys, self._dirty = list(self._dirty), {}
                jobs = self._jobs(keys)
                if jobs:
                    for (key, sockets), html in zip(
                        [(job[0], job[3]) for job in jobs],
                        await loop.run_in_executor(self._pool, _render_all, [job[:3] for job in jobs]),
                        strict=True,
                    ):
                        if html is FAILED:
                            continue
                        for socket in sockets:
                            socket.push_html(key, html)
        finally:
            self._rendering = False
            if self._dirty:
                self._render_soon()

    def _jobs(self, keys: list[str]) -> list[tuple[str, User, str, list[Socket]]]:
        jobs: dict[tuple[str, str, str], tuple[str, User, str, list[Socket]]] = {}
        for key in keys:
            for socket in self._watchers.get(key, ()):
                job = jobs.setdefault((key, socket.right, socket.language), (key, socket.user, socket.language, []))
                job[3].append(socket)
        return list(jobs.values())


#: topics that make whole lists stale, so that pages read them again → the verb that lets see such a list
STALE_TOPICS = {
    "vms": "vm.view",
    "hosts": "host.view",
    "operations": "operation.view",
    "resources": "host.view",
    "consoles": "vm.view",
    "audit": "audit.view",
    "people": "people.manage",
}
FAILED = object()


def _topics_of(key: str) -> list[str]:
    fragment, identifier = fragments.split(key)
    return fragment.topics(identifier) if fragment is not None else []


def _render_all(jobs: list[tuple[str, User, str]]) -> list[Any]:
    close_old_connections()
    with database_work():
        return [_render_one(*job) for job in jobs]


def _keep_alive(keys: list[str]) -> None:
    try:
        fragments.keep_alive(keys)
    except Exception:
        log.exception("watched pieces could not be kept fresh")


def _render_one(key: str, user: User, language: str) -> Any:
    try:
        return fragments.render(key, user, language)
    except Exception:
        log.exception("a fragment could not be rendered", key=key)
        return FAILED


hub = Hub()
