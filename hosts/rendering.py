"""Pieces of pages rendered for those who show them, on one thread: what a page is about before what stands around it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import structlog
from django.db import close_old_connections

from hosts import fragments
from hosts.models import User
from hosts.sockets import Socket, encoded, run
from hosts.work import database_work

log = structlog.get_logger(__name__)

#: what is rendered is sent after so much time, though more waits
SLICE_SECONDS = 0.004
FAILED = object()


class Job(NamedTuple):
    """One piece in one language, for sockets of one right."""

    key: str
    user: User
    language: str
    sockets: list[Socket]


class Renderer:
    """Keys that wait to be rendered. Of a burst each is rendered once."""

    def __init__(self, jobs_of: Callable[[list[str]], list[Job]]) -> None:
        self._jobs_of = jobs_of
        self._first: dict[str, None] = {}
        self._late: dict[str, None] = {}
        self._running = False
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="render")

    @property
    def waiting(self) -> list[str]:
        """Keys that are not rendered yet."""
        return [*self._first, *self._late]

    def want(self, keys: Iterable[str]) -> None:
        """Render these soon, and push them to whoever shows them then."""
        for key in keys:
            (self._late if fragments.is_late(key) else self._first)[key] = None
        if (self._first or self._late) and not self._running:
            self._running = True
            run(self._run())

    async def _run(self) -> None:
        try:
            while keys := self._next():
                await self._render(self._jobs_of(keys))
        finally:
            self._running = False
            self.want(())

    def _next(self) -> list[str]:
        """All that come first; while none does, one of the others, so that no more than one delays what comes next."""
        if self._first:
            keys, self._first = list(self._first), {}
            return keys
        keys = list(self._late)[:1]
        for key in keys:
            del self._late[key]
        return keys

    async def _render(self, jobs: list[Job]) -> None:
        loop = asyncio.get_running_loop()
        while jobs:
            done = await loop.run_in_executor(self._thread, _render_some, jobs)
            for job, html in zip(jobs, done, strict=False):
                _push(job, html)
            jobs = jobs[len(done) :]


def _push(job: Job, html: Any) -> None:
    if html is FAILED:
        return
    pair = encoded([job.key, html])
    for socket in job.sockets:
        socket.push_html(job.key, pair)


def _render_some(jobs: list[Job]) -> list[Any]:
    """The first of them, as many as a slice of time allows."""
    close_old_connections()
    until = time.monotonic() + SLICE_SECONDS
    with database_work():
        done = [_render_one(jobs[0])]
        while len(done) < len(jobs) and time.monotonic() < until:
            done.append(_render_one(jobs[len(done)]))
    return done


def _render_one(job: Job) -> Any:
    try:
        return fragments.render(job.key, job.user, job.language)
    except Exception:
        log.exception("a fragment could not be rendered", key=job.key)
        return FAILED
