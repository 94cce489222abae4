"""Which guests, and in which order: search, filters and sorting as pure functions of a queryset, for pages and the API.

Values come from addresses people type, so each is checked; what is wrong raises :class:`InvalidFilter`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from django.db.models import Case, Exists, F, IntegerField, Min, OuterRef, Q, QuerySet, TextField, Value, When
from django.db.models.fields.json import KeyTextTransform
from django.db.models.functions import Cast, Lower
from django.utils.translation import gettext as _

from hosts.models import Host, Operation
from vms.models import VirtualMachine

Rows = QuerySet[VirtualMachine]
Filter = Callable[[Rows, str], Rows]

LONGEST_VALUE = 200
MOST_WORDS = 12
DEFAULT_SORT = "name"
#: the states as people want them in a list: what needs somebody first
STATE_ORDER = ("crashed", "migrating", "running", "paused", "pmsuspended", "unknown", "shutoff")


class InvalidFilter(ValueError):
    """A filter, sort or search that cannot be understood; ``field`` says which, ``message`` why, fit to be shown."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field
        self.message = message


def filter_vms(queryset: Rows, params: Mapping[str, str]) -> Rows:
    """The guests that ``params`` ask for; empty values and names that are no filters are passed over.

    Guests that no host holds any more are left out unless ``seen`` asks for them.
    """
    values = {name: _checked(name, params.get(name) or "") for name in FILTERS}
    values["seen"] = values["seen"] or "present"
    for name, value in values.items():
        if value:
            queryset = FILTERS[name](queryset, value)
    return queryset


def sort_vms(queryset: Rows, sort: str = DEFAULT_SORT) -> Rows:
    """In the order of ``sort``: a name of :data:`SORTS`, with '-' before it for descending. Unknowns come last."""
    name = sort.removeprefix("-")
    if name not in SORTS:
        raise InvalidFilter("sort", _("Guests cannot be sorted by %(name)s.") % {"name": repr(name[:40])})
    if name == "tags":
        queryset = queryset.alias(first_tag=Min("tags__name"))
    key = SORTS[name]
    order = key.desc(nulls_last=True) if sort.startswith("-") else key.asc(nulls_last=True)
    return queryset.order_by(order, Lower("name"), "uuid")


def active_filters(params: Mapping[str, str]) -> dict[str, str]:
    """The filters that are set, with their values."""
    return {name: value for name in FILTERS if (value := (params.get(name) or "").strip())}


def _checked(name: str, value: str) -> str:
    value = str(value).strip()
    if len(value) > LONGEST_VALUE:
        raise InvalidFilter(name, _("At most %(n)d characters, please.") % {"n": LONGEST_VALUE})
    if any(ord(character) < 32 for character in value):
        raise InvalidFilter(name, _("Control characters are not allowed."))
    return value


def _search(rows: Rows, text: str) -> Rows:
    """Every word must be found: in name, title, UUID, folder, host, tags, MAC or address."""
    words = text.lower().split()
    if len(words) > MOST_WORDS:
        raise InvalidFilter("q", _("Search for at most %(n)d words.") % {"n": MOST_WORDS})
    for word in words:
        rows = rows.filter(search_text__contains=word)
    return rows


def _state(rows: Rows, value: str) -> Rows:
    wanted = value.split(",")
    unknown = set(wanted) - set(VirtualMachine.PowerState.values)
    if unknown:
        raise InvalidFilter("state", _("There is no state %(state)s.") % {"state": repr(min(unknown))})
    return rows.filter(power_state__in=wanted)


def _host(rows: Rows, value: str) -> Rows:
    return rows.filter(host__name__in=value.split(","))


def _tag(rows: Rows, value: str) -> Rows:
    """All of the tags, divided by commas."""
    through = VirtualMachine.tags.through.objects.filter(virtualmachine_id=OuterRef("pk"))
    for name in filter(None, (part.strip() for part in value.split(","))):
        rows = rows.filter(Exists(through.filter(tag__name=name)))
    return rows


def _folder(rows: Rows, value: str) -> Rows:
    """The folder and those in it; '/' for guests in none."""
    folder = value.strip("/")
    if not folder:
        return rows.filter(folder="")
    return rows.filter(Q(folder=folder) | Q(folder__startswith=f"{folder}/"))


def _os(rows: Rows, value: str) -> Rows:
    return rows.filter(os_type=value)


def _seen(rows: Rows, value: str) -> Rows:
    """What we know of where it is: kept up to date, as last seen, gone from every host, or no matter what."""
    connected = Q(host__state=Host.State.CONNECTED)
    choices = {
        "present": Q(absent_since=None),
        "live": Q(absent_since=None) & connected,
        "stale": Q(absent_since=None) & (Q(host=None) | ~connected),
        "gone": Q(absent_since__isnull=False),
        "all": Q(),
    }
    if value not in choices:
        raise InvalidFilter("seen", _("Say one of %(words)s.") % {"words": ", ".join(choices)})
    return rows.filter(choices[value])


def _yes(field: str, value: str) -> bool:
    answers = {"yes": True, "true": True, "1": True, "no": False, "false": False, "0": False}
    if value.lower() not in answers:
        raise InvalidFilter(field, _("Say yes or no."))
    return answers[value.lower()]


def _flag(field: str, condition: Callable[[], Q | Exists]) -> Filter:
    def apply(rows: Rows, value: str) -> Rows:
        return rows.filter(condition()) if _yes(field, value) else rows.exclude(condition())

    return apply


def _busy() -> Exists:
    return Exists(Operation.objects.filter(subject_uuid=OuterRef("pk"), state__in=Operation.ACTIVE))


FILTERS: dict[str, Filter] = {
    "q": _search,
    "seen": _seen,
    "state": _state,
    "host": _host,
    "tag": _tag,
    "folder": _folder,
    "os": _os,
    "console": _flag("console", lambda: ~Q(graphics=[])),
    "agent": _flag("agent", lambda: Q(agent_connected=True)),
    "autostart": _flag("autostart", lambda: Q(autostart=True)),
    "persistent": _flag("persistent", lambda: Q(persistent=True)),
    "saved": _flag("saved", lambda: Q(managed_save=True)),
    "busy": _flag("busy", _busy),
}

_STATE_RANK = Case(
    *[When(power_state=state, then=Value(rank)) for rank, state in enumerate(STATE_ORDER)],
    default=Value(len(STATE_ORDER)),
    output_field=IntegerField(),
)


def _or_last(name: str) -> Any:
    """Empty words come last, as unknown figures do."""
    return Case(When(**{name: ""}, then=Value(None)), default=Lower(name), output_field=TextField())


#: name → what is sorted by
SORTS: dict[str, Any] = {
    "name": Lower("name"),
    "title": _or_last("title"),
    "state": _STATE_RANK,
    "host": Lower("host__name"),
    "folder": _or_last("folder"),
    "tags": Lower("first_tag"),
    "addresses": KeyTextTransform("address", KeyTextTransform(0, "addresses")),
    "os": _or_last("os_type"),
    "vcpus": F("vcpus"),
    "memory": F("memory"),
    "cpu": F("cpu_percent"),
    "memory_used": F("memory_used"),
    "since": F("state_since"),
    "autostart": Cast("autostart", IntegerField()),
    "seen": F("seen_at"),
}
