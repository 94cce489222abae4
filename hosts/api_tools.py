"""What the routes of both apps share: lists in pages, operations as answers, and an address for each kind of operation.

The addresses are made from the registry of kinds, so that a new kind has one without anybody writing it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from inspect import Parameter, Signature
from typing import Any, TypeVar

from django.db.models import Model, QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop
from ninja import Router, Schema, Status
from pydantic import BaseModel

from hosts.api_schemas import AnyArguments, OperationOut, Paging
from hosts.models import Operation
from hosts.operations import presenter, queue
from hosts.operations.kind import Kind, registry
from hosts.problems import CHANGE, invalid
from hosts.requests import actor_of

Accepted = Status[OperationOut]
M = TypeVar("M", bound=Model)
#: what :func:`find` may not find, for the catalogue of translations
THINGS = (
    gettext_noop("host"), gettext_noop("operation"), gettext_noop("virtual machine"), gettext_noop("storage pool"),
    gettext_noop("storage volume"), gettext_noop("network"), gettext_noop("network filter"),
)  # fmt: skip


def page_of(rows: QuerySet[M], paging: Paging) -> tuple[list[M], dict[str, int]]:
    """The rows of one page, and the numbers that go with them."""
    start = (paging.page - 1) * paging.page_size
    numbers = {"count": rows.count(), "page": paging.page, "page_size": paging.page_size}
    return list(rows[start : start + paging.page_size]), numbers


def find(rows: QuerySet[M], **wanted: Any) -> M:
    """The one row, or 404."""
    row = rows.filter(**wanted).first()
    if row is None:
        raise Http404(_("There is no such %(thing)s.") % {"thing": _(str(rows.model._meta.verbose_name))})
    return row


def only_known(request: HttpRequest, query: type[Schema]) -> None:
    """422 for a parameter that does not exist: a mistyped filter must not mean 'all'."""
    for name in request.GET:
        if name not in query.model_fields:
            raise invalid("query", name[:40], _("There is no parameter of this name."))


def columns(row: Any, names: Iterable[str]) -> dict[str, Any]:
    """Attributes of a row by name."""
    return {name: getattr(row, name) for name in names}


def operation_out(request: HttpRequest, row: Operation) -> OperationOut:
    """An operation as the API tells it."""
    return OperationOut(**operation_fields(request, row))


def operation_fields(request: HttpRequest, row: Operation) -> dict[str, Any]:
    """The fields of :class:`OperationOut`."""
    same = ("id", "kind", "state", "arguments", "virsh", "created_at", "started_at", "finished_at")
    kind = registry.get(str(row.arguments.get("kind", "")) if row.kind == queue.BULK else row.kind)
    return columns(row, (*same, "duration", "percent", "progress", "result")) | {
        "url": reverse("api:operation", args=[row.pk]),
        "label": str(kind.label) if kind is not None else row.kind,
        "subject": row.subject_name or row.host_name,
        "vm": row.subject_uuid if kind is None or kind.of_guest else None,
        "host": row.host_name or None,
        "parent": row.parent_id,
        "actor": row.actor_name,
        "progress_text": presenter.progress_text(row),
        "error": {**row.error, "message": row.error_text} if row.error else None,
        "cancellable": presenter.is_cancellable(row, request.user),
    }


def accepted(request: HttpRequest, response: HttpResponse, row: Operation) -> Accepted:
    """202 with the operation, as the answer to having asked for it."""
    response.headers["Location"] = reverse("api:operation", args=[row.pk])
    return Status(202, operation_out(request, row))


def sent(arguments: BaseModel | None) -> dict[str, Any]:
    """What was said, without what was not: defaults are the kind's business."""
    return arguments.model_dump(exclude_unset=True) if arguments is not None else {}


def add_kind(
    router: Router,
    kind: Kind,
    path: str,
    key: tuple[str, Any],
    row_of: Callable[[HttpRequest, Any], Any],
    arguments: type[BaseModel] = AnyArguments,
    options: tuple[str, ...] = (),
) -> None:
    """Let ``POST path`` ask for the kind. ``key`` is the parameter in the path: its name and type; ``options`` are texts that
    may stand in the query, which ``row_of`` looks at.
    """

    def act(request: HttpRequest, response: HttpResponse, **given: Any) -> Accepted:
        row = row_of(request, given[key[0]])
        asked = queue.enqueue(kind.name, row, sent(given.get("arguments")), actor_of(request, "api"))
        return accepted(request, response, asked)

    act.__name__ = act.__qualname__ = kind.name.replace("-", "_")
    act.__doc__ = type(kind).__doc__
    act.__signature__ = _signature(key, arguments, options)  # type: ignore[attr-defined] # What ninja reads.
    decorate = router.post(
        path,
        tags=[path.partition("/")[0]],
        response={202: OperationOut, **CHANGE},
        operation_id=f"ask_{act.__name__}",
        summary=str(kind.label),
        url_name=f"ask-{kind.name}",
    )
    decorate(act)


def _signature(key: tuple[str, Any], arguments: type[BaseModel], options: tuple[str, ...]) -> Signature:
    """The parameters; the body may be left out where the kind needs no arguments."""
    required = {"required", "minProperties", "oneOf"} & set(arguments.model_json_schema())
    body = (arguments, Parameter.empty) if required else (arguments | None, None)
    either = Parameter.POSITIONAL_OR_KEYWORD
    return Signature(
        [
            Parameter("request", either, annotation=HttpRequest),
            Parameter("response", either, annotation=HttpResponse),
            Parameter(key[0], either, annotation=key[1]),
            Parameter("arguments", either, annotation=body[0], default=body[1]),
            *(Parameter(option, either, annotation=str | None, default=None) for option in options),
        ]
    )
