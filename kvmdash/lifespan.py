"""Starting and stopping what lives as long as the server."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import structlog

from hosts import notify
from hosts.hub import hub
from kvmdash import memory

log = structlog.get_logger(__name__)

Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]


class Lifespan:
    """The ASGI lifespan protocol. ``embedded`` runs inventory and operations in this process too."""

    def __init__(self, *, embedded: bool) -> None:
        self.embedded = embedded
        self._roles: list[Any] = []

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            if message["type"] == "lifespan.startup":
                await self._start()
                await send({"type": "lifespan.startup.complete"})
            elif message["type"] == "lifespan.shutdown":
                await self._stop()
                await send({"type": "lifespan.shutdown.complete"})
                return

    async def _start(self) -> None:
        await notify.bus.attach()
        hub.start()
        if self.embedded:
            # Imported here: a process that only serves never loads libvirt.
            from kvmdash.roles import start_embedded

            self._roles = await asyncio.to_thread(start_embedded)
        memory.look_for_garbage_when_it_grows()

    async def _stop(self) -> None:
        for role in self._roles:
            await asyncio.to_thread(role.stop)
        hub.stop()
        await notify.bus.detach()
