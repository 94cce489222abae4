"""The push socket of a page. It reads and forwards; it decides and writes nothing."""

from __future__ import annotations

import asyncio
import json
from typing import Any
from urllib.parse import parse_qs

from channels.db import database_sync_to_async
from channels.generic.websocket import AsyncWebsocketConsumer
from django.conf import settings

from hosts import access
from hosts.hub import hub, stale_verb
from hosts.models import User
from hosts.sessions import seconds_left
from hosts.sockets import Socket

MOST_BYTES = 1024 * 1024
#: between two looks whether the session of an open page is still there
SESSION_SECONDS = 60.0


class LiveConsumer(AsyncWebsocketConsumer):  # type: ignore[misc]
    """``/ws/live/``: the page says what it shows, and is told when that changes (docs/pages.md has the messages)."""

    #: there is none of that name: the hub brings all messages, and a page opens while the layer (Redis) is away
    channel_layer_alias = "of the hub alone"
    cookie: str | None = None
    keeper: asyncio.Task[None] | None = None

    async def connect(self) -> None:
        user = self.scope.get("user")
        await self.accept()
        if not isinstance(user, User) or not user.is_active:
            await self.close(4401)
            return
        self.cookie = getattr(self.scope.get("session"), "session_key", None)
        if self.cookie is not None:
            self.keeper = asyncio.create_task(self._leave_in_time(self.cookie), name="session-end")
        self.socket = Socket(user, self._language(), self._send_text, self.close)
        hub.add(self.socket)
        await self._send_text(json.dumps({"hello": {"version": settings.VERSION}}))

    def _language(self) -> str:
        """The language of the page: it says so itself, for another tab may have changed the cookie since it was made."""
        named = parse_qs(self.scope.get("query_string", b"").decode("ascii", "replace")).get("language", [""])[0]
        return named if named in dict(settings.LANGUAGES) else settings.LANGUAGE_CODE

    async def _send_text(self, text: str) -> None:
        await self.base_send({"type": "websocket.send", "text": text})

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        message = _parsed(text_data)
        if message is None:
            await self.close(4400)
            return
        user = await _fresh(self.socket.user.pk, self.cookie)
        if user is None:
            await self.close(4401)
            return
        wanted = message["watch"]
        lists = {key[6:] for key in wanted if key.startswith("stale:")}
        self.socket.stale_names = frozenset(
            name for name in lists if (verb := stale_verb(name)) and access.may(user, verb)
        )
        refused = hub.watch(self.socket, [key for key in wanted if not key.startswith("stale:")])
        if refused:
            await self._send_text(json.dumps({"refused": refused}))

    async def _leave_in_time(self, cookie: str) -> None:
        """A page that nobody reloads ends with its session, too."""
        seconds = await _seconds_left(cookie)
        while seconds > 0:
            await asyncio.sleep(min(seconds, SESSION_SECONDS))
            seconds = await _seconds_left(cookie)
        await self.close(4401)

    async def disconnect(self, code: int) -> None:
        if self.keeper is not None:
            self.keeper.cancel()
        if hasattr(self, "socket"):
            hub.remove(self.socket)


def _parsed(text: str | None) -> dict[str, Any] | None:
    """A message of ours, or None for anything else."""
    if not text or len(text) > MOST_BYTES:
        return None
    try:
        message = json.loads(text)
    except ValueError:
        return None
    wanted = message.get("watch") if isinstance(message, dict) else None
    if not isinstance(wanted, list) or not all(isinstance(key, str) and len(key) <= 120 for key in wanted):
        return None
    return {"watch": wanted}


@database_sync_to_async  # type: ignore[untyped-decorator]
def _fresh(pk: int, cookie: str | None) -> User | None:
    """The user as stored now, if still active and logged in."""
    if cookie is not None and not seconds_left(cookie):
        return None
    return User.objects.filter(pk=pk, is_active=True).first()


_seconds_left = database_sync_to_async(seconds_left)
