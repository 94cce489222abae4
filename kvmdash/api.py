"""The API at /api/v1/: routes of both apps, who may ask, and every error as a problem (hosts.problems)."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import wraps
from typing import Any

import structlog
from django.conf import settings
from django.contrib.auth.decorators import login_required
from django.core.exceptions import BadRequest, RequestDataTooBig
from django.db import InterfaceError, OperationalError
from django.http import Http404, HttpRequest, HttpResponse, UnreadablePostError
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.urls import URLPattern, path, re_path
from django.utils.cache import patch_cache_control
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe
from ninja import NinjaAPI
from ninja.errors import AuthenticationError, HttpError, ValidationError
from ninja.openapi.schema import OpenAPISchema
from ninja.parser import Parser

from hosts.access import Denied
from hosts.api import router as hosts_router
from hosts.operations.kind import InvalidArguments, Refused
from hosts.problems import MEDIA_TYPE, FieldError, ProblemError, answer
from hosts.said import said
from hosts.tokens import BearerToken, Session
from kvmdash.api_docs import problems, sections
from kvmdash.trouble import database_away
from vms.api import router as vms_router

log = structlog.get_logger(__name__)

DESCRIPTION = (
    "Everything the pages do, for programs. Changes answer 202 with an operation, whose `url` tells how it goes; "
    "errors are problems (RFC 9457)."
)


class JsonParser(Parser):
    """JSON as it is meant to be: an application/json body without NaN, NUL or lone surrogates."""

    def parse_body(self, request: HttpRequest) -> Any:
        if request.content_type != "application/json":
            raise ProblemError(415, _("Send JSON, with Content-Type: application/json."))
        if len(request.body) > settings.DATA_UPLOAD_MAX_MEMORY_SIZE:
            raise RequestDataTooBig
        try:
            data = json.loads(request.body, parse_constant=_no_constant, parse_float=_finite)
        except (ValueError, RecursionError) as error:
            raise ProblemError(400, _("This is not JSON: %(error)s.") % {"error": error}) from error
        if not _is_storable(data):
            raise ProblemError(400, _("A text holds characters that cannot be stored (NUL or half a surrogate pair)."))
        return data


def _no_constant(name: str) -> float:
    raise ValueError(_("%(name)s is not a JSON value") % {"name": name})


def _finite(text: str) -> float:
    number = float(text)
    if number in (float("inf"), float("-inf")):
        raise ValueError(_("a number is too large"))
    return number


def _is_storable(data: Any) -> bool:
    waiting = [data]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            waiting += [*value.keys(), *value.values()]
        elif isinstance(value, list):
            waiting += value
        elif isinstance(value, str) and any(c == "\0" or "\ud800" <= c <= "\udfff" for c in value):
            return False
    return True


class Api(NinjaAPI):
    """django-ninja, whose OpenAPI says that errors are problems."""

    def get_openapi_schema(self, **kwargs: Any) -> OpenAPISchema:
        schema = super().get_openapi_schema(**kwargs)
        for methods in schema["paths"].values():
            for operation in methods.values():
                for status, response in operation["responses"].items():
                    if int(status) >= 400 and "content" in response:
                        response["content"] = {MEDIA_TYPE: response["content"].pop("application/json")}
        return schema


api = Api(
    title="kvmdash",
    version="1",
    description=DESCRIPTION,
    urls_namespace="api",
    docs_url=None,
    openapi_url=None,
    auth=[BearerToken(), Session()],
    parser=JsonParser(),
)
api.add_router("", hosts_router)
api.add_router("", vms_router)


@api.get("openapi.json", include_in_schema=False)
def openapi(request: HttpRequest) -> Any:
    """This API, described for programs."""
    return api.get_openapi_schema()


@api.exception_handler(ProblemError)
def _on_problem(_request: HttpRequest, error: Any) -> HttpResponse:
    return answer(error.status, error.detail, error.errors, error.headers)


@api.exception_handler(HttpError)
def _on_http_error(_request: HttpRequest, error: Any) -> HttpResponse:
    if isinstance(error.__cause__, (ProblemError, RequestDataTooBig)):  # ninja wraps what its parser raises
        return api.on_exception(_request, error.__cause__)
    if isinstance(error, AuthenticationError):
        return answer(401, _("Send a token: “Authorization: Bearer kvd_…”."))
    return answer(error.status_code, error.message)


@api.exception_handler(ValidationError)
def _on_validation_error(_request: HttpRequest, error: Any) -> HttpResponse:
    errors = [_field_error(one) for one in error.errors]
    return answer(422, " ".join(f"{one.field}: {one.message}." for one in errors[:5]), errors)


def _field_error(one: dict[str, Any]) -> FieldError:
    """pydantic's place is (source, parameter, …); a body's parameter name is ours alone and says nothing."""
    source, *place = [str(part) for part in one["loc"]]
    if source == "body":
        place = place[1:]
    return FieldError(location=source, field=".".join(place), message=said(one["msg"]))


@api.exception_handler(InvalidArguments)
def _on_invalid_arguments(_request: HttpRequest, error: Any) -> HttpResponse:
    return answer(422, str(error), [FieldError(location="body", field=error.field, message=str(error))])


@api.exception_handler(Refused)
def _on_refused(_request: HttpRequest, error: Any) -> HttpResponse:
    return answer(409, str(error))


@api.exception_handler(Denied)
def _on_denied(_request: HttpRequest, error: Any) -> HttpResponse:
    return answer(403, str(error))


@api.exception_handler(Http404)
def _on_not_found(_request: HttpRequest, error: Any) -> HttpResponse:
    return answer(404, str(error) or _("There is nothing at this address."))


@api.exception_handler(RequestDataTooBig)
def _on_too_big(_request: HttpRequest, _error: Any) -> HttpResponse:
    most = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
    return answer(413, _("A request is at most %(most)d bytes.") % {"most": most})


@api.exception_handler(UnreadablePostError)
@api.exception_handler(BadRequest)
def _on_unreadable(_request: HttpRequest, _error: Any) -> HttpResponse:
    return answer(400, _("The request could not be read."))


@api.exception_handler(OperationalError)
@api.exception_handler(InterfaceError)
def _on_database_away(request: HttpRequest, error: Any) -> HttpResponse:
    return database_away(request, error)


@api.exception_handler(Exception)
def _on_exception(request: HttpRequest, error: Any) -> HttpResponse:
    log.exception("the API failed", path=request.path, exc_info=error)
    return answer(500, _("Something went wrong here; the log has it under the id in X-Request-ID."))


@require_safe
@login_required
def docs(request: HttpRequest) -> HttpResponse:
    """This API, described for people. A page of our own: Swagger's needs inline script."""
    schema = api.get_openapi_schema()
    context = {"sections": sections(schema), "problems": problems(), "nav": "api"}
    response = render(request, "api/docs.html", context | {"origin": request.build_absolute_uri("/").rstrip("/")})
    patch_cache_control(response, private=True, no_store=True)
    return response


def _nothing(_request: HttpRequest, **_kwargs: Any) -> HttpResponse:
    raise Http404


View = Callable[..., HttpResponseBase]


def _guarded(view: View) -> View:
    """The view with what ninja leaves open: errors outside its operations, and answers that must not be kept."""

    @wraps(view)
    def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        try:
            response = view(request, *args, **kwargs)
        except Exception as error:
            response = api.on_exception(request, error)
        if response.status_code == 405:
            detail = _("This address does not take %(method)s.") % {"method": request.method}
            # The framework keeps them in a set: each process would tell them in an order of its own.
            allowed = ", ".join(sorted(response["Allow"].split(", ")))
            response = answer(405, detail, headers={"Allow": allowed})
        patch_cache_control(response, private=True, no_store=True)
        return response

    guarded.csrf_exempt = True  # type: ignore[attr-defined] # Session checks it, tokens do not need it.
    return guarded


def _patterns() -> list[URLPattern]:
    own: list[Any] = api.urls[0]
    everything = [*own, re_path(r"^.*$", _nothing)]
    for pattern in everything:
        pattern.callback = _guarded(pattern.callback)
    return [path("docs", docs, name="docs"), *everything]


urls = (_patterns(), "api", "api")
