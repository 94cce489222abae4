"""Pieces of pages rendered for those who show them, on one thread: what one object's change asks for before what is wide."""

from __future__ import annotations

import asyncio
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

#: pieces rendered before the first of them are sent
PART = 8
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
        self._narrow: dict[str, None] = {}
        self._wide: dict[str, None] = {}
        self._running = False
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="render")

    @property
    def waiting(self) -> list[str]:
        """Keys that are not rendered yet."""
        return [*self._narrow, *self._wide]

    def want(self, keys: Iterable[str]) -> None:
        """Render these soon, and push them to whoever shows them then."""
        for key in keys:
            (self._wide if fragments.is_wide(key) else self._narrow)[key] = None
        if (self._narrow or self._wide) and not self._running:
            self._running = True
            run(self._run())

    async def _run(self) -> None:
        try:
            while keys := self._next():
                for job, html in await self._render(self._jobs_of(keys)):
                    _push(job, html)
        finally:
            self._running = False
            self.want(())

    def _next(self) -> list[str]:
        """A few narrow ones; while none waits, one wide one, so that no more than one delays what comes next."""
        waiting, most = (self._narrow, PART) if self._narrow else (self._wide, 1)
        keys = list(waiting)[:most]
        for key in keys:
            del waiting[key]
        return keys

    async def _render(self, jobs: list[Job]) -> list[tuple[Job, Any]]:
        if not jobs:
            return []
        loop = asyncio.get_running_loop()
        return list(zip(jobs, await loop.run_in_executor(self._thread, _render_all, jobs), strict=True))


def _push(job: Job, html: Any) -> None:
    if html is FAILED:
        return
    pair = encoded([job.key, html])
    for socket in job.sockets:
        socket.push_html(job.key, pair)


def _render_all(jobs: list[Job]) -> list[Any]:
    close_old_connections()
    with database_work():
        return [_render_one(job) for job in jobs]


def _render_one(job: Job) -> Any:
    try:
        return fragments.render(job.key, job.user, job.language)
    except Exception:
        log.exception("a fragment could not be rendered", key=job.key)
        return FAILED
