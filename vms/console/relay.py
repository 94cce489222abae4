"""The one-port road: the browser's websocket, handed on to the gateway over loopback.

Nothing is collected on the way: the next bytes are read when the last have been taken by the other side.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import Awaitable, Callable
from typing import Any

import structlog
from django.conf import settings
from django.http import parse_cookie

from hosts import notify
from vms.console.closing import NO_GATEWAY, NORMAL
from vms.console.upstream import NotUpgraded, Upstream

log = structlog.get_logger(__name__)

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]

MACHINE_HEADER = "x-console-machine"
#: what stands in for codes that must not be sent
_ABNORMAL = 1011
_OPEN_SECONDS = 30
_UNPRINTABLE = re.compile(rb"[^!-~]")


class ConsoleRelay:
    """ASGI application for ``/ws/console/``. The ticket is the right: the gateway looks at it."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if (await receive())["type"] != "websocket.connect":
            return
        subprotocol = "binary" if "binary" in scope.get("subprotocols", ()) else None
        try:
            gateway = await asyncio.wait_for(_dial(scope), _OPEN_SECONDS)
        except (OSError, NotUpgraded) as error:
            # Never the address itself: it has the ticket in it.
            log.warning("console gateway not reached", error=repr(error))
            await send({"type": "websocket.accept", "subprotocol": subprotocol})
            await send({"type": "websocket.close", "code": NO_GATEWAY, "reason": "The console gateway is down."})
            return
        await send({"type": "websocket.accept", "subprotocol": subprotocol})
        await _carry(gateway, receive, send)


async def _dial(scope: Scope) -> Upstream:
    host, _colon, port = settings.CONSOLE_GATEWAY.rpartition(":")
    query = _UNPRINTABLE.sub(b"", scope.get("query_string", b"")).decode("ascii")
    headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
    more = {"X-Forwarded-For": _address(scope, headers), "Sec-WebSocket-Protocol": "binary"}
    if "origin" in headers:
        more["Origin"] = headers["origin"]
    if "cookie" in headers:
        more["Cookie"] = _session_only(headers["cookie"])
    return await Upstream.open(host.strip("[]"), int(port), f"{settings.CONSOLE_PUBLIC_PATH}?{query}", more)


def _session_only(cookies: str) -> str:
    """The gateway looks at one cookie; the others are none of its business."""
    name = settings.SESSION_COOKIE_NAME
    return f"{name}={parse_cookie(cookies).get(name, '')}"


def _address(scope: Scope, headers: dict[str, str]) -> str:
    """The browser's address, or the one a trusted proxy names (as hosts.requests does for pages)."""
    peer = str((scope.get("client") or ("",))[0])
    forwarded = headers.get("x-forwarded-for", "")
    if forwarded and peer in settings.TRUSTED_PROXIES:
        return forwarded.rpartition(",")[2].strip()
    return peer


async def _carry(gateway: Upstream, receive: Receive, send: Send) -> None:
    """Both ways until one side closes; then close the other with the same words."""
    machine = gateway.headers.get(MACHINE_HEADER, "")
    up = asyncio.create_task(_to_gateway(gateway, receive))
    try:
        await _to_browser(gateway, send, machine)
        if not up.done():
            await send({"type": "websocket.close", "code": _code(gateway.code), "reason": gateway.reason})
    except Exception as error:
        # The browser is gone; servers differ in what they raise then.
        log.debug("browser gone", error=repr(error))
    finally:
        up.cancel()
        with contextlib.suppress(asyncio.CancelledError, Exception):
            await up
        await gateway.close(NORMAL)
        _tell(machine)


async def _to_browser(gateway: Upstream, send: Send, machine: str) -> None:
    """Returns when the gateway closed."""
    data = await gateway.receive()
    # The gateway writes its record before its first byte.
    _tell(machine)
    while data is not None:
        await send({"type": "websocket.send", "bytes": data})
        data = await gateway.receive()


async def _to_gateway(gateway: Upstream, receive: Receive) -> None:
    while True:
        message = await receive()
        if message["type"] == "websocket.disconnect":
            await gateway.close(NORMAL)
            return
        # Text is no RFB; as bytes it ends in the gateway's hands like any other nonsense.
        data = message.get("bytes") or (message.get("text") or "").encode()
        await gateway.send(data)


def _code(code: int) -> int:
    return _ABNORMAL if code in (1005, 1006) else code


def _tell(machine: str) -> None:
    """Without a common channel layer, the gateway's own word does not reach the pages."""
    if machine:
        notify.bus.publish_topics((f"console:{machine}", "consoles"))
