"""One open page's socket: what it shows, and what waits to be sent to it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from typing import Any

from hosts import access
from hosts.models import User

Send = Callable[[str], Awaitable[None]]
Close = Callable[[int], Coroutine[Any, Any, None]]


def encoded(value: Any) -> str:
    """JSON without blanks. What goes to many sockets is encoded once."""
    return json.dumps(value, separators=(",", ":"))


class Socket:
    """One open page: whose it is, what it shows, and what waits to be sent. A slow one keeps only the newest of each."""

    def __init__(self, user: User, language: str, send: Send, close: Close) -> None:
        self.user = user
        self.language = language
        self.right = access.right_class(user)
        self.keys: frozenset[str] = frozenset()
        self.stale_names: frozenset[str] = frozenset()
        self.caught_up: frozenset[str] = frozenset()
        self.close = close
        self._send = send
        self._html: dict[str, str] = {}
        self._figures: dict[str, str] = {}
        self._stale: set[str] = set()
        self._sending = False

    def push_html(self, key: str, pair: str) -> None:
        """Queue a piece, ``[key, html]`` encoded; an older one of the same key that still waits is replaced."""
        self._html[key] = pair
        self._start()

    def push_figures(self, subject: str, member: str) -> None:
        """Queue a subject's figures, ``"subject": {…}`` encoded."""
        self._figures[subject] = member
        self._start()

    def push_stale(self, names: Iterable[str]) -> None:
        """Queue 'read these lists again'."""
        self._stale.update(names)
        self._start()

    def _start(self) -> None:
        if not self._sending:
            self._sending = True
            run(self._drain())

    async def _drain(self) -> None:
        try:
            while self._html or self._figures or self._stale:
                await self._send(self._take())
        except Exception:  # The socket is gone; its consumer takes it out of the hub.
            self._html.clear()
            self._figures.clear()
            self._stale.clear()
        finally:
            self._sending = False

    def _take(self) -> str:
        members: list[str] = []
        if self._html:
            members.append(f'"html":[{",".join(self._html.values())}]')
            self._html.clear()
        if self._figures:
            members.append(f'"figures":{{{",".join(self._figures.values())}}}')
            self._figures.clear()
        if self._stale:
            members.append(f'"stale":{encoded(sorted(self._stale))}')
            self._stale.clear()
        return f"{{{','.join(members)}}}"


_tasks: set[asyncio.Task[Any]] = set()


def run(work: Coroutine[Any, Any, Any]) -> None:
    """Run it on this loop, beside; loops keep no reference to their tasks."""
    task = asyncio.get_running_loop().create_task(work)
    _tasks.add(task)
    task.add_done_callback(_tasks.discard)
