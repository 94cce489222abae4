"""Filters, page numbers and times as people type them into addresses: each is checked; what is wrong is said."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any, TypeVar
from urllib.parse import urlencode

from django.core.cache import cache
from django.core.paginator import Page, Paginator
from django.db.models import QuerySet
from django.http import QueryDict
from django.utils import timezone
from django.utils.dateparse import parse_date, parse_datetime
from django.utils.translation import gettext as _

Rows = TypeVar("Rows", bound=QuerySet[Any])
SIZES = (25, 50, 100, 200)
DEFAULT_SIZE = 50
MOST_DIGITS = 7
MOST_VALUES = 300
VALUES_SECONDS = 60
LONGEST_VALUE = 200
AGES = {"1h": timedelta(hours=1), "24h": timedelta(hours=24), "7d": timedelta(days=7), "30d": timedelta(days=30)}


class InvalidFilter(ValueError):
    """A filter, sort or page that cannot be understood; ``field`` says which, ``message`` why, fit to be shown."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field
        self.message = message


def text_of(params: Mapping[str, str], name: str) -> str:
    """A text to look for: not too long, and nothing a database chokes on."""
    value = (params.get(name) or "").strip()
    if len(value) > LONGEST_VALUE or "\x00" in value:
        raise InvalidFilter(name, _("What “%(name)s” looks for is too long or not text.") % {"name": name})
    return value


def choice_of(params: Mapping[str, str], name: str, choices: Collection[str]) -> str:
    """One of ``choices``, or '' where nothing is chosen."""
    value = params.get(name) or ""
    if value and value not in choices:
        raise InvalidFilter(
            name, _("%(value)s is no choice for “%(name)s”.") % {"value": repr(value[:40]), "name": name}
        )
    return value


def time_of(params: Mapping[str, str], name: str) -> datetime | None:
    """A moment such as 2026-01-31T14:00, in the time zone of the page; a day alone is its beginning."""
    value = (params.get(name) or "").strip()
    if not value:
        return None
    try:
        found = parse_datetime(value) or _midnight(value)
        if found is None:
            raise ValueError
        aware = timezone.make_aware(found) if timezone.is_naive(found) else found
        return aware.astimezone(timezone.get_default_timezone())
    except (ValueError, OverflowError):
        message = _("%(value)s is no time; write it as 2026-01-31T14:00.") % {"value": repr(value[:40])}
        raise InvalidFilter(name, message) from None


def _midnight(value: str) -> datetime | None:
    day = parse_date(value)
    return datetime(day.year, day.month, day.day) if day else None  # noqa: DTZ001 - made aware by the caller


def age_choices() -> list[tuple[str, str]]:
    """:data:`AGES` with their words."""
    words = (_("Last hour"), _("Last 24 hours"), _("Last 7 days"), _("Last 30 days"))
    return list(zip(AGES, words, strict=True))


def between(rows: Rows, params: Mapping[str, str], field: str) -> Rows:
    """Those whose ``field`` is as young as ``age`` says, and lies between ``from`` and ``to``."""
    if age := choice_of(params, "age", AGES):
        rows = rows.filter(**{f"{field}__gte": timezone.now() - AGES[age]})
    if begin := time_of(params, "from"):
        rows = rows.filter(**{f"{field}__gte": begin})
    if end := time_of(params, "to"):
        rows = rows.filter(**{f"{field}__lt": end})
    return rows


def uuid_of(text: str) -> uuid.UUID | None:
    """The UUID, if the text is one."""
    try:
        return uuid.UUID(text)
    except (ValueError, AttributeError, TypeError):
        return None


def number_of(params: Mapping[str, str], name: str, default: int) -> int:
    """A positive number."""
    text = params.get(name) or str(default)
    if not (text.isascii() and text.isdecimal() and len(text) <= MOST_DIGITS and int(text) > 0):
        raise InvalidFilter(name, _("%(text)s is no number of a page.") % {"text": repr(text[:40])})
    return int(text)


def page_of(rows: QuerySet[Any], params: Mapping[str, str], size: int = 0) -> Page[Any]:
    """The page that the address names, or the last one when rows have gone since it was made."""
    per_page = size or number_of(params, "size", DEFAULT_SIZE)
    if not size and per_page not in SIZES:
        raise InvalidFilter("size", _("A page has 25, 50, 100 or 200 rows."))
    paginator = Paginator(rows, per_page)
    return paginator.page(min(number_of(params, "page", 1), paginator.num_pages))


def first_page(rows: QuerySet[Any]) -> Page[Any]:
    """An empty page, shown beside a message about the address."""
    return Paginator(rows.none(), DEFAULT_SIZE).page(1)


def sorted_by(rows: Rows, sort: str, sorts: Mapping[str, Any], last: str) -> Rows:
    """In the order of ``sort``: a name of ``sorts``, with '-' before it for descending; then by ``last``, to be stable."""
    name = sort.removeprefix("-")
    if name not in sorts:
        raise InvalidFilter("sort", _("The list cannot be sorted by %(name)s.") % {"name": repr(name[:40])})
    key = sorts[name]
    return rows.order_by(key.desc(nulls_last=True) if sort.startswith("-") else key.asc(nulls_last=True), last)


def active_filters(params: QueryDict, names: Mapping[str, str]) -> list[dict[str, str]]:
    """The filters that are set, each with the address without it."""
    return [
        {"name": label, "value": str(params[name]), "url": f"?{_without(params, name)}"}
        for name, label in names.items()
        if params.get(name)
    ]


def _without(params: QueryDict, name: str) -> str:
    return urlencode([(key, value) for key, value in params.items() if key not in (name, "page")])


def distinct(rows: QuerySet[Any], field: str) -> list[str]:
    """The values a column has; remembered for a while, since finding them reads every row."""
    key = f"distinct:{rows.model._meta.label_lower}:{field}"

    def find() -> list[str]:
        return list(rows.order_by(field).values_list(field, flat=True).distinct()[:MOST_VALUES])

    return cache.get_or_set(key, find, VALUES_SECONDS) or []


def with_chosen(names: Iterable[str], params: Mapping[str, str], field: str) -> list[str]:
    """The choices, and what the address asks for even when it is none of them: the form shows what is filtered."""
    found, chosen = list(names), params.get(field, "")
    return found if not chosen or chosen in found else [*found, chosen]
