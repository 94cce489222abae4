"""How a view answers what was asked for: a short message for htmx, a page or a redirect for a plain form."""

from __future__ import annotations

import json
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse

from hosts.access import Denied
from hosts.models import Operation
from hosts.operations.kind import InvalidArguments, Refused


def is_htmx(request: HttpRequest) -> bool:
    """Whether the page asked by itself."""
    return request.headers.get("HX-Request") == "true"


def trigger(response: HttpResponse, **events: Any) -> HttpResponse:
    """Let the page hear events (docs/pages.md: toast, dialog-close, refresh)."""
    response.headers["HX-Trigger"] = json.dumps(events)
    return response


def done(request: HttpRequest, text: str, url: str, *, level: str = "success", refresh: bool = False) -> HttpResponse:
    """It was done (or asked for)."""
    if not is_htmx(request):
        messages.add_message(request, messages.SUCCESS if level == "success" else messages.INFO, text)
        return HttpResponseRedirect(url)
    events: dict[str, Any] = {"toast": {"level": level, "text": text}, "dialog-close": True}
    return trigger(HttpResponse(status=204), **events, **({"refresh": True} if refresh else {}))


def accepted(request: HttpRequest, operation: Operation, text: str) -> HttpResponse:
    """The operation is queued: say so, with a link to it. What it changes is pushed."""
    if not is_htmx(request):
        messages.info(request, text)
        return HttpResponseRedirect(operation.get_absolute_url())
    toast = {"level": "info", "text": text, "url": operation.get_absolute_url()}
    return trigger(HttpResponse(status=204), toast=toast, **{"dialog-close": True})


def status_of(error: Exception) -> int:
    """The status that tells a refusal apart: not allowed, wrong arguments, or not now."""
    if isinstance(error, Denied):
        return 403
    return 422 if isinstance(error, InvalidArguments) else 409


def refused(request: HttpRequest, error: Denied | Refused, nav: str = "") -> HttpResponse:
    """Say why not."""
    status, text = status_of(error), str(error)
    if not is_htmx(request):
        return render(request, "operations/refused.html", {"text": text, "nav": nav}, status=status)
    response = HttpResponse(text, status=status, content_type="text/plain; charset=utf-8")
    if status == 422:
        # The page swaps 422 in as a form; here there is none, so that it must be said.
        return trigger(response, toast={"level": "danger", "text": text})
    return response


def log_in_again(request: HttpRequest) -> HttpResponse:
    """The session is over: to the login."""
    url = reverse("account_login")
    request.session.flush()
    return HttpResponse(status=204, headers={"HX-Redirect": url}) if is_htmx(request) else HttpResponseRedirect(url)
