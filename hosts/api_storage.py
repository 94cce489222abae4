"""The API's storage: pools and volumes as last seen. Nothing here talks to a host."""

from __future__ import annotations

from typing import Annotated, Any

from django.db.models import QuerySet
from django.http import HttpRequest
from ninja import Path, Query, Router, Schema

from hosts import access, storage_selection
from hosts.api_schemas import Paging
from hosts.api_storage_schemas import (
    PoolDetail,
    PoolPage,
    PoolQuery,
    PoolRef,
    PoolSeen,
    PoolVolumeQuery,
    UserOut,
    VolumeOut,
    VolumePage,
    VolumeQuery,
)
from hosts.api_tools import columns, find, only_known, page_of
from hosts.capacity import heavy_of
from hosts.filtering import InvalidFilter
from hosts.models import StoragePool, StorageVolume
from hosts.problems import ANY, invalid
from hosts.storage_queries import once, sharers, with_sums
from hosts.storage_use import Use, use_of

router = Router(tags=["storage"])
OF_HOST = Annotated[str, Path(..., max_length=63, pattern=r"^[A-Za-z0-9.-]+$", description="The host's name here.")]
PoolName = Annotated[str, Path(..., max_length=255, pattern=r"^[^/\x00-\x1f]+$", description="The pool's name.")]


VolumeId = Annotated[int, Path(..., ge=1, le=2**53, description="The volume's number, from a list of volumes.")]


@router.get("pools", response={200: PoolPage, **ANY}, summary="List storage pools")
def pools(request: HttpRequest, query: Query[PoolQuery]) -> PoolPage:
    """Pools of all hosts, with what they hold and promise."""
    only_known(request, PoolQuery)
    rows = _chosen(storage_selection.pools, with_sums(visible_pools(request)), query)
    found, numbers = page_of(rows.defer("definition"), query)
    return PoolPage(items=[PoolSeen(**_pool(row)) for row in found], **numbers)


@router.get("pools/{host}/{name}", response={200: PoolDetail, **ANY}, summary="One storage pool")
def pool(request: HttpRequest, host: OF_HOST, name: PoolName) -> PoolDetail:
    """Facts, definition, and which other hosts' pools are the same storage."""
    row = pool_of(request, host, name)
    same = [PoolRef(host=other.host.name, name=other.name) for other in sharers(row)]
    return PoolDetail(**_pool(row), shared_with=same, definition=row.definition)


@router.get("pools/{host}/{name}/volumes", response={200: VolumePage, **ANY}, summary="List the volumes of a pool")
def pool_volumes(request: HttpRequest, host: OF_HOST, name: PoolName, query: Query[PoolVolumeQuery]) -> VolumePage:
    """Volumes with who uses each."""
    only_known(request, PoolVolumeQuery)
    return _volumes(visible_volumes(request).filter(pool=pool_of(request, host, name)), query)


@router.get("volumes", response={200: VolumePage, **ANY}, summary="List the volumes of all pools")
def volumes(request: HttpRequest, query: Query[VolumeQuery]) -> VolumePage:
    """Such as those that nobody uses (``use=unused``), or what new guests can be made of (``library=true``)."""
    only_known(request, VolumeQuery)
    rows = once(visible_volumes(request), visible_pools(request))
    return _volumes(storage_selection.library(rows) if query.library else rows, query)


@router.get("volumes/{id}", response={200: VolumeOut, **ANY}, summary="One volume")
def volume(request: HttpRequest, id: VolumeId) -> VolumeOut:  # noqa: A002 - the name in the address
    """Facts, and who uses it."""
    row = find(visible_volumes(request), pk=id)
    return volume_out(row, use_of([row])[row.pk])


def visible_pools(request: HttpRequest) -> QuerySet[StoragePool]:
    """The pools that who asks may see."""
    return access.visible_to(request.user, StoragePool.objects.all()).select_related("host").defer(*heavy_of("host__"))


def visible_volumes(request: HttpRequest) -> QuerySet[StorageVolume]:
    """The volumes that who asks may see."""
    rows = access.visible_to(request.user, StorageVolume.objects.all())
    return rows.select_related("pool__host").defer("pool__definition", *heavy_of("pool__host__"))


def pool_of(request: HttpRequest, host: str, name: str) -> StoragePool:
    """The pool, or 404."""
    rows = with_sums(visible_pools(request)).order_by("-absent_since", "-seen_at")
    return find(rows.filter(absent_since=None), host__name=host, name=name)


def volume_out(row: StorageVolume, use: Use) -> VolumeOut:
    """A volume as the API tells it."""
    own = ("host", "pool", "users", "overlays")
    users = [UserOut(vm=user.owner, running=user.active, **columns(user, _SAME_OF_USER)) for user in use.users]
    return VolumeOut(
        **columns(row, [name for name in VolumeOut.model_fields if name not in own]),
        host=row.pool.host.name,
        pool=row.pool.name,
        users=users,
        overlays=[volume.name for volume in use.overlays],
    )


_SAME_OF_USER = ("name", "host", "device", "target", "readonly", "through")


def _volumes(rows: QuerySet[StorageVolume], query: Paging) -> VolumePage:
    found, numbers = page_of(_chosen(storage_selection.volumes, rows, query), query)
    uses = use_of(found)
    return VolumePage(items=[volume_out(row, uses[row.pk]) for row in found], **numbers)


def _chosen(choose: Any, rows: QuerySet[Any], query: Schema) -> QuerySet[Any]:
    given = {name: str(value) for name, value in query.dict().items() if value not in (None, "", False)}
    try:
        chosen: QuerySet[Any] = choose(rows, given)
    except InvalidFilter as error:
        raise invalid("query", error.field, error.message) from error
    return chosen


def _pool(row: Any) -> dict[str, Any]:
    own = {"host": row.host.name, "volumes": row.volume_count, "trouble": row.trouble_words}
    return columns(row, [name for name in PoolSeen.model_fields if name not in own]) | own
