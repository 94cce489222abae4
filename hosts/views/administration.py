"""What the pages of administration share: who may open them, and the tabs between them."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.translation import gettext as _

from hosts import access, audit
from hosts.models import User
from hosts.requests import actor_of, user_of
from hosts.views import answers

View = Callable[..., HttpResponse]


def administrators(verb: str) -> Callable[[View], View]:
    """Only for those who may ``verb``; whoever tries to change something without is on record."""

    def decorate(view: View) -> View:
        @wraps(view)
        def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
            if access.may(user_of(request), verb):
                return view(request, *args, **kwargs)
            if request.method not in ("GET", "HEAD"):
                audit.record(actor_of(request), verb, request.path, result="refused")
            return answers.refused(request, access.Denied(_("This is for administrators.")))

        return guarded

    return decorate


def tabs(user: User, current: str) -> list[dict[str, Any]]:
    """The tabs this user has; one alone is none."""
    pages = [
        ("users", _("People"), "people.manage"),
        ("audit", _("Audit"), "audit.view"),
        ("tokens", _("API tokens"), "token.own"),
    ]
    found = [
        {"label": label, "url": reverse(f"administration:{name}"), "current": name == current}
        for name, label, verb in pages
        if access.may(user, verb)
    ]
    return found if len(found) > 1 else []
