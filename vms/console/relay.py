"""The one-port road: the browser's websocket, handed on to the gateway over loopback.

Nothing is collected on the way: the next message is read when the last one has been taken by the other side.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Any

import structlog
from django.conf import settings
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake

from hosts import notify
from vms.console.closing import NO_GATEWAY, NORMAL

log = structlog.get_logger(__name__)

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]

#: the gateway sends at most this much at once
_LARGEST = 1024 * 1024
MACHINE_HEADER = "X-Console-Machine"
_ABNORMAL = 1011


class ConsoleRelay:
    """ASGI application for ``/ws/console/``. The ticket is the right: the gateway looks at it."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if (await receive())["type"] != "websocket.connect":
            return
        subprotocol = "binary" if "binary" in scope.get("subprotocols", ()) else None
        try:
            gateway = await _dial(scope, subprotocol)
        except (OSError, InvalidHandshake, TimeoutError) as error:
            # Never the address itself: it has the ticket in it.
            log.warning("console gateway not reached", error=type(error).__name__)
            await send({"type": "websocket.accept", "subprotocol": subprotocol})
            await send({"type": "websocket.close", "code": NO_GATEWAY, "reason": "The console gateway is down."})
            return
        await send({"type": "websocket.accept", "subprotocol": subprotocol})
        await _carry(gateway, receive, send)


async def _dial(scope: Scope, subprotocol: str | None) -> ClientConnection:
    query = scope.get("query_string", b"").decode("latin-1")
    uri = f"ws://{settings.CONSOLE_GATEWAY}{settings.CONSOLE_PUBLIC_PATH}?{query}"
    headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
    more = {"X-Forwarded-For": _address(scope, headers)}
    if "origin" in headers:
        more["Origin"] = headers["origin"]
    return await connect(
        uri,
        subprotocols=[subprotocol] if subprotocol else None,  # type: ignore[list-item]
        additional_headers=more,
        user_agent_header=None,
        compression=None,
        proxy=None,
        open_timeout=30,
        close_timeout=3,
        ping_interval=None,
        max_size=_LARGEST,
        max_queue=2,
        write_limit=131072,
    )


def _address(scope: Scope, headers: dict[str, str]) -> str:
    """The browser's address, or the one a trusted proxy names (as hosts.requests does for pages)."""
    peer = str((scope.get("client") or ("",))[0])
    forwarded = headers.get("x-forwarded-for", "")
    if forwarded and peer in settings.TRUSTED_PROXIES:
        return forwarded.rpartition(",")[2].strip()
    return peer


async def _carry(gateway: ClientConnection, receive: Receive, send: Send) -> None:
    """Both ways until one side closes; then close the other with the same words."""
    answer = gateway.response.headers if gateway.response is not None else {}
    machine = str(answer.get(MACHINE_HEADER, ""))
    up = asyncio.create_task(_to_gateway(gateway, receive))
    try:
        await _to_browser(gateway, send, machine)
    except ConnectionClosed:
        await _close_browser(gateway, send, up)
    except Exception:
        # The browser is gone: the server's own exceptions for that differ.
        await gateway.close(NORMAL)
    finally:
        up.cancel()
        await asyncio.gather(up, return_exceptions=True)
        await gateway.close(NORMAL)
        _tell(machine)


async def _to_browser(gateway: ClientConnection, send: Send, machine: str) -> None:
    # The gateway has written its record before its first byte.
    await send({"type": "websocket.send", "bytes": await gateway.recv(decode=False)})
    _tell(machine)
    while True:
        await send({"type": "websocket.send", "bytes": await gateway.recv(decode=False)})


async def _to_gateway(gateway: ClientConnection, receive: Receive) -> None:
    while True:
        message = await receive()
        if message["type"] == "websocket.disconnect":
            await gateway.close(NORMAL)
            return
        data = message.get("bytes")
        with contextlib.suppress(ConnectionClosed):
            await gateway.send(data if data is not None else str(message.get("text", "")))


async def _close_browser(gateway: ClientConnection, send: Send, up: asyncio.Task[None]) -> None:
    if up.done():
        return
    code = gateway.close_code if gateway.close_code not in (None, 1005, 1006) else _ABNORMAL
    with contextlib.suppress(Exception):  # The browser may be gone by now.
        await send({"type": "websocket.close", "code": code, "reason": gateway.close_reason or ""})


def _tell(machine: str) -> None:
    """Without a common channel layer, the gateway's own word does not reach the pages."""
    if machine:
        notify.bus.publish_topics((f"console:{machine}", "consoles"))
