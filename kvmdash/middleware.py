"""What every request goes through."""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Callable

import structlog
from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponse
from django.utils.cache import patch_cache_control

log = structlog.get_logger("request")

GetResponse = Callable[[HttpRequest], HttpResponse]
_REQUEST_ID = re.compile(r"^[A-Za-z0-9._-]{8,64}$")
#: what strangers may open: logging in, and the API and the figures, which ask for a token themselves
OPEN_PREFIXES = ("/account/login/", "/account/2fa/authenticate/", "/api/", "/i18n/", "/static/", "/healthz", "/metrics")


class RequestContextMiddleware:
    """Gives each request an id, binds it to the logs, and says how the request went (path only: queries may hold secrets)."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        given = request.headers.get("x-request-id", "")
        request_id = given if _REQUEST_ID.match(given) else secrets.token_hex(8)
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(request=request_id)
        began = time.monotonic()
        response = self.get_response(request)
        response.headers["X-Request-ID"] = request_id
        if not request.path.startswith("/static/"):
            log.info(
                "answered",
                method=request.method,
                path=request.path,
                status=response.status_code,
                ms=round(1000 * (time.monotonic() - began), 1),
            )
        return response


class LoginRequiredMiddleware:
    """Nothing but :data:`OPEN_PREFIXES` without logging in; pages of people who are logged in are never cached."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if request.path.startswith(OPEN_PREFIXES):
            return self.get_response(request)
        if not request.user.is_authenticated:
            if request.headers.get("hx-request"):
                return HttpResponse(status=401, headers={"HX-Redirect": "/account/login/"})
            return redirect_to_login(request.get_full_path())
        response = self.get_response(request)
        if "Cache-Control" not in response.headers:
            patch_cache_control(response, private=True, no_store=True)
        return response
