"""What the API says of storage. Sizes in bytes."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from uuid import UUID

from ninja import Field, Schema

from hosts import storage_selection
from hosts.api_schemas import Page, Paging

_NAME = r"^[^\x00-\x1f]+$"


def _choice(names: Iterable[str]) -> str:
    return f"^({'|'.join(names)})$"


def _sort(names: Iterable[str]) -> str:
    return f"^-?({'|'.join(names)})$"


class PoolSeen(Schema):
    """A storage pool of a host, as last seen."""

    host: str
    name: str
    uuid: UUID
    type: str
    path: str
    source: str = Field(description="Where its bytes come from: server and export, device, monitors and pool.")
    active: bool
    autostart: bool
    persistent: bool
    capacity: int
    allocation: int
    available: int
    promised: int = Field(description="What its volumes may grow to.")
    volumes: int = Field(description="How many there are.")
    sharing: int = Field(description="How many hosts see the same storage; 0 when nothing says so.")
    shared_by: str = Field(description="How that is known: source, volumes, person, or nothing.")
    trouble: str = Field(description="Why it could not be read at the last look.")
    seen_at: datetime | None
    absent_since: datetime | None


class PoolRef(Schema):
    """A pool by name."""

    host: str
    name: str


class PoolDetail(PoolSeen):
    """All of a pool but its volumes."""

    shared_with: list[PoolRef]
    definition: str


class PoolPage(Page):
    """Some of the pools."""

    items: list[PoolSeen]


class PoolQuery(Paging):
    """Which pools."""

    q: str | None = Field(None, max_length=200, pattern=_NAME, description="Words in name, path or source.")
    host: str | None = Field(None, pattern=r"^[A-Za-z0-9.-]{1,63}$")
    type: str | None = Field(None, pattern=r"^[a-z-]{1,20}$")
    sort: str = Field("host", pattern=_sort(storage_selection.POOL_SORTS), description="With '-' before it descending.")


class UserOut(Schema):
    """A guest that uses a volume."""

    vm: UUID
    name: str
    host: str
    running: bool
    device: str = Field(description="disk, cdrom, floppy, lun, nvram, kernel …")
    target: str
    readonly: bool
    through: str = Field(description="The volume that lies on this one and is the guest's; '' when it is this one.")


class VolumeOut(Schema):
    """A volume, as last seen."""

    id: int
    host: str
    pool: str
    name: str
    path: str
    type: str
    format: str
    capacity: int = Field(description="What a guest sees.")
    allocation: int = Field(description="What it takes of the pool.")
    backing_path: str = Field(description="What it lies on.")
    backing_format: str
    encrypted: bool
    trouble: str
    modified: datetime | None
    seen_at: datetime | None
    absent_since: datetime | None
    users: list[UserOut]
    overlays: list[str] = Field(description="Volumes that lie on it.")


class VolumePage(Page):
    """Some of the volumes."""

    items: list[VolumeOut]


class PoolVolumeQuery(Paging):
    """Which volumes of a pool."""

    q: str | None = Field(None, max_length=200, pattern=_NAME, description="Words in name or path.")
    kind: str | None = Field(None, pattern=_choice(storage_selection.KINDS))
    use: str | None = Field(
        None, pattern=_choice(storage_selection.USES), description="used, unused, or template: written to by nobody."
    )
    format: str | None = Field(None, pattern=r"^[a-z0-9-]{1,20}$")
    seen: str | None = Field(
        None, pattern=_choice(storage_selection.SEEN), description="present unless said otherwise."
    )
    sort: str = Field(
        "name", pattern=_sort(storage_selection.VOLUME_SORTS), description="With '-' before it descending."
    )


class VolumeQuery(PoolVolumeQuery):
    """Which volumes of all pools; what several hosts share is told once."""

    host: str | None = Field(None, pattern=r"^[A-Za-z0-9.-]{1,63}$")
    pool: str | None = Field(None, max_length=200, pattern=_NAME)
    library: bool = Field(False, description="Only what new guests can be made of.")
