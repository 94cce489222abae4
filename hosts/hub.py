"""One subscriber to changes in each web process; it fans out to all of the process's sockets itself.

A socket names the pieces it shows. When a topic changes, each piece that depends on it is rendered once per language and right,
not once per socket (hosts.rendering). Bursts are gathered while a rendering is under way; a slow socket keeps only the newest of
each piece (hosts.sockets).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

import structlog

from hosts import fragments, notify
from hosts.rendering import Job, Renderer
from hosts.sockets import Socket, encoded, run

log = structlog.get_logger(__name__)

MOST_KEYS = 8000
KEEPALIVE_SECONDS = 10.0
#: between the rendering of a page and its first ``watch`` so much time may pass without a change being lost to it
RECENT_SECONDS = 10.0


class Hub:
    """All sockets of this process."""

    def __init__(self) -> None:
        self.sockets: set[Socket] = set()
        self._by_topic: dict[str, dict[str, None]] = {}
        self._watchers: dict[str, set[Socket]] = {}
        self._recent: dict[str, float] = {}
        self._renderer = Renderer(self._jobs)
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
        while True:
            await asyncio.sleep(KEEPALIVE_SECONDS)
            keys = [key for key in self._watchers if fragments.wants_keepalive(key)]
            if keys:
                await asyncio.to_thread(_keep_alive, keys)

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
        self._renderer.want(key for key in new if not recent.isdisjoint(_topics_of(key)))
        stale = (socket.stale_names - socket.caught_up) & recent
        socket.caught_up = socket.stale_names
        if stale:
            socket.push_stale(stale)

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
            self._renderer.want(key for key in self._watchers if not key.startswith("figures:"))
            self._stale({name for socket in self.sockets for name in socket.stale_names})

    def _topics_changed(self, topics: list[str]) -> None:
        self._recently()
        self._recent.update(dict.fromkeys(topics, time.monotonic()))
        for topic in topics:
            self._renderer.want(self._by_topic.get(topic, ()))
            if topic.startswith("user:"):
                self._drop_user(topic[5:])
        if stale := {topic for topic in topics if stale_verb(topic)}:
            self._stale(stale)

    def _stale(self, names: set[str]) -> None:
        for socket in self.sockets:
            wanted = names & socket.stale_names
            if wanted:
                socket.push_stale(wanted)

    def _figures(self, figures: dict[str, Any]) -> None:
        for subject, values in figures.items():
            watchers = self._watchers.get(f"figures:{subject}")
            if watchers:
                member = f"{encoded(subject)}:{encoded(values)}"
                for socket in watchers:
                    socket.push_figures(subject, member)

    def _drop_user(self, user_id: str) -> None:
        """The user's rights changed: every page of theirs connects again and is asked who it is."""
        for socket in [s for s in self.sockets if str(s.user.pk) == user_id]:
            run(socket.close(4403))

    def _jobs(self, keys: list[str]) -> list[Job]:
        """Who shows these now, each piece once per right and language."""
        jobs: dict[tuple[str, str, str], Job] = {}
        for key in keys:
            for socket in self._watchers.get(key, ()):
                job = jobs.setdefault((key, socket.right, socket.language), Job(key, socket.user, socket.language, []))
                job.sockets.append(socket)
        return list(jobs.values())


#: topics that make whole lists stale, so that pages read them again → the verb that lets see such a list
STALE_TOPICS = {
    "plans": "vm.view",
    "vms": "vm.view",
    "vms-states": "vm.view",
    "hosts": "host.view",
    "operations": "operation.view",
    "resources": "host.view",
    "network-leases": "host.view",
    "network-claims": "vm.view",
    "storage-claims": "vm.view",
    "consoles": "vm.view",
    "audit": "audit.view",
    "people": "people.manage",
}


#: the same for pages of one thing: what stands before its number → the verb that lets see it
STALE_KINDS = {"host": "host.view", "pool": "host.view"}


def stale_verb(name: str) -> str:
    """The verb that lets hear that a list, or the page of one thing, is stale; '' for a topic of which nobody is told so."""
    kind, _colon, number = name.partition(":")
    return STALE_TOPICS.get(name, "") or (STALE_KINDS.get(kind, "") if number.isdecimal() else "")


def _topics_of(key: str) -> list[str]:
    fragment, identifier = fragments.split(key)
    return fragment.topics(identifier) if fragment is not None else []


def _keep_alive(keys: list[str]) -> None:
    try:
        fragments.keep_alive(keys)
    except Exception:
        log.exception("watched pieces could not be kept fresh")


hub = Hub()
