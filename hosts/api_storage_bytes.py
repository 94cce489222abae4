"""The API's roads of bytes: how an upload stands with a ticket to send to it, and a volume to be fetched."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

from django.http import HttpRequest, HttpResponseBase
from ninja import Field, Path, Schema

from hosts import access
from hosts.api_storage import VolumeId, visible_volumes
from hosts.api_storage_changes import router
from hosts.api_tools import find
from hosts.models import Filling, StorageVolume
from hosts.problems import ANY, CHANGE
from hosts.requests import actor_of
from hosts.transfer import download, standing

__all__ = ["router"]
OperationId = Annotated[UUID, Path(..., description="The operation that asking for the upload was answered with.")]


class UploadOut(Schema):
    """How an upload stands."""

    id: UUID
    operation: UUID
    name: str
    size: int
    offset: int = Field(description="Where the next byte belongs.")
    open: bool = Field(description="Whether it takes bytes; not before the volume is made.")
    state: str = Field(description="The operation's.")
    trouble: str = Field(description="Why it does not go on just now.")
    address: str = Field(description="PATCH pieces to it, with Upload-Ticket and Upload-Offset.")
    ticket: str | None = Field(description="Upload-Ticket, for an hour; null for those who may not send.")


@router.get("uploads/{id}", response={200: UploadOut, **ANY}, summary="How an upload stands")
def upload(request: HttpRequest, id: OperationId) -> UploadOut:  # noqa: A002 - the name in the address
    """Where the next byte belongs, and a ticket to send it."""
    rows = access.visible_to(request.user, Filling.objects.select_related("operation"))
    row = find(rows.filter(operation__kind=standing.KIND), operation_id=id)
    told = standing.of(row, request.user)
    names = ("id", "name", "size", "offset", "open", "state", "trouble")
    return UploadOut(
        **{name: told[name] for name in names},
        operation=row.operation_id,
        address=told["bytes"],
        ticket=told.get("ticket"),
    )


_BINARY = {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}
_BYTES: dict[str, Any] = {
    "responses": {
        200: {"description": "The bytes.", "content": _BINARY},
        206: {"description": "Those of the range that was asked for."},
        416: {"description": "The range begins after the end."},
    }
}  # fmt: skip


@router.get("volumes/{id}/download", response=dict(CHANGE), summary="Fetch a volume", openapi_extra=_BYTES)
def download_volume(request: HttpRequest, id: VolumeId) -> HttpResponseBase:  # noqa: A002
    """Its bytes as they lie there; ``Range: bytes=N-`` with ``If-Range`` goes on where it broke."""
    row: StorageVolume = find(visible_volumes(request), pk=id)
    return download.fetch(request.user, row, actor_of(request, "api"), request.headers)
