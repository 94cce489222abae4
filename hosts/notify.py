"""'Look again': one small message to every process, sent after the facts are committed.

``changed("vm:…")`` tells topics, ``figures(…)`` carries live figures. Nothing here is a fact that exists nowhere else, so a lost
message costs nothing but time. In one process the channel layer lives in memory and on the server's own loop; between
processes it is Redis, and processes without a server run a loop of their own for it.

Layers lose messages without a word: Redis when it restarts or is cut off, the one in memory when it is full. Messages of one
process are therefore numbered, and a beat follows when there is nothing to say: who hears a gap looks at everything again.
"""

from __future__ import annotations

import asyncio
import secrets
import threading
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import structlog
from channels.layers import get_channel_layer
from django.conf import settings
from django.db import transaction

log = structlog.get_logger(__name__)

GROUP = "kvmdash.changes"
BEAT_SECONDS = 2.0
#: a layer that hangs must neither be waited for nor fill the memory
SEND_SECONDS = 5.0
MOST_UNSENT = 1000
#: processes whose numbers are remembered, the latest heard of
MOST_SENDERS = 500
#: between two lines in the log that say the same
SAID_SECONDS = 10.0
Listener = Callable[[dict[str, Any]], None]


class _Bus:
    """The one road out of and into this process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._topics: dict[str, None] = {}
        self._listeners: list[Listener] = []
        self._tasks: list[asyncio.Task[None]] = []
        self._name = secrets.token_hex(6)
        self._number = 0
        self._heard: dict[str, int] = {}
        self._said_at = 0.0

    def listen(self, listener: Listener) -> Callable[[], None]:
        """Call ``listener(message)`` on the loop thread for every message; returns what ends it."""
        with self._lock:
            self._listeners.append(listener)
        return lambda: self._listeners.remove(listener) if listener in self._listeners else None

    async def attach(self) -> None:
        """Use the running loop for sending and receiving, from now on."""
        ready = asyncio.Event()
        with self._lock:
            self._loop = asyncio.get_running_loop()
        self._tasks = [
            asyncio.create_task(self._receive(ready), name="notify-receive"),
            asyncio.create_task(self._beat(), name="notify-beat"),
        ]
        self._flush()
        try:
            await asyncio.wait_for(ready.wait(), 10)
        except TimeoutError as error:
            self._say("the channel layer does not answer; going on without it", error)

    async def detach(self) -> None:
        """Stop using the loop."""
        with self._lock:
            self._loop = None
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def start_thread(self) -> None:
        """Run a loop of our own, for a process that has no server."""
        with self._lock:
            if self._loop is not None:
                return
        started = threading.Event()

        def run() -> None:
            async def main() -> None:
                await self.attach()
                started.set()
                await asyncio.Event().wait()

            asyncio.run(main())

        threading.Thread(target=run, name="notify-loop", daemon=True).start()
        started.wait(10)

    def publish_topics(self, topics: tuple[str, ...]) -> None:
        """Send topics; those of one burst travel together."""
        with self._lock:
            loop, first = self._loop, not self._topics
            if loop is not None:
                self._topics.update(dict.fromkeys(topics))
        if loop is None:
            self._without_loop({"type": "changes", "topics": list(topics)})
        elif first:
            self._on_loop(loop, self._flush)

    def publish(self, message: dict[str, Any]) -> None:
        """Send one message as it is."""
        loop = self._loop
        if loop is None:
            self._without_loop(message)
            return
        self._on_loop(loop, partial(self._send, message))

    def _without_loop(self, message: dict[str, Any]) -> None:
        """A short-lived process (a management command): reach the others if there are others."""
        if settings.REDIS_URL:
            self.start_thread()
            if self._loop is not None:
                self._on_loop(self._loop, partial(self._send, message))
                return
        self._dispatch(message)

    def _on_loop(self, loop: asyncio.AbstractEventLoop, work: Callable[[], Any]) -> None:
        try:
            loop.call_soon_threadsafe(work)
        except RuntimeError:
            log.info("message not sent: the loop is closed")

    def _flush(self) -> None:
        with self._lock:
            topics, self._topics = list(self._topics), {}
        if topics:
            self._send({"type": "changes", "topics": topics})

    def _send(self, message: dict[str, Any]) -> None:
        self._number += 1
        message = {**message, "from": self._name, "n": self._number}
        if len(_tasks) >= MOST_UNSENT:
            return  # Whoever hears the next one hears that this one is missing.
        task = asyncio.ensure_future(self._group_send(message))
        _tasks.add(task)
        task.add_done_callback(_tasks.discard)

    async def _group_send(self, message: dict[str, Any]) -> None:
        try:
            await asyncio.wait_for(get_channel_layer().group_send(GROUP, message), SEND_SECONDS)
        except Exception as error:  # Redis may be away: everybody looks again when it is back.
            self._say("messages are not sent", error)

    def _say(self, what: str, error: Exception) -> None:
        if time.monotonic() - self._said_at > SAID_SECONDS:
            self._said_at = time.monotonic()
            log.warning(what, error=repr(error))

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(BEAT_SECONDS)
            self._send({"type": "beat"})

    async def _receive(self, ready: asyncio.Event) -> None:
        pause = 0.2
        while True:
            try:
                layer = get_channel_layer()
                channel = await layer.new_channel()
                await layer.group_add(GROUP, channel)
                ready.set()
                pause = 0.2
                # Whatever happened while we were not listening is not known: everybody looks again.
                self._heard.clear()
                self._dispatch({"type": "resync"})
                while True:
                    self._take(await layer.receive(channel))
            except asyncio.CancelledError:
                raise
            except Exception as error:
                self._say("the channel layer is lost; trying again", error)
                ready.set()
                await asyncio.sleep(pause)
                pause = min(pause * 2, 5.0)

    def _take(self, message: dict[str, Any]) -> None:
        """Hear a message, and whether one before it is missing."""
        sender, number = str(message.get("from", "")), int(message.get("n", 0))
        before = self._heard.pop(sender, None)
        self._heard[sender] = number
        if len(self._heard) > MOST_SENDERS:
            del self._heard[next(iter(self._heard))]
        if before is not None and number != before + 1:
            log.warning("messages were lost; looking at everything again", sender=sender, missing=number - before - 1)
            self._dispatch({"type": "resync"})
        if message["type"] != "beat":
            self._dispatch(message)

    def _dispatch(self, message: dict[str, Any]) -> None:
        for listener in list(self._listeners):
            try:
                listener(message)
            except Exception:
                log.exception("a listener failed", message_type=message.get("type"))


_tasks: set[asyncio.Future[None]] = set()
bus = _Bus()


def changed(*topics: str) -> None:
    """Tell everybody, once this transaction is committed, that these topics changed."""
    transaction.on_commit(partial(bus.publish_topics, topics))


def figures(frame: dict[str, Any]) -> None:
    """Push live figures: subject ('vm:<uuid>', 'host:<id>') → figures."""
    bus.publish({"type": "figures", "figures": frame})


def look_again(host_id: int, uuid: str = "") -> None:
    """Ask whoever mirrors the host to read the guest (or everything) again."""
    transaction.on_commit(partial(bus.publish, {"type": "look", "host": host_id, "uuid": uuid}))
