"""The pages of operations: which there are, how one goes, and stopping it."""

from __future__ import annotations

import uuid
from typing import Any

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe

from hosts import filtering
from hosts.access import Denied
from hosts.filtering import InvalidFilter
from hosts.models import Operation
from hosts.operations import presenter, queue
from hosts.operations.kind import Refused
from hosts.requests import actor_of, user_of
from hosts.views import answers
from hosts.views import operation_list as lists
from hosts.views import operation_parts as parts

CHILDREN_A_PAGE = 50


@require_safe
def operation_list(request: HttpRequest) -> HttpResponse:
    """The page; only its table when that alone is read again."""
    user = user_of(request)
    visible, error = parts.visible(user), None
    try:
        page = filtering.page_of(lists.chosen(visible, request.GET).select_related("parent"), request.GET)
    except InvalidFilter as invalid:
        page, error = filtering.first_page(visible), invalid
    context: dict[str, Any] = {
        "nav": "operations",
        "error": error,
        "page_obj": page,
        "operations": [presenter.present(operation, user) for operation in page.object_list],
        "size": page.paginator.per_page,
        **lists.tools(request.GET, visible),
    }
    template = (
        "operations/_list.html" if request.headers.get("HX-Target") == "operation-list" else "operations/list.html"
    )
    return render(request, template, context, status=400 if error else 200)


@require_safe
def operation_detail(request: HttpRequest, key: uuid.UUID) -> HttpResponse:
    """One operation, through to its end."""
    user, operation = user_of(request), _operation_or_404(request, key)
    context = parts.head_of(operation, user) | parts.detail_of(operation, user) | parts.log_of(operation)
    context |= {"nav": "operations", "parent": operation.parent}
    if operation.kind == queue.BULK:
        try:
            context |= _children(request, operation)
        except InvalidFilter as error:
            return render(request, "operations/refused.html", {"text": error.message, "nav": "operations"}, status=400)
    return render(request, "operations/detail.html", context)


def _children(request: HttpRequest, parent: Operation) -> dict[str, Any]:
    user = user_of(request)
    rows = parts.visible(user).filter(parent=parent).order_by("subject_name", "pk")
    page = filtering.page_of(rows, request.GET, CHILDREN_A_PAGE)
    # Their parent is this page.
    return {"page_obj": page, "children": [presenter.present(child, user) for child in page.object_list]}


def _operation_or_404(request: HttpRequest, key: uuid.UUID) -> Operation:
    operation = parts.find(str(key), user_of(request))
    if operation is None:
        raise Http404(_("There is no such operation."))
    return operation


@require_POST
def cancel(request: HttpRequest, key: uuid.UUID) -> HttpResponse:
    """Stop it, or ask it to stop."""
    operation = _operation_or_404(request, key)
    try:
        queue.cancel(operation, actor_of(request))
    except (Denied, Refused) as error:
        return answers.refused(request, error, "operations")
    shown = presenter.present(operation, user_of(request))
    text = _("Asked to stop: %(what)s %(subject)s") % {"what": shown["label"], "subject": shown["subject"]}
    return answers.done(request, text, operation.get_absolute_url(), level="info")


@require_POST
def signal(request: HttpRequest, key: uuid.UUID) -> HttpResponse:
    """Ask something else of it while it runs, such as another bandwidth; the kind checks the arguments."""
    operation = _operation_or_404(request, key)
    arguments = {field: request.POST[field] for field in request.POST if field not in ("csrfmiddlewaretoken", "name")}
    name = request.POST.get("name", "")
    try:
        _send(request, operation, name, arguments)
    except (Denied, Refused) as error:
        return answers.refused(request, error, "operations")
    return answers.done(request, _("Asked for: %(name)s") % {"name": name}, operation.get_absolute_url(), level="info")


def _send(request: HttpRequest, operation: Operation, name: str, arguments: dict[str, Any]) -> None:
    """Cancel goes by its own road: it also ends what still waits, and is audited."""
    actor = actor_of(request)
    if name == "cancel":
        queue.cancel(operation, actor)
        return
    if not queue.may_cancel(user_of(request), operation):
        raise Denied(_("You do not have the right to do this."))
    queue.signal(operation, name, arguments, actor)
