"""The audit list: who, from where, what, when, and how it went."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import pgettext
from django.views.decorators.http import require_safe

from hosts import access, filtering
from hosts.audit import ROADS
from hosts.filtering import InvalidFilter
from hosts.models import AuditEntry, Operation, User
from hosts.requests import user_of
from hosts.said import said
from hosts.views.administration import administrators, tabs

Rows = QuerySet[AuditEntry]
FILTERS = ("q", "actor", "action", "result", "road", "age", "from", "to")
RESULTS = ("done", "queued", "refused", "failed")
_ACTION = re.compile(r"[\w.-]{1,60}\Z")
MOST_NAMES = 500


@administrators("audit.view")
@require_safe
def audit_list(request: HttpRequest) -> HttpResponse:
    """The page; only its table when that alone is read again."""
    visible, error = access.visible_to(user_of(request), AuditEntry.objects.all()), None
    try:
        page = filtering.page_of(_chosen(visible, request.GET), request.GET)
    except InvalidFilter as invalid:
        page, error = filtering.first_page(visible), invalid
    context: dict[str, Any] = {
        "nav": "administration",
        "tabs": tabs(user_of(request), "audit"),
        "error": error,
        "page_obj": page,
        "entries": _entries(page.object_list),
        "size": page.paginator.per_page,
        **_tools(request.GET, visible),
    }
    template = (
        "administration/_audit.html"
        if request.headers.get("HX-Target") == "audit-list"
        else "administration/audit.html"
    )
    return render(request, template, context, status=400 if error else 200)


def _chosen(rows: Rows, params: QueryDict) -> Rows:
    if text := filtering.text_of(params, "q"):
        known = filtering.uuid_of(text)
        match = Q(subject__icontains=text)
        rows = rows.filter(match | Q(subject_uuid=known) if known else match)
    if actor := filtering.text_of(params, "actor"):
        rows = rows.filter(actor_name=actor)
    if action := filtering.text_of(params, "action"):
        if not _ACTION.match(action):
            raise InvalidFilter("action", _("%(value)s is no name of an action.") % {"value": repr(action[:40])})
        rows = rows.filter(action=action)
    for name, choices in (("result", RESULTS), ("road", ROADS)):
        if value := filtering.choice_of(params, name, choices):
            rows = rows.filter(**{name: value})
    return filtering.between(rows, params, "at").order_by("-at", "-id")


def _tools(params: QueryDict, visible: Rows) -> dict[str, Any]:
    names = User.objects.order_by("username").values_list("username", flat=True)[:MOST_NAMES]
    return {
        "params": {name: params.get(name, "") for name in FILTERS} | {"since": params.get("from", "")},
        "actor_names": names,
        "actions": filtering.with_chosen(filtering.distinct(visible, "action"), params, "action"),
        "results": _results(),
        "roads": ROADS,
        "zone": timezone.get_current_timezone_name(),
        "ages": filtering.age_choices(),
        "sizes": filtering.SIZES,
        "active": _active(params),
    }


def _results() -> list[tuple[str, str]]:
    return list(zip(RESULTS, (_("done"), _("queued"), _("refused"), _("failed")), strict=True))


def _names() -> dict[str, str]:
    return {
        "q": _("Search"),
        "actor": _("Who"),
        "action": _("What"),
        "result": _("Result"),
        "road": _("By way of"),
        "age": _("Age"),
        "from": pgettext("time", "From"),
        "to": pgettext("time", "Until"),
    }


def _active(params: QueryDict) -> list[dict[str, str]]:
    words = {name: str(word) for name, word in ROADS.items()} | dict(_results()) | dict(filtering.age_choices())
    return [
        item | {"value": words.get(item["value"], item["value"])} for item in filtering.active_filters(params, _names())
    ]


def _entries(rows: Iterable[AuditEntry]) -> list[dict[str, Any]]:
    """What a page shows; what was queued also says how it ended."""
    entries = [_shown(entry) for entry in rows]
    wanted = [entry["operation"] for entry in entries if entry["operation"]]
    states = dict(Operation.objects.filter(pk__in=wanted).values_list("pk", "state"))
    return [entry | {"state": states.get(entry["operation"], "")} for entry in entries]


def _shown(entry: AuditEntry) -> dict[str, Any]:
    """A row with its details in words; the operation is a link instead."""
    detail = dict(entry.detail)
    operation = filtering.uuid_of(str(detail.pop("operation", "")))
    if "reason" in detail:
        detail["reason"] = said(str(detail["reason"]))
    words = ", ".join(f"{name}: {value}" for name, value in detail.items())
    result = dict(_results()).get(entry.result, entry.result)
    return {"row": entry, "operation": operation, "words": words, "result": result}
