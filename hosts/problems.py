"""What the API refuses, as RFC 9457 problems (application/problem+json): one shape for every error."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from django.http import HttpResponse
from django.urls import reverse
from django.utils.translation import gettext_lazy as _
from ninja import Field, Schema

MEDIA_TYPE = "application/problem+json"

#: status → the anchor of its explanation on the documentation page, and its title
KINDS: dict[int, tuple[str, Any]] = {
    400: ("unreadable", _("The request cannot be read")),
    401: ("not-authenticated", _("Not authenticated")),
    403: ("denied", _("Not allowed")),
    404: ("not-found", _("Not found")),
    405: ("method", _("Method not allowed")),
    409: ("refused", _("Not now")),
    413: ("too-large", _("Request too large")),
    415: ("media-type", _("Not JSON")),
    422: ("invalid", _("Invalid values")),
    429: ("too-many", _("Too many failed attempts")),
    500: ("server-error", _("Server error")),
    503: ("not-now", _("Not just now")),
}


class FieldError(Schema):
    """One wrong value."""

    location: str = Field(description="Where it was: path, query or body.")
    field: str = Field(description="Its name; dots lead into lists and objects.")
    message: str


class Problem(Schema):
    """RFC 9457: what went wrong, for programs (type, status, errors) and for people (title, detail)."""

    type: str = Field(description="An address that explains this kind of problem; the same for all of its kind.")
    title: str
    status: int
    detail: str
    errors: list[FieldError] = Field(default=[], description="The wrong values, where that is what is the matter.")


class ProblemError(Exception):
    """Raised by API code to answer with a problem."""

    def __init__(
        self,
        status: int,
        detail: str,
        errors: Sequence[FieldError] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.errors = list(errors)
        self.headers = dict(headers or {})


def invalid(location: str, field: str, message: str) -> ProblemError:
    """422 for one wrong value."""
    return ProblemError(422, message, [FieldError(location=location, field=field, message=message)])


def answer(
    status: int, detail: str, errors: Sequence[FieldError] = (), headers: Mapping[str, str] | None = None
) -> HttpResponse:
    """A problem as a response."""
    kind, title = KINDS.get(status, KINDS[400 if status < 500 else 500])
    problem = Problem(
        type=f"{reverse('api:docs')}#{kind}", title=str(title), status=status, detail=detail, errors=list(errors)
    )
    return HttpResponse(
        problem.model_dump_json(exclude=None if errors else {"errors"}),
        status=status,
        content_type=MEDIA_TYPE,
        headers={"WWW-Authenticate": "Bearer", **(headers or {})} if status == 401 else headers,
    )


#: declared by every route: what any request can be answered with
ANY: dict[tuple[int, ...], type[Problem]] = {(400, 401, 403, 404, 422, 429): Problem}
#: declared by routes that change something or read a body
CHANGE: dict[tuple[int, ...], type[Problem]] = {(400, 401, 403, 404, 409, 413, 415, 422, 429): Problem}
