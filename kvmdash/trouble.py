"""When the database cannot be asked (locked, its disk full, its server gone): a plain answer with 503 instead of a broken page."""

from __future__ import annotations

import sys

import structlog
from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string
from django.utils.translation import gettext as _
from django.views.defaults import server_error as broken

from hosts.problems import answer
from hosts.views.answers import is_htmx
from hosts.work import DATABASE_AWAY

log = structlog.get_logger(__name__)

#: after which asking again makes sense
RETRY_SECONDS = 10


def server_error(request: HttpRequest) -> HttpResponse:
    """What Django answers with when a view or a middleware broke."""
    error = sys.exc_info()[1]
    return database_away(request, error) if isinstance(error, DATABASE_AWAY) else broken(request)


def database_away(request: HttpRequest, error: Exception) -> HttpResponse:
    """503 in the shape that the asker reads: a problem, a line of text, or a page that needs no database itself."""
    log.warning("the database could not be asked", path=request.path, error=str(error))
    text, headers = sentence(error), {"Retry-After": str(RETRY_SECONDS)}
    if request.path.startswith("/api/"):
        return answer(503, text, headers=headers)
    if is_htmx(request):
        return HttpResponse(text, status=503, content_type="text/plain; charset=utf-8", headers=headers)
    return HttpResponse(render_to_string("503.html", {"text": text}), status=503, headers=headers)


def sentence(error: Exception) -> str:
    """What is the matter, and that what was asked for was not done: every change is written whole or not at all."""
    words = str(error)
    if "locked" in words:
        why = _("The database is busy with something else.")
    elif "full" in words:
        why = _("The disk of the database is full.")
    else:
        why = _("The database cannot be asked just now.")
    return why + " " + _("What you asked for was not done. Your machines run on; try again in a moment.")
