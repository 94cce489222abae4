"""The API's network filters: as last seen, and an address for each of their kinds. Nothing here talks to a host."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated
from uuid import UUID

from django.http import HttpRequest
from ninja import Field, Path, Query, Router, Schema
from pydantic import BaseModel

from hosts import access, filter_xml
from hosts.api_networks import NetworkQuery
from hosts.api_schemas import Body, NoArguments, Page
from hosts.api_storage import OF_HOST
from hosts.api_storage_changes import add, host_named
from hosts.api_tools import columns, find, only_known, page_of
from hosts.filter_inventory import cards_of, takers_of
from hosts.models import NetworkClaim, NetworkFilter
from hosts.operations.filter_base import FilterKind
from hosts.operations.kind import registry
from hosts.problems import ANY
from hosts.requests import user_of
from hosts.views.filters import visible_filters

router = Router(tags=["networks"])
FilterName = Annotated[str, Path(..., pattern=rf"^{filter_xml.NAME}$", description="The filter's name.")]


class FilterDefineBody(Body):
    """A new filter."""

    definition: str = Field(min_length=1, max_length=filter_xml.MOST, description="The XML of a <filter>.")


class FilterEditBody(FilterDefineBody):
    """Another definition."""

    base: str = Field(pattern=r"^[0-9a-f]{32}$", description="The `mark` of the definition that it was made from.")


#: kind → what it takes
ARGUMENTS: dict[str, type[BaseModel]] = {"filter-edit": FilterEditBody, "filter-delete": NoArguments}


class FilterSeen(Schema):
    """A network filter of a host, as last seen."""

    host: str
    name: str
    uuid: UUID
    chain: str
    references: list[str] = Field(description="Filters that it takes in.")
    seen_at: datetime | None
    absent_since: datetime | None


class FilterPage(Page):
    """Some of the filters."""

    items: list[FilterSeen]


class FilterCard(Schema):
    """A guest's network card that has it."""

    vm: UUID
    name: str
    running: bool
    mac: str


class FilterDetail(FilterSeen):
    """All of a filter."""

    definition: str
    mark: str = Field(description="What filter-edit takes as `base`.")
    taken_in_by: list[str] = Field(description="Filters that take it in.")
    cards: list[FilterCard]


@router.get("filters", response={200: FilterPage, **ANY}, summary="List network filters")
def filters(request: HttpRequest, query: Query[NetworkQuery]) -> FilterPage:
    """Filters of all hosts."""
    only_known(request, NetworkQuery)
    rows = visible_filters(user_of(request)).defer("definition").order_by("name", "host__name", "pk")
    if query.q:
        rows = rows.filter(name__icontains=query.q)
    if query.host:
        rows = rows.filter(host__name=query.host)
    found, numbers = page_of(rows, query)
    return FilterPage(items=[_seen(row) for row in found], **numbers)


@router.get("filters/{host}/{name}", response={200: FilterDetail, **ANY}, summary="One network filter")
def filter_(request: HttpRequest, host: OF_HOST, name: FilterName) -> FilterDetail:
    """Its XML, and who uses it."""
    row = filter_named(request, host, name)
    claims = NetworkClaim.objects.filter(pk__in=[card.pk for card in cards_of(row)])
    cards = access.visible_to(request.user, claims).order_by("owner_name", "mac", "pk")
    return FilterDetail(
        **_seen(row).model_dump(),
        definition=row.definition,
        mark=filter_xml.mark(row.definition),
        taken_in_by=takers_of(row),
        cards=[FilterCard(vm=card.owner, name=card.owner_name, running=card.active, mac=card.mac) for card in cards],
    )


def filter_named(request: HttpRequest, host: str, name: str) -> NetworkFilter:
    """The filter, or 404."""
    return find(visible_filters(user_of(request)).filter(absent_since=None), host__name=host, name=name)


def _seen(row: NetworkFilter) -> FilterSeen:
    return FilterSeen(**columns(row, [name for name in FilterSeen.model_fields if name != "host"]), host=row.host.name)


for _name, _kind in sorted(registry.items()):
    if isinstance(_kind, FilterKind):
        _path = f"filters/{{host}}/{{name}}/{_name.removeprefix('filter-')}"
        add(_kind, _path, {"host": OF_HOST, "name": FilterName}, filter_named, ARGUMENTS[_name], router)
    elif _name == "filter-define":
        add(_kind, f"hosts/{{name}}/{_name}", {"name": OF_HOST}, host_named, FilterDefineBody, router)
