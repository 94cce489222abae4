"""A file on a web server, read from any offset on. Each redirect is looked at as the first address was."""

from __future__ import annotations

import http.client
import re
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import SplitResult, urljoin, urlsplit

from django.utils.translation import gettext as _

from hosts.hypervisor.sentences import say
from hosts.transfer.guard import Forbidden, GuardedConnection, GuardedTlsConnection, literal_is_forbidden

SECONDS = 30.0
MOST_REDIRECTS = 5
LONGEST_URL = 2000
PIECE = 256 * 1024
MOST_LISTED = 1 << 20
_RANGE = re.compile(r"bytes ([0-9]{1,18})-[0-9]{1,18}/([0-9]{1,18})\Z")
_UNFIT = re.compile(r"[\x00-\x20\x7f-\uffff]")


class Broke(Exception):
    """The server cannot be reached or broke off; it may be otherwise in a moment."""


class Impossible(Exception):
    """The server does not give it; the message says why."""


def checked(text: str) -> SplitResult:
    """An address that may be asked, by its letters alone. Raises ValueError."""
    if len(text) > LONGEST_URL or _UNFIT.search(text) is not None:
        raise ValueError(
            _("An address has at most %(most)d characters, no spaces, and no letters beyond ASCII.")
            % {"most": LONGEST_URL}
        )
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError(_("An address that begins with https:// or http:// is needed."))
    if parts.username is not None or parts.password is not None:
        raise ValueError(_("An address with a password in it is not taken."))
    _port_of(parts)
    if literal_is_forbidden(parts.hostname):
        raise ValueError(_("That is an address on a private network."))
    return parts


def _port_of(parts: SplitResult) -> None:
    try:
        fits = parts.port != 0
    except ValueError:
        fits = False
    if not fits:
        raise ValueError(_("A port is a number from 1 to 65535."))


@dataclass(slots=True)
class Reply:
    """The rest of the file from where it was asked for. ``size`` is that of the whole."""

    size: int
    version: str
    response: http.client.HTTPResponse
    #: bytes before the offset, which a server without ranges sends again
    skip: int = 0

    def __iter__(self) -> Iterator[bytes]:
        """Pieces. Raises Broke when it ends too early."""
        try:
            while data := self.response.read(PIECE):
                if self.skip:
                    passed = min(self.skip, len(data))
                    self.skip -= passed
                    data = data[passed:]
                if data:
                    yield data
        except (OSError, http.client.HTTPException) as error:
            raise Broke(str(error) or type(error).__name__) from error

    def close(self) -> None:
        """Hang up."""
        self.response.close()


def fetch(url: str, offset: int = 0, size: int = 0, version: str = "") -> Reply:
    """The file from ``offset`` on; ``size`` and ``version`` are what it was before. Raises Broke, Impossible or Forbidden."""
    headers = {"User-Agent": "kvmdash", "Accept-Encoding": "identity", "Accept": "*/*", "Connection": "close"}
    if offset:
        headers["Range"] = f"bytes={offset}-"
        if version:
            headers["If-Range"] = version
    response = _follow(url, headers)
    try:
        return _reply(response, offset, size, version)
    except BaseException:
        response.close()
        raise


def text_of(url: str) -> str:
    """A short text, such as a list of checksums. Raises as :func:`fetch` does."""
    response = _follow(url, {"User-Agent": "kvmdash", "Accept-Encoding": "identity", "Connection": "close"})
    try:
        if response.status != 200:
            raise Impossible(say("The server answered %(status)s for the list of checksums.", status=response.status))
        data = response.read(MOST_LISTED + 1)
    except (OSError, http.client.HTTPException) as error:
        raise Broke(str(error)) from error
    finally:
        response.close()
    if len(data) > MOST_LISTED:
        raise Impossible(say("The list of checksums is too long."))
    return data.decode("utf-8", "replace")


def _follow(url: str, headers: dict[str, str]) -> http.client.HTTPResponse:
    for _step in range(MOST_REDIRECTS + 1):
        response = _ask(url, headers)
        if response.status not in (301, 302, 303, 307, 308):
            return response
        place = response.headers.get("Location", "")
        response.close()
        target = urljoin(url, place)
        if url.startswith("https:") and not target.startswith("https:"):
            raise Forbidden(say("The server sends on from https to an address that is not."))
        url = target
    raise Impossible(say("The server sends on and on."))


def _ask(url: str, headers: dict[str, str]) -> http.client.HTTPResponse:
    try:
        parts = checked(url)
    except ValueError as error:
        raise Forbidden(str(error)) from error
    host = parts.hostname or ""
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    connection: http.client.HTTPConnection
    if parts.scheme == "https":
        connection = GuardedTlsConnection(host, parts.port or 443, timeout=SECONDS)
    else:
        connection = GuardedConnection(host, parts.port or 80, timeout=SECONDS)
    try:
        connection.request("GET", path, headers=headers)
        return connection.getresponse()
    except ssl.SSLCertVerificationError as error:
        connection.close()
        raise Impossible(
            say("The server's certificate is not to be trusted: %(why)s", why=error.verify_message)
        ) from error
    except (OSError, http.client.HTTPException) as error:
        connection.close()
        raise Broke(str(error) or type(error).__name__) from error


def _reply(response: http.client.HTTPResponse, offset: int, size: int, version: str) -> Reply:
    status = response.status
    if status in (408, 425, 429) or status >= 500:
        raise Broke(say("The server answered %(status)s.", status=status))
    if status not in (200, 206):
        raise Impossible(say("The server answered %(status)s.", status=status))
    if response.headers.get("Content-Encoding", "identity") != "identity":
        raise Impossible(say("The server sends it packed in a way that was not asked for."))
    if status == 206:
        found = _RANGE.match(response.headers.get("Content-Range", ""))
        if found is None or int(found[1]) != offset or int(found[2]) != size:
            raise Impossible(say("The file on the server was changed meanwhile."))
        return Reply(size, version, response)
    length = response.headers.get("Content-Length", "")
    if not length.isdigit() or len(length) > 18 or int(length) == 0:
        raise Impossible(say("The server does not say how large the file is."))
    now = _version(response)
    if offset and (int(length), now) != (size, version):
        raise Impossible(say("The file on the server was changed meanwhile."))
    return Reply(int(length), now, response, skip=offset)


def _version(response: http.client.HTTPResponse) -> str:
    """What If-Range takes: a strong ETag, else the moment of the last change."""
    tag = response.headers.get("ETag", "")
    if tag.startswith('"') and len(tag) <= 300:
        return str(tag)
    return str(response.headers.get("Last-Modified", ""))[:300]
