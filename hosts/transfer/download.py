"""A volume's bytes on their way to whoever asked: from the gateway, piece by piece. No libvirt here.

Each download is recorded when it begins and when it ends, with how much was sent.
"""

from __future__ import annotations

import asyncio
import http.client
import json
import re
import socket
from collections.abc import AsyncIterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass

from django.conf import settings
from django.http import StreamingHttpResponse
from django.utils.http import content_disposition_header
from django.utils.translation import gettext as _

from hosts import access, audit, fillings
from hosts.audit import Actor
from hosts.models import StorageVolume
from hosts.operations.kind import Refused
from hosts.transfer import tickets
from hosts.work import database_work

VERB = "volume.download"
PIECE = 256 * 1024
#: seconds that the gateway may take for a piece
SECONDS = 60.0
#: at a time for each process; each may have a thread that waits for its host
MOST_AT_ONCE = 16
_threads = ThreadPoolExecutor(MOST_AT_ONCE + 2, thread_name_prefix="download")
_running: set[int] = set()
_RANGE = re.compile(r"bytes=([0-9]{1,18})-([0-9]{0,18})\Z")


def check(volume: StorageVolume) -> None:
    """Raise Refused when it cannot be fetched by what the rows say."""
    if volume.absent_since is not None:
        raise Refused(_("%(name)s is not there any more.") % {"name": volume.name})
    if not volume.pool.active:
        raise Refused(_("The pool %(name)s is off.") % {"name": volume.pool.name})
    if not volume.pool.host.is_connected:
        raise Refused(_("Host %(host)s cannot be reached.") % {"host": volume.pool.host.name})
    if why := fillings.why_not_whole(volume):
        raise Refused(why)


@dataclass(slots=True)
class _Line:
    """The answer of the gateway while it comes in."""

    socket: socket.socket
    reply: http.client.HTTPResponse

    def hang_up(self) -> None:
        """Also under a thread that reads."""
        with suppress(OSError):
            self.socket.shutdown(socket.SHUT_RDWR)


def fetch(
    user: access.AnyUser, volume: StorageVolume, actor: Actor, headers: Mapping[str, str], *, head: bool = False
) -> StreamingHttpResponse:
    """The streamed answer for whoever may have it. Raises Denied or Refused with the reason, which is recorded."""
    try:
        access.require(user, VERB, volume)
        check(volume)
        return _answer(volume, actor, headers, head=head)
    except (access.Denied, Refused) as error:
        audit.record(actor, VERB, f"{volume.pool.name}/{volume.name}", result="refused", reason=str(error))
        raise


def _answer(volume: StorageVolume, actor: Actor, headers: Mapping[str, str], *, head: bool) -> StreamingHttpResponse:
    """The streamed answer; raises Refused with the reason where it cannot be had.

    A range that begins somewhere is answered with 206, so that what broke can go on, while the volume has not changed.
    """
    if len(_running) >= MOST_AT_ONCE:
        raise Refused(_("Too many downloads are under way; try again later."))
    version = _version(volume)
    first, last = _range(headers, version)
    line = _ask(volume, actor, first)
    whole = int(line.reply.headers["Whole-Length"])
    last = whole - 1 if last is None else min(last, whole - 1)
    length = max(0, last + 1 - first)
    response = StreamingHttpResponse()
    response.headers["Content-Type"] = "application/octet-stream"
    response.headers["Content-Disposition"] = str(content_disposition_header(True, volume.name))
    response.headers["Accept-Ranges"] = "bytes"
    response.headers["ETag"] = version
    response.headers["Cache-Control"] = "private, no-store"
    # nginx would otherwise lay a disk image by in a file of its own first.
    response.headers["X-Accel-Buffering"] = "no"
    if line.reply.status == 416:
        response.status_code, response.headers["Content-Range"] = 416, f"bytes */{whole}"
    else:
        response.headers["Content-Length"] = str(length)
        if length != whole:
            response.status_code, response.headers["Content-Range"] = 206, f"bytes {first}-{last}/{whole}"
    if head or line.reply.status == 416:
        line.hang_up()
        return response
    audit.record(actor, VERB, f"{volume.pool.name}/{volume.name}", result="begun", first=first, bytes=length)
    response.streaming_content = _pieces(line, length, f"{volume.pool.name}/{volume.name}", actor)
    return response


def _version(volume: StorageVolume) -> str:
    """As an ETag: it is another when the volume was changed or is another one of that name."""
    moment = volume.modified.timestamp() if volume.modified else 0.0
    return f'"{volume.pk}-{moment:.6f}-{volume.capacity}"'


def _range(headers: Mapping[str, str], version: str) -> tuple[int, int | None]:
    """The first and the last byte that are wanted; all of them when the range is not understood or of another version."""
    found = _RANGE.match(headers.get("range", ""))
    if found is None or headers.get("if-range", version) != version:
        return 0, None
    first, last = int(found[1]), int(found[2]) if found[2] else None
    return (0, None) if last is not None and last < first else (first, last)


def _ask(volume: StorageVolume, actor: Actor, first: int) -> _Line:
    host, _colon, port = settings.CONSOLE_GATEWAY.rpartition(":")
    assert actor.user is not None
    ticket = tickets.for_download(actor.user, volume.pk)
    connection = http.client.HTTPConnection(host.strip("[]"), int(port), timeout=SECONDS)
    try:
        connection.request(
            "GET",
            f"/bytes/volumes/{volume.pk}",
            headers={tickets.DOWNLOAD_HEADER: ticket, "Download-Offset": str(first)},
        )
        line = _Line(connection.sock, connection.getresponse())
    except (OSError, http.client.HTTPException):
        connection.close()
        raise Refused(_("The gateway, which fetches the bytes, cannot be reached.")) from None
    if line.reply.status in (200, 416):
        return line
    try:
        detail = str(json.loads(line.reply.read(4096))["detail"])
    except (OSError, ValueError, KeyError, TypeError):
        detail = _("The gateway did not answer as it should.")
    line.hang_up()
    raise Refused(detail)


async def _pieces(line: _Line, length: int, name: str, actor: Actor) -> AsyncIterator[bytes]:
    """The bytes. Ends early when the host does: whoever counts them, as browsers do, sees that some are missing."""
    loop, left = asyncio.get_running_loop(), length
    _running.add(id(line))
    try:
        while left:
            data = await loop.run_in_executor(_threads, _read, line, min(PIECE, left))
            if not data:
                raise ConnectionError("the host ended before the volume did")
            left -= len(data)
            yield data
    finally:
        _running.discard(id(line))
        line.hang_up()
        _threads.submit(_ended, line, actor, name, length - left, length)


def _read(line: _Line, size: int) -> bytes:
    try:
        return line.reply.read(size)
    except (OSError, http.client.HTTPException):
        return b""


def _ended(line: _Line, actor: Actor, name: str, sent: int, length: int) -> None:
    line.reply.close()
    with database_work():
        result = "done" if sent == length else "failed"
        audit.record(actor, VERB, name, result=result, sent=sent, bytes=length)
