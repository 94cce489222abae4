"""What the gateway answers to those who send or fetch bytes. Plain HTTP/1.1, one request for each connection.

``PATCH /bytes/uploads/<id>`` appends: Upload-Ticket, Upload-Offset and Content-Length are needed; with ``Upload-Checksum:
sha256 <base64>`` the piece counts whole or not at all. ``GET /bytes/volumes/<id>`` sends a volume, or a range of it.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from collections import deque
from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from http import HTTPStatus
from typing import Any
from uuid import UUID

import structlog
from django.utils.translation import gettext as _

from hosts import access, fillings
from hosts.hypervisor import errors
from hosts.hypervisor.volume_stream import PIECE, VolumeReader, length_of
from hosts.models import Filling, StorageVolume, User
from hosts.transfer import tickets
from hosts.transfer.desk import Busy, Desk, open_connection
from hosts.transfer.writer import FillingWriter

log = structlog.get_logger(__name__)

PREFIX = "/bytes/"
UPLOADS, VOLUMES = f"{PREFIX}uploads/", f"{PREFIX}volumes/"
#: as tus.io has it
CHECKSUM_MISMATCH = 460
#: what is read and thrown away so that a refusal is heard; beyond that the line is cut
MOST_THROWN_AWAY = 64 << 20
#: parts of a piece that are written at a time, and how many times so many may wait for it
AT_A_TIME, MOST_WAITING = 4, 2
#: seconds that a sender may pause within a piece
SILENCE_SECONDS = 30.0
VERB, DOWNLOAD_VERB = "volume.upload", "volume.download"


class Answer(Exception):
    """How the request ends."""

    def __init__(self, status: int, detail: str = "", **headers: str) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}


class Body:
    """The request's body, and how much of it is still to come."""

    def __init__(self, source: Any, length: int) -> None:
        self._source = source
        self.left = length

    def read(self) -> bytes:
        """The next piece; empty when the sender is gone."""
        size = min(PIECE, self.left)
        try:
            data: bytes = self._source.read(size)
        except OSError:
            data = b""
        self.left -= len(data)
        return data

    def throw_away(self) -> None:
        """Read what is left, so that the sender hears the answer."""
        if self.left > MOST_THROWN_AWAY:
            return
        while self.left and self.read():
            pass


def patch(handler: Any, desk: Desk, rows: Any) -> None:
    """Append to an upload."""
    handler.connection.settimeout(SILENCE_SECONDS)
    handler.close_connection = True
    body = Body(handler.rfile, 0)
    try:
        body.left = _number(handler.headers.get("Content-Length"), "Content-Length", HTTPStatus.LENGTH_REQUIRED)
        _patch(handler, desk, rows, body)
    except Answer as answer:
        body.throw_away()
        _send(handler, answer)


def _patch(handler: Any, desk: Desk, rows: Any, body: Body) -> None:
    pk = _key(handler.path)
    at = _number(handler.headers.get("Upload-Offset"), "Upload-Offset", HTTPStatus.BAD_REQUEST)
    checksum = _checksum(handler.headers.get("Upload-Checksum"))
    operation = rows(_require, handler.headers.get(tickets.UPLOAD_HEADER, ""), pk)
    try:
        with desk.writing(pk) as writer:
            answer = _take(writer, body, at, checksum)
    except Busy:
        raise Answer(423, _("Somebody else is sending to this upload.")) from None
    except fillings.Lost:
        raise Answer(410, _("This upload has ended.")) from None
    except errors.HypervisorError as error:
        full = isinstance(error, errors.Failed) and "full" in str(error)
        raise Answer(507 if full else 503, str(error), Retry_After="2") from error
    answer.headers["Upload-Operation"] = operation
    raise answer


def _take(writer: FillingWriter, body: Body, at: int, checksum: bytes | None) -> Answer:
    if at != writer.offset:
        return Answer(409, _("The next byte belongs elsewhere."), Upload_Offset=str(writer.offset))
    if at + body.left > writer.place.size:
        return Answer(413, _("That is more than was announced."), Upload_Offset=str(writer.offset))
    before = writer.passed.copy() if writer.passed is not None and checksum is not None else None
    digest = _pour_in(writer, body, checksum is not None)
    if checksum is not None and (body.left or digest != checksum):
        writer.rewind(at, before)
        return Answer(CHECKSUM_MISMATCH, _("The piece did not arrive as it was sent."), Upload_Offset=str(at))
    if writer.is_whole:
        writer.complete()
    else:
        writer.note()
    return Answer(204, Upload_Offset=str(writer.offset))


def _pour_in(writer: FillingWriter, body: Body, hashed: bool) -> bytes:
    """The body into the volume; its SHA-256. Reading with computing, and writing, go side by side, a few parts apart."""
    digest, waiting, failed = hashlib.sha256(), deque[Future[None]](), list[BaseException]()
    with ThreadPoolExecutor(1, thread_name_prefix="upload-write") as beside:
        parts: list[bytes] = []
        while body.left and not failed and (data := body.read()):
            parts.append(data)
            if len(parts) == AT_A_TIME:
                waiting.append(beside.submit(_write, writer, parts, failed))
                parts = []
            if hashed:
                digest.update(data)
            if len(waiting) > MOST_WAITING:
                waiting.popleft().result()
        waiting.append(beside.submit(_write, writer, parts, failed))
        for one in waiting:
            one.result()
    return digest.digest()


