"""The right to send the bytes of one upload, or to fetch those of one volume: signed, short-lived, never in an address.

Whoever receives bytes looks at the rights again each time; the ticket says for whom and what, and that a page or the API gave it.
"""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from django.core import signing

from hosts.models import User

UPLOAD_HEADER, DOWNLOAD_HEADER = "Upload-Ticket", "Download-Ticket"
#: seconds; whoever uploads for longer asks for another
UPLOAD_SECONDS = 3600
#: seconds between a page's answer and its reaching the gateway
DOWNLOAD_SECONDS = 60


class BadTicket(Exception):
    """Forged, for something else, or too old."""


@dataclass(frozen=True, slots=True)
class Ticket:
    """For whom, and what: a filling's or a volume's key."""

    user: int
    what: str


def for_upload(user: User, filling: UUID) -> str:
    """A ticket to send bytes."""
    return signing.dumps([user.pk, str(filling)], salt="kvmdash.upload")


def for_download(user: User, volume: int) -> str:
    """A ticket to fetch bytes."""
    return signing.dumps([user.pk, str(volume)], salt="kvmdash.download")


def read_upload(text: str) -> Ticket:
    """Raises BadTicket."""
    return _read(text, "kvmdash.upload", UPLOAD_SECONDS)


def read_download(text: str) -> Ticket:
    """Raises BadTicket."""
    return _read(text, "kvmdash.download", DOWNLOAD_SECONDS)


def _read(text: str, salt: str, seconds: int) -> Ticket:
    try:
        user, what = signing.loads(text, salt=salt, max_age=seconds)
    except (signing.BadSignature, ValueError, TypeError) as error:
        raise BadTicket from error
    return Ticket(int(user), str(what))
