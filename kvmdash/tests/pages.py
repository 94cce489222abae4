"""A browser's part without a browser: a session, pages, and the push socket of an open page."""

from __future__ import annotations

import asyncio
import json
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from types import TracebackType
from typing import Any

from websockets.asyncio.client import ClientConnection, connect

from kvmdash.tests.program import Program

_LOG_IN = (
    "from django.contrib.auth import SESSION_KEY, BACKEND_SESSION_KEY, HASH_SESSION_KEY; from hosts.models import User;"
    "from django.conf import settings; from importlib import import_module;"
    "u = User.objects.get(username='admin'); s = import_module(settings.SESSION_ENGINE).SessionStore();"
    "s[SESSION_KEY] = str(u.pk); s[BACKEND_SESSION_KEY] = settings.AUTHENTICATION_BACKENDS[0];"
    "s[HASH_SESSION_KEY] = u.get_session_auth_hash(); s.create(); print(s.session_key)"
)


def log_in(program: Program) -> str:
    """A session of the administrator; its key."""
    return program.manage("shell", "-v0", "-c", _LOG_IN).splitlines()[-1]


def get(program: Program, key: str, path: str) -> tuple[int, str]:
    """A page as that session gets it: status and text. Redirects are not followed."""
    request = urllib.request.Request(program.url + path, headers={"Cookie": f"kvmdash_session={key}"})
    opener = urllib.request.build_opener(_NoRedirect)
    try:
        with opener.open(request, timeout=30) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_args: Any, **_kwargs: Any) -> None:
        return None


class LivePage:
    """The push socket of an open page that shows the pieces of ``keys``; ``shown`` is what each looks like now."""

    def __init__(self, program: Program, key: str, *keys: str) -> None:
        self.program, self.key, self.keys = program, key, keys
        self.shown: dict[str, str | None] = {}
        self.stale: set[str] = set()
        self._socket: ClientConnection | None = None

    async def open(self, **how: Any) -> LivePage:
        """Connect, and say what the page shows."""
        headers = {"Cookie": f"kvmdash_session={self.key}", "Origin": self.program.url}
        url = self.program.url.replace("http", "ws") + "/ws/live/"
        how = {"additional_headers": headers, "max_size": 2**24, "open_timeout": 60, "ping_interval": None} | how
        self._socket = await connect(url, **how)
        await self.socket.send(json.dumps({"watch": list(self.keys)}))
        return self

    def drop(self) -> None:
        """The network is gone from one moment to the next."""
        self.socket.transport.abort()

    async def __aenter__(self) -> LivePage:
        return await self.open()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.drop()

    @property
    def socket(self) -> ClientConnection:
        """The open socket."""
        assert self._socket is not None
        return self._socket

    async def read(self) -> dict[str, Any]:
        """The next message, taken into :attr:`shown`."""
        message: dict[str, Any] = json.loads(await self.socket.recv())
        self.shown.update(dict(message.get("html", [])))
        self.stale.update(message.get("stale", []))
        return message

    async def until(self, condition: Callable[[], Any], what: str, seconds: float = 30) -> None:
        """Read until it is shown."""
        try:
            async with asyncio.timeout(seconds):
                while not condition():
                    await self.read()
        except TimeoutError:
            raise AssertionError(f"not shown within {seconds:g} s: {what}; {self.shown}") from None