def _write(writer: FillingWriter, parts: list[bytes], failed: list[BaseException]) -> None:
    """After one that failed, none is written."""
    if failed:
        return
    try:
        for data in parts:
            writer.write(data)
    except BaseException as error:
        failed.append(error)
        raise


def _require(text: str, pk: UUID) -> str:
    """The ticket is for this upload, and its owner may still send to it; its operation. Raises Answer."""
    try:
        ticket = tickets.read_upload(text)
    except tickets.BadTicket:
        raise Answer(401, _("The ticket is wrong or too old.")) from None
    filling = Filling.objects.select_related("operation").filter(pk=pk).first()
    user = User.objects.filter(pk=ticket.user).first()
    if ticket.what != str(pk) or user is None or not access.may(user, VERB):
        raise Answer(403, _("You do not have the right to do this."))
    if filling is None or not filling.operation.is_active:
        raise Answer(410, _("This upload has ended."))
    if filling.state == Filling.State.BEGINNING:
        raise Answer(503, _("The volume is still being made."), Retry_After="1")
    return str(filling.operation_id)


def _key(path: str) -> UUID:
    try:
        return UUID(path.partition("?")[0].removeprefix(UPLOADS))
    except ValueError:
        raise Answer(404, _("There is no such upload.")) from None


def _number(text: str | None, name: str, status: int) -> int:
    if text is None or not text.isascii() or not text.isdigit() or len(text) > 18:
        raise Answer(status, _("%(name)s is needed: a number of bytes.") % {"name": name})
    return int(text)


def _checksum(text: str | None) -> bytes | None:
    if text is None:
        return None
    algorithm, _space, value = text.partition(" ")
    try:
        digest = base64.b64decode(value, validate=True)
    except binascii.Error:
        digest = b""
    if algorithm != "sha256" or len(digest) != 32:
        raise Answer(400, _("Upload-Checksum takes the form “sha256 <base64>”."))
    return digest


def get(handler: Any, rows: Any) -> None:
    """Send a volume, from the offset that ``Range: bytes=N-`` names."""
    handler.close_connection = True
    try:
        row = rows(_volume, handler.headers.get(tickets.DOWNLOAD_HEADER, ""), handler.path)
        start = _number(handler.headers.get("Download-Offset", "0"), "Download-Offset", HTTPStatus.BAD_REQUEST)
        _serve(handler, row, start)
    except Answer as answer:
        _send(handler, answer)


def _volume(text: str, path: str) -> StorageVolume:
    """The volume that the ticket is for, while its owner may fetch it. Raises Answer."""
    key = path.partition("?")[0].removeprefix(VOLUMES)
    try:
        ticket = tickets.read_download(text)
    except tickets.BadTicket:
        raise Answer(401, _("The ticket is wrong or too old.")) from None
    user = User.objects.filter(pk=ticket.user).first()
    if ticket.what != key or user is None or not access.may(user, DOWNLOAD_VERB):
        raise Answer(403, _("You do not have the right to do this."))
    row = StorageVolume.objects.select_related("pool__host").filter(pk=int(key), absent_since=None).first()
    if row is None:
        raise Answer(404, _("There is no such volume."))
    return row


def _serve(handler: Any, row: StorageVolume, start: int) -> None:
    try:
        connection = open_connection(row.pool.host)
    except errors.HypervisorError as error:
        raise Answer(503, str(error)) from error
    reader = None
    try:
        place = (connection, str(row.pool.uuid), row.name)
        whole = length_of(*place)
        if start and start >= whole:
            raise Answer(416, "", Whole_Length=str(whole))
        reader = VolumeReader(*place, start, 0) if start < whole else None
        handler.connection.settimeout(SILENCE_SECONDS)
        _pour_out(handler, reader or (), whole, start)
    except errors.HypervisorError as error:
        raise Answer(503, str(error)) from error
    finally:
        if isinstance(reader, VolumeReader):
            reader.close()
        connection.close()


def _pour_out(handler: Any, pieces: Iterable[bytes], whole: int, start: int) -> None:
    """Head and bytes. Once the head is sent, an end before the length says that it broke."""
    handler.send_response_only(200)
    handler.send_header("Whole-Length", str(whole))
    handler.send_header("Content-Length", str(whole - start))
    handler.send_header("Connection", "close")
    handler.end_headers()
    left = whole - start
    try:
        for data in pieces:
            # A volume that grows meanwhile is sent as long as was said.
            handler.wfile.write(data[:left])
            left -= min(left, len(data))
            if not left:
                break
    except (OSError, errors.HypervisorError) as error:
        log.info("a download ended early", left=left, reason=str(error))


def _send(handler: Any, answer: Answer) -> None:
    body = json.dumps({"detail": answer.detail}).encode() if answer.detail else b""
    try:
        handler.send_response_only(answer.status)
        for name, value in answer.headers.items():
            handler.send_header(name, value)
        if body:
            handler.send_header("Content-Type", "application/json")
        if answer.status != 204:
            handler.send_header("Content-Length", str(len(body)))
        handler.send_header("Cache-Control", "no-store")
        handler.send_header("Connection", "close")
        handler.end_headers()
        handler.wfile.write(body)
    except OSError:
        log.debug("the sender did not wait for the answer")
