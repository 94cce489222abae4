"""Who asks the API: the owner of a bearer token, or the person logged in to the page (with the CSRF token).

Failed attempts are counted per address; beyond :data:`MOST_FAILURES` a minute they are answered 429. A token that works
is never held up: 256 random bits are not guessed, and behind one proxy's address one client's outdated token must not
lock out the rest.
"""

from __future__ import annotations

import re
from datetime import timedelta

import structlog
from django.conf import settings
from django.core.cache import cache
from django.db.models import Q
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext as _
from ninja.security import APIKeyCookie, HttpBearer
from ninja.utils import check_csrf

from hosts import audit
from hosts.audit import Actor
from hosts.models import ApiToken, User
from hosts.problems import ProblemError
from hosts.requests import client_address
from hosts.work import DATABASE_AWAY

log = structlog.get_logger(__name__)

MOST_FAILURES = 30
WINDOW_SECONDS = 60
USED_EVERY = timedelta(minutes=1)
_TOKEN = re.compile(r"^kvd_[A-Za-z0-9_-]{43}\Z")


class BearerToken(HttpBearer):
    """``Authorization: Bearer kvd_…``. A header that is there must be right: the session does not make up for it."""

    def __call__(self, request: HttpRequest) -> ApiToken | None:
        header = request.headers.get("authorization")
        if header is None:
            return None
        scheme, _space, text = header.partition(" ")
        if scheme.lower() != "bearer":
            raise _refused(request, _("Authorization takes the form “Bearer kvd_…”."))
        return self.authenticate(request, text.strip())

    def authenticate(self, request: HttpRequest, token: str) -> ApiToken:
        row = ApiToken.lookup(token) if _TOKEN.match(token) else None
        if row is None:
            raise _refused(request, _("This token is unknown, expired or revoked, or its owner may not log in."))
        request.user = row.user
        _mark_used(row)
        return row


class Session(APIKeyCookie):
    """The session cookie of somebody logged in to the page; with the CSRF token for anything but reading."""

    param_name = settings.SESSION_COOKIE_NAME

    def __call__(self, request: HttpRequest) -> User | None:
        return self.authenticate(request, None)

    def authenticate(self, request: HttpRequest, key: str | None) -> User | None:
        user = request.user
        if not isinstance(user, User) or not user.is_active:
            return None
        # Looking for the token in a form would use the body up.
        len(request.body)
        if check_csrf(request) is not None:
            raise ProblemError(403, _("The CSRF token is missing or wrong; programs use a bearer token instead."))
        return user


def token_of(request: HttpRequest) -> ApiToken | None:
    """The token the request came with, if it came with one."""
    auth = getattr(request, "auth", None)
    return auth if isinstance(auth, ApiToken) else None


def _mark_used(row: ApiToken) -> None:
    """Note the use, at most once a minute: reading must not cost a write each time."""
    now = timezone.now()
    if row.last_used_at is not None and row.last_used_at > now - USED_EVERY:
        return
    failed = f"token-not-noted:{row.prefix}:{row.pk}"
    if cache.get(failed):
        return
    stale = Q(last_used_at=None) | Q(last_used_at__lte=now - USED_EVERY)
    try:
        ApiToken.objects.filter(stale, pk=row.pk).update(last_used_at=now)
    except DATABASE_AWAY as error:
        # Reading must not fail because this cannot be written, nor wait for it each time.
        cache.set(failed, True, USED_EVERY.total_seconds())
        log.warning("the use of a token could not be noted", error=str(error))


def _refused(request: HttpRequest, detail: str) -> ProblemError:
    """401, or 429 for an address that failed too often; the first failure of a window is audited."""
    address = client_address(request)
    key = f"api-failures:{address}"
    cache.add(key, 0, WINDOW_SECONDS)
    failures = _count(key)
    if failures == 1:
        audit.record(Actor(None, address, "api", name="?"), "token.use", result="failed")
    if failures > MOST_FAILURES:
        detail = _("Too many failed attempts from this address; wait a minute.")
        return ProblemError(429, detail, headers={"Retry-After": str(WINDOW_SECONDS)})
    return ProblemError(401, detail)


def _count(key: str) -> int:
    try:
        return int(cache.incr(key))
    except ValueError:  # The window ended between the two calls.
        return 1
