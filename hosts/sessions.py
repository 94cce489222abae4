"""Log-in sessions whose rows do not open anything: the cookie's key is found by its hash, as tokens and tickets are.

Whoever has a copy of the database has no cookie with it.
"""

from __future__ import annotations

import hashlib
from typing import Any

from django.conf import settings
from django.contrib.sessions.backends.db import SessionStore as DatabaseStore
from django.contrib.sessions.models import Session
from django.http import HttpRequest, parse_cookie
from django.utils import timezone


def row_key(cookie: str) -> str:
    """The primary key of the row of the session with this cookie: 160 bits of SHA-256, as long as the column."""
    return hashlib.sha256(cookie.encode()).hexdigest()[:40]


def row_key_of(request: HttpRequest) -> str:
    """The same of a request's session; '' when it has none."""
    cookie = request.session.session_key
    return row_key(cookie) if cookie else ""


def row_key_of_header(cookies: str) -> str:
    """The same of a Cookie header, for those who have no request; '' when no session is in it."""
    cookie = parse_cookie(cookies).get(settings.SESSION_COOKIE_NAME, "")
    return row_key(cookie) if cookie else ""


def seconds_left(cookie: str) -> float:
    """How long the session with this cookie still lasts; 0 when there is none."""
    row = Session.objects.filter(pk=row_key(cookie)).values_list("expire_date", flat=True).first()
    return max(0.0, (row - timezone.now()).total_seconds()) if row is not None else 0.0


class SessionStore(DatabaseStore):
    """Django's sessions in the database, with the hash in place of the key."""

    def _get_session_from_db(self) -> Session | None:
        row: Session | None = self._living().first()
        if row is None:
            self._session_key = None
        return row

    async def _aget_session_from_db(self) -> Session | None:
        row: Session | None = await self._living().afirst()
        if row is None:
            self._session_key = None
        return row

    def _living(self) -> Any:
        return self.model.objects.filter(session_key=row_key(self.session_key or ""), expire_date__gt=timezone.now())

    def exists(self, session_key: str) -> bool:
        return super().exists(row_key(session_key))

    async def aexists(self, session_key: str) -> bool:
        return await super().aexists(row_key(session_key))

    def create_model_instance(self, data: dict[str, Any]) -> Any:
        return _hashed(super().create_model_instance(data))

    async def acreate_model_instance(self, data: dict[str, Any]) -> Any:
        return _hashed(await super().acreate_model_instance(data))

    def delete(self, session_key: str | None = None) -> None:
        key = session_key or self.session_key
        if key is not None:
            super().delete(row_key(key))

    async def adelete(self, session_key: str | None = None) -> None:
        key = session_key or self.session_key
        if key is not None:
            await super().adelete(row_key(key))


def _hashed(row: Any) -> Any:
    row.session_key = row_key(row.session_key)
    return row
