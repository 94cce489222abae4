"""How large a request may be. Django reads a body whole before it looks who asks: here a large one is refused unread."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any

from django.conf import settings
from django.utils.translation import gettext as _

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]
Application = Any  # an ASGI application; Django's own types differ from Channels'

#: what surrounds the fields in a multipart form
_AROUND = 512 * 1024


class _TooLarge(Exception):
    """More arrived than may."""


def most_bytes() -> int:
    """The largest body that is taken."""
    return int(settings.DATA_UPLOAD_MAX_MEMORY_SIZE) + _AROUND


class BodyLimit:
    """ASGI: answers 413 to a body that says it is, or turns out to be, larger than :func:`most_bytes`; then hangs up."""

    def __init__(self, application: Application) -> None:
        self._application = application

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if _declared(scope) > most_bytes():
            await _refuse(scope, send)
            return
        try:
            await self._application(scope, _counted(receive), send)
        except _TooLarge:
            await _refuse(scope, send)


def _declared(scope: Scope) -> int:
    text = next((value for name, value in scope["headers"] if name == b"content-length"), b"")
    return int(text) if text.isdigit() else 0


def _counted(receive: Receive) -> Receive:
    total = 0

    async def counted() -> dict[str, Any]:
        nonlocal total
        message = await receive()
        total += len(message.get("body", b""))
        if total > most_bytes():
            raise _TooLarge
        return message

    return counted


async def _refuse(scope: Scope, send: Send) -> None:
    detail = _("A request is at most %(most)d bytes.") % {"most": most_bytes()}
    kind, body = "text/plain; charset=utf-8", detail
    if scope["path"].startswith("/api/"):
        kind = "application/problem+json"
        problem = {"type": "/api/v1/docs#too-large", "title": "Request too large", "status": 413, "detail": detail}
        body = json.dumps(problem)
    # Without hanging up, all the rest would be read and thrown away.
    headers = [(b"content-type", kind.encode()), (b"connection", b"close"), (b"cache-control", b"no-store")]
    headers.append((b"x-content-type-options", b"nosniff"))
    await send({"type": "http.response.start", "status": 413, "headers": headers})
    await send({"type": "http.response.body", "body": body.encode()})
