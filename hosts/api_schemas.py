"""What the API says of hosts, operations and people."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from ninja import Field, Schema
from pydantic import BaseModel, ConfigDict, JsonValue, model_validator

from hosts.models import Host, Operation
from hosts.operations.kind import registry

MOST_PAGES = 100_000
MOST_ON_PAGE = 500


class Paging(Schema):
    """Which page of a list."""

    page: int = Field(1, ge=1, le=MOST_PAGES, description="Pages count from 1; one after the last is empty.")
    page_size: int = Field(50, ge=1, le=MOST_ON_PAGE)


class Page(Schema):
    """What all lists have in common."""

    count: int = Field(description="How many there are on all pages.")
    page: int
    page_size: int


def _signals() -> list[JsonValue]:
    """What any kind knows; read when the description is made, since kinds register themselves."""
    return [*sorted({signal for kind in registry.values() for signal in kind.signals})]


class Body(BaseModel):
    """What is sent: nothing that is not named, and JSON types are not guessed."""

    model_config = ConfigDict(extra="forbid", strict=True)

    @model_validator(mode="before")
    @classmethod
    def _read_whole_numbers(cls, given: Any) -> Any:
        """JSON knows no difference between 7 and 7.0."""
        if not isinstance(given, dict):
            return given
        return {name: int(one) if isinstance(one, float) and one.is_integer() else one for name, one in given.items()}


class AnyArguments(BaseModel):
    """Arguments of a kind that describes none of its own."""

    model_config = ConfigDict(extra="allow")


class NoArguments(Body):
    """This takes no arguments."""


class TestArguments(Body):
    """What follows from a test."""

    enable: bool = Field(False, description="Enable the host once the test has passed.")


class SignalBody(Body):
    """What is asked of a running operation."""

    name: str = Field(
        max_length=20,
        description="One that the operation's kind knows, such as bandwidth.",
        json_schema_extra=lambda schema: schema.update(enum=_signals()),
    )
    arguments: dict[str, Any] = Field({}, description='Such as {"bandwidth": 200} (MiB/s, 0 for no limit).')


class Me(Schema):
    """Who asks, and what they may do."""

    username: str
    name: str
    role: str
    may_watch_consoles: bool
    verbs: dict[str, bool] = Field(description="Every verb with whether it is allowed.")
    token: str | None = Field(description="The name of the token used, if one was.")
    token_expires_at: datetime | None


class Guests(Schema):
    """Numbers of guests."""

    total: int
    running: int


class HostOut(Schema):
    """A host. Memory in bytes; figures as last measured."""

    name: str
    uri: str
    description: str
    enabled: bool
    maintenance_since: datetime | None = Field(description="Since when new guests and moves keep away from it.")
    state: str = Field(json_schema_extra={"enum": list(Host.State.values)})
    state_text: str = Field(description="Why it is not connected, in plain words.")
    state_since: datetime
    seen_at: datetime | None
    transport: str
    hostname: str
    libvirt_version: str
    hypervisor_type: str
    hypervisor_version: str
    arch: str
    cpu_model: str
    cpus: int
    memory: int
    cpu_percent: float | None
    memory_used: int | None
    guests: Guests


class Credentials(Schema):
    """Which credentials are set. They themselves are never told."""

    sasl_username: bool
    sasl_password: bool
    tls_ca: bool
    tls_certificate: bool
    tls_key: bool
    ssh_key: bool
    ssh_host_key: bool


class PoolOut(Schema):
    """A storage pool; sizes in bytes."""

    name: str
    uuid: UUID
    type: str
    path: str
    active: bool
    autostart: bool
    capacity: int
    allocation: int
    available: int
    seen_at: datetime | None
    absent_since: datetime | None


class NetworkOut(Schema):
    """A virtual network."""

    name: str
    uuid: UUID
    bridge: str
    forward: str
    addresses: list[Any]
    active: bool
    autostart: bool
    seen_at: datetime | None
    absent_since: datetime | None


class HostDetail(HostOut):
    """All of a host."""

    state_detail: str = Field(description="libvirt's own words.")
    peer_uri: str
    reconciled_at: datetime | None
    sockets: int
    cores: int
    threads: int
    mhz: int
    cells: list[Any] = Field(description="NUMA cells.")
    credentials: Credentials
    pools: list[PoolOut]
    networks: list[NetworkOut]


class HostPage(Page):
    """Some of the hosts."""

    items: list[HostOut]


class OperationOut(Schema):
    """One asked-for change."""

    id: UUID
    url: str = Field(description="Where to ask how it goes.")
    kind: str
    label: str
    state: str = Field(json_schema_extra={"enum": list(Operation.State.values)})
    subject: str = Field(description="The name of what it acts on, as it was.")
    vm: UUID | None
    host: str | None
    parent: UUID | None = Field(description="The bulk operation it is part of.")
    actor: str
    arguments: dict[str, Any]
    virsh: str = Field(description="The same change as a command.")
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    duration: float | None = Field(description="Seconds it ran, so far.")
    percent: float | None
    progress: dict[str, Any] = Field(description="Figures of the kind's own; sizes in bytes, rates in bytes a second.")
    progress_text: str
    result: dict[str, Any]
    error: dict[str, Any] | None = Field(description="message says it plainly; code, domain and detail are libvirt's.")
    cancellable: bool = Field(description="Whether you could cancel it now.")


class LogLine(Schema):
    """One line an operation said."""

    serial: int
    at: datetime
    level: str
    text: str


class OperationDetail(OperationOut):
    """All of an operation."""

    signals: list[str] = Field(description="What may be asked of it while it runs.")
    log: list[LogLine]
    children: list[OperationOut] = Field(description="The single changes of a bulk operation.")


class OperationPage(Page):
    """Some of the operations, newest first."""

    items: list[OperationOut]


_STATES = "|".join(Operation.State.values)


class OperationQuery(Paging):
    """Which operations."""

    state: str | None = Field(
        None, max_length=100, pattern=rf"^({_STATES})(,({_STATES}))*$", description="One or more, divided by commas."
    )
    kind: str | None = Field(None, pattern=r"^[a-z][a-z0-9-]{0,39}$", description="Such as migrate, or bulk.")
    actor: str | None = Field(None, min_length=1, max_length=150, pattern=r"^[^\x00-\x1f]+$")
    host: str | None = Field(None, pattern=r"^[A-Za-z0-9.-]{1,63}$")
    vm: UUID | None = None
    parent: UUID | None = Field(None, description="The children of this bulk operation.")
    since: str | None = Field(
        None, max_length=40, json_schema_extra={"format": "date-time"}, description="Asked for at this time or later."
    )
