"""Which operations, and in which order, as the address asks."""

from __future__ import annotations

from typing import Any

from django.db.models import F, Q, QuerySet
from django.http import QueryDict
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import pgettext

from hosts import filtering
from hosts.models import Host, Operation
from hosts.operations.kind import registry
from hosts.operations.queue import BULK

Rows = QuerySet[Operation]
State = Operation.State
#: words for several states at once
GROUPS: dict[str, tuple[str, ...]] = {
    "active": Operation.ACTIVE,
    "trouble": (State.FAILED, State.UNKNOWN, State.REFUSED),
}
SORTS: dict[str, Any] = {
    "asked": F("created_at"),
    "what": F("kind"),
    "state": F("state"),
    "subject": F("subject_name"),
    "host": F("host_name"),
    "who": F("actor_name"),
    "took": F("finished_at") - F("started_at"),
}
DEFAULT_SORT = "-asked"
FILTERS = ("q", "state", "kind", "actor", "host", "age", "from", "to")
#: with one of these set, the parts of bulk changes are listed too: they are what acts on a guest or a host
SEARCHING = ("q", "host")


def chosen(rows: Rows, params: QueryDict) -> Rows:
    """The operations that the address asks for; raises InvalidFilter."""
    found = rows if any(params.get(name) for name in SEARCHING) else rows.filter(parent=None)
    found = filtering.between(_by_state(_by_words(found, params), params), params, "created_at")
    return filtering.sorted_by(found, params.get("sort") or DEFAULT_SORT, SORTS, "pk")


def _by_words(rows: Rows, params: QueryDict) -> Rows:
    if text := filtering.text_of(params, "q"):
        known = filtering.uuid_of(text)
        match = Q(subject_name__icontains=text)
        rows = rows.filter(match | Q(subject_uuid=known) | Q(pk=known) if known else match)
    if host := filtering.text_of(params, "host"):
        rows = rows.filter(host_name=host)
    if actor := filtering.text_of(params, "actor"):
        rows = rows.filter(actor_name=actor)
    return rows


def _by_state(rows: Rows, params: QueryDict) -> Rows:
    if state := filtering.choice_of(params, "state", [*GROUPS, *State.values]):
        rows = rows.filter(state__in=GROUPS.get(state, (state,)))
    kind = filtering.choice_of(params, "kind", [*registry, BULK])
    if kind and kind != BULK:
        # Many at once count as that kind too.
        return rows.filter(Q(kind=kind) | Q(kind=BULK, subject_name=kind))
    return rows.filter(kind=kind) if kind else rows


def tools(params: QueryDict, visible: Rows) -> dict[str, Any]:
    """What the filter form shows."""
    hosts = Host.objects.order_by("name").values_list("name", flat=True)
    return {
        "params": {name: params.get(name, "") for name in FILTERS} | {"since": params.get("from", "")},
        "states": State.values,
        "kinds": sorted(((name, str(kind.label)) for name, kind in registry.items()), key=lambda item: item[1]),
        "ages": filtering.age_choices(),
        "host_names": filtering.with_chosen(hosts, params, "host"),
        "actor_names": filtering.with_chosen(filter(None, filtering.distinct(visible, "actor_name")), params, "actor"),
        "active": _active(params),
        "zone": timezone.get_current_timezone_name(),
        "sizes": filtering.SIZES,
        "sort": params.get("sort") or DEFAULT_SORT,
    }


def _active(params: QueryDict) -> list[dict[str, str]]:
    names = {
        "q": _("Search"),
        "state": _("State"),
        "kind": _("What"),
        "actor": _("Who"),
        "host": _("Host"),
        "age": _("Age"),
        "from": pgettext("time", "From"),
        "to": pgettext("time", "Until"),
    }
    found = filtering.active_filters(params, names)
    words = dict(filtering.age_choices()) | {name: str(kind.label) for name, kind in registry.items()}
    words |= {"active": _("waiting or running"), "trouble": _("needs a look"), BULK: _("Many at once")}
    words |= {value: str(label) for value, label in State.choices}
    return [item | {"value": words.get(item["value"], item["value"])} for item in found]
