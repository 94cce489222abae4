"""The one-port road of bytes: requests below ``/bytes/uploads/`` are handed on to the gateway as they come.

Nothing is collected: the next bytes are read when the last have been taken. The ticket is the right: the gateway looks at it.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Any

import structlog
from django.conf import settings

from hosts import notify

log = structlog.get_logger(__name__)

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]

PREFIX = "/bytes/uploads/"
#: what of a request is handed on
HEADERS = (b"content-length", b"upload-ticket", b"upload-offset", b"upload-checksum")
#: bytes that wait on the way to the gateway
WAITING = 1 << 20
LONGEST_ANSWER = 64 * 1024
ANSWER_SECONDS = 600.0
OPEN_SECONDS = 10.0


class BytesRelay:
    """ASGI: takes what is its own and leaves the rest to ``application``."""

    def __init__(self, application: Any) -> None:
        self._application = application

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if not scope["path"].startswith(PREFIX):
            await self._application(scope, receive, send)
        elif scope["method"] != "PATCH":
            await _answer(send, 405, {"allow": "PATCH"}, b"")
        else:
            await _relay(scope, receive, send)


async def _relay(scope: Scope, receive: Receive, send: Send) -> None:
    host, _colon, port = settings.CONSOLE_GATEWAY.rpartition(":")
    try:
        opening = asyncio.open_connection(host.strip("[]"), int(port), limit=LONGEST_ANSWER)
        reader, writer = await asyncio.wait_for(opening, OPEN_SECONDS)
    except (OSError, TimeoutError) as error:
        log.warning("the gateway was not reached", error=repr(error))
        await _answer(send, 503, {"retry-after": "2"}, b"")
        return
    try:
        writer.transport.set_write_buffer_limits(WAITING)
        writer.write(_head(scope))
        if await _carry(receive, writer):
            status, headers, body = await asyncio.wait_for(_read_answer(reader), ANSWER_SECONDS)
            _tell(headers.pop("upload-operation", ""))
            await _answer(send, status, headers, body)
    except (OSError, TimeoutError, asyncio.IncompleteReadError, ValueError) as error:
        log.warning("the gateway did not answer", error=repr(error))
        await _answer(send, 503, {"retry-after": "2"}, b"")
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


async def _carry(receive: Receive, writer: asyncio.StreamWriter) -> bool:
    """The body on its way; False when the sender is gone."""
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return False
        if body := message.get("body", b""):
            try:
                writer.write(body)
                await writer.drain()
            except ConnectionError:
                return True  # It has answered and takes no more.
        if not message.get("more_body"):
            return True


def _head(scope: Scope) -> bytes:
    """The request's head for the gateway. uvicorn has taken headers with line ends in them apart."""
    path = scope["raw_path"].partition(b"?")[0][:200] if scope.get("raw_path") else scope["path"].encode()[:200]
    lines = [b"PATCH " + path + b" HTTP/1.1", b"Host: gateway"]
    lines += [name + b": " + value for name, value in scope["headers"] if name in HEADERS]
    return b"\r\n".join(lines) + b"\r\n\r\n"


async def _read_answer(reader: asyncio.StreamReader) -> tuple[int, dict[str, str], bytes]:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    status = int(head[0].split(" ")[1])
    pairs = (line.partition(":") for line in head[1:] if line)
    headers = {name.lower(): value.strip() for name, _colon, value in pairs}
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    kept = ("upload-operation", "upload-offset", "retry-after", "content-type", "allow")
    return status, {name: headers[name] for name in kept if name in headers}, body


def _tell(operation: str) -> None:
    """Without a common channel layer, the gateway's own word does not reach the operation that waits for the bytes."""
    if operation:
        notify.bus.publish_topics((f"operation-signal:{operation}",))


async def _answer(send: Send, status: int, headers: dict[str, str], body: bytes) -> None:
    always = {"cache-control": "no-store", "x-content-type-options": "nosniff"}
    if status != 204:
        always["content-length"] = str(len(body))
    pairs = [(name.encode(), value.encode("latin-1")) for name, value in (always | headers).items()]
    await send({"type": "http.response.start", "status": status, "headers": pairs})
    await send({"type": "http.response.body", "body": body})
