"""The API's virtual networks: as last seen, and an address for each of their kinds. Nothing here talks to a host."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any
from uuid import UUID

from django.db.models import QuerySet
from django.http import HttpRequest
from ninja import Field, Path, Query, Router, Schema
from pydantic import BaseModel

from hosts import access, network_tree, network_xml
from hosts.api_networks_bodies import (
    NetworkAutostartBody,
    NetworkConfirmBody,
    NetworkDefineBody,
    NetworkEditBody,
    NetworkUpdateBody,
)
from hosts.api_schemas import NetworkOut, NoArguments, Page, Paging
from hosts.api_storage import OF_HOST
from hosts.api_storage_changes import add, host_named
from hosts.api_tools import columns, find, only_known, page_of
from hosts.capacity import heavy_of
from hosts.interface_inventory import interfaces_of
from hosts.models import Network, NetworkClaim
from hosts.operations.kind import registry
from hosts.operations.network_base import NetworkKind, users_of
from hosts.operations.network_edit import mark
from hosts.problems import ANY
from hosts.requests import user_of

router = Router(tags=["networks"])
NetworkName = Annotated[str, Path(..., max_length=255, pattern=r"^[^/\x00-\x1f]+$", description="The network's name.")]
#: kind → what it takes
ARGUMENTS: dict[str, type[BaseModel]] = {
    "network-start": NoArguments,
    "network-stop": NetworkConfirmBody,
    "network-autostart": NetworkAutostartBody,
    "network-delete": NetworkConfirmBody,
    "network-edit": NetworkEditBody,
    "network-update": NetworkUpdateBody,
}


class NetworkSeen(NetworkOut):
    """A virtual network of a host, as last seen."""

    host: str
    persistent: bool


class NetworkPage(Page):
    """Some of the networks."""

    items: list[NetworkSeen]


class NetworkQuery(Paging):
    """Which networks."""

    q: str | None = Field(None, max_length=200, pattern=r"^[^\x00-\x1f]+$", description="A part of the name.")
    host: str | None = Field(None, pattern=r"^[A-Za-z0-9.-]{1,63}$")


class LeaseOut(Schema):
    """Who has which address."""

    mac: str
    address: str
    prefix: int
    hostname: str
    client_id: str
    expires_at: datetime | None = Field(description="Null: for ever.")


class CardOut(Schema):
    """A guest's network card that is connected to it."""

    vm: UUID
    name: str
    running: bool
    mac: str
    model: str
    portgroup: str
    target: str = Field(description="The device on the host, while it runs.")


class NetworkDetail(NetworkSeen):
    """All of a network."""

    fields: dict[str, Any] = Field(description="As network-edit takes them; only `mode`, empty, of one that it cannot.")
    mark: str = Field(description="What network-edit takes as `base`.")
    definition: str = Field(description="As it is now.")
    next_definition: str = Field(description="As it is started next.")
    leases: list[LeaseOut]
    leases_seen_at: datetime | None
    cards: list[CardOut]


@router.get("networks", response={200: NetworkPage, **ANY}, summary="List virtual networks")
def networks(request: HttpRequest, query: Query[NetworkQuery]) -> NetworkPage:
    """Networks of all hosts."""
    only_known(request, NetworkQuery)
    rows = (
        visible_networks(request).defer("definition", "next_definition", "leases").order_by("name", "host__name", "pk")
    )
    if query.q:
        rows = rows.filter(name__icontains=query.q)
    if query.host:
        rows = rows.filter(host__name=query.host)
    found, numbers = page_of(rows, query)
    return NetworkPage(items=[NetworkSeen(**_seen(row)) for row in found], **numbers)


@router.get("networks/{host}/{name}", response={200: NetworkDetail, **ANY}, summary="One virtual network")
def network(request: HttpRequest, host: OF_HOST, name: NetworkName) -> NetworkDetail:
    """Its fields and definitions, who has addresses from it, and which guests' cards are connected."""
    row = network_named(request, host, name)
    cards = access.visible_to(request.user, NetworkClaim.objects.filter(pk__in=[card.pk for card in users_of(row)]))
    return NetworkDetail(
        **_seen(row),
        fields=_fields(row),
        mark=mark(row.stored_definition),
        definition=row.definition,
        next_definition=row.stored_definition,
        leases=[_lease(lease) for lease in row.leases] if row.active else [],
        leases_seen_at=row.leases_seen_at,
        cards=[_card(card) for card in cards.order_by("owner_name", "mac", "pk")],
    )


class InterfaceOut(Schema):
    """A bridge, bond, VLAN or network device of a host."""

    name: str
    kind: str = Field(description="ethernet, bridge, bond, vlan.")
    active: bool
    link: str = Field(description="up, down …; '' where it is not known.")
    speed: int = Field(description="Mbit/s; 0 where it is not known.")
    mac: str
    mtu: int
    addresses: list[str]
    members: list[str] = Field(description="What is plugged into it, or carries it.")
    tag: int = Field(description="Of a VLAN.")
    parent: str = Field(description="The device of the host that it is on.")
    networks: list[str] = Field(description="Virtual networks whose bridge it is.")
    cards: int = Field(description="Guests' network cards that name it.")


class InterfacesOut(Schema):
    """What a host told of its bridges and network devices."""

    interfaces: list[InterfaceOut]
    trouble: str = Field(description="Why its interface driver did not tell; '' where it did.")
    seen_at: datetime | None


@router.get(
    "hosts/{name}/interfaces", response={200: InterfacesOut, **ANY}, summary="Bridges and network devices of a host"
)
def interfaces(request: HttpRequest, name: OF_HOST) -> InterfacesOut:
    """Those that are not guests', with the networks and cards that name them."""
    return InterfacesOut(**interfaces_of(host_named(request, name), user_of(request)))


def visible_networks(request: HttpRequest) -> QuerySet[Network]:
    """The networks that who asks may see."""
    return access.visible_to(request.user, Network.objects.all()).select_related("host").defer(*heavy_of("host__"))


def network_named(request: HttpRequest, host: str, name: str) -> Network:
    """The network, or 404."""
    return find(visible_networks(request).filter(absent_since=None), host__name=host, name=name)


def _seen(row: Network) -> dict[str, Any]:
    return columns(row, [name for name in NetworkSeen.model_fields if name != "host"]) | {"host": row.host.name}


def _fields(row: Network) -> dict[str, Any]:
    try:
        return network_xml.read(network_tree.parse(row.stored_definition))
    except network_tree.Malformed:
        return {"mode": ""}


def _lease(lease: dict[str, Any]) -> LeaseOut:
    until = lease["expires"]
    rest = {name: value for name, value in lease.items() if name != "expires"}
    return LeaseOut(**rest, expires_at=datetime.fromtimestamp(until, UTC) if until else None)


def _card(card: NetworkClaim) -> CardOut:
    same = columns(card, ("mac", "model", "portgroup", "target"))
    return CardOut(vm=card.owner, name=card.owner_name, running=card.active, **same)


for _name, _kind in sorted(registry.items()):
    if isinstance(_kind, NetworkKind):
        _path = f"networks/{{host}}/{{name}}/{_name.removeprefix('network-')}"
        add(_kind, _path, {"host": OF_HOST, "name": NetworkName}, network_named, ARGUMENTS[_name], router)
    elif _name == "network-define":
        add(_kind, f"hosts/{{name}}/{_name}", {"name": OF_HOST}, host_named, NetworkDefineBody, router)
