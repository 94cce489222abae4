"""What every template knows."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.http import HttpRequest
from django.utils.functional import SimpleLazyObject

from hosts import access
from hosts.models import User
from kvmdash.shell import shell_of


def shell(request: HttpRequest) -> dict[str, Any]:
    """``shell`` (read only when a template asks for it), ``may``, ``version``, and ``languages`` under their own names."""
    user = getattr(request, "user", None)
    if not isinstance(user, User):
        return {"version": settings.VERSION, "languages": settings.LANGUAGES}
    return {
        "shell": SimpleLazyObject(lambda: shell_of(user)),
        "may": access.rights_of(user),
        "version": settings.VERSION,
        "languages": settings.LANGUAGES,
    }
