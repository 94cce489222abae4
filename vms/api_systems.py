"""Operating systems by the API: which are known, and bringing a newer osinfo-db."""

from __future__ import annotations

from datetime import datetime

from django.http import HttpRequest
from django.utils.translation import gettext as _
from ninja import Field, Query, Router, Schema, Status

from hosts import access
from hosts.api_tools import only_known
from hosts.problems import ANY, CHANGE, ProblemError
from hosts.requests import actor_of
from vms.creation import databases, osinfo
from vms.models import SystemDatabase

router = Router(tags=["vms"])
MEDIA_TYPE = "application/octet-stream"
BODY = {
    "requestBody": {
        "required": True,
        "content": {MEDIA_TYPE: {"schema": {"type": "string", "format": "binary", "maxLength": databases.MOST_BYTES}}},
    }
}


class SystemOut(Schema):
    """An operating system, as osinfo-db knows it; sizes in bytes."""

    short_id: str
    name: str
    family: str
    vendor: str
    version: str
    ended: str = Field(description="The end of its support; '' while that is not known.")
    memory: int | None
    storage: int | None


class SystemQuery(Schema):
    """Which systems."""

    q: str = Field("", max_length=200, description="Part of the name.")


class DatabaseOut(Schema):
    """Which osinfo-db counts: the newer of the one that is installed and the one that was brought."""

    version: str = Field(description="Of the one that counts.")
    count: int = Field(description="How many systems it knows.")
    installed: str = Field(description="The version of the package beside kvmdash; '' where there is none.")
    brought: str = Field(description="The version that an administrator brought last; '' where nobody did.")
    brought_by: str
    brought_at: datetime | None


@router.get("systems", response={200: list[SystemOut], **ANY}, summary="Operating systems that presets are known for")
def systems(request: HttpRequest, query: Query[SystemQuery]) -> list[SystemOut]:
    """As osinfo-db has them; their short names go into “preset”."""
    only_known(request, SystemQuery)
    words = query.q.lower().split()
    return [
        SystemOut(
            short_id=one.short_id, name=one.name, family=one.family, vendor=one.vendor, version=one.version, ended=one.ended,
            memory=one.recommended.memory or one.minimum.memory, storage=one.recommended.storage or one.minimum.storage,
        )
        for one in sorted(databases.current().systems.values(), key=lambda one: one.name.lower())
        if all(word in f"{one.name} {one.short_id}".lower() for word in words)
    ]  # fmt: skip


@router.get("systems/database", response={200: DatabaseOut, **ANY}, summary="Which osinfo-db counts")
def database(request: HttpRequest) -> DatabaseOut:
    """For administrators."""
    access.require(request.user, databases.VERB)
    return _out()


@router.put(
    "systems/database", response={200: DatabaseOut, **CHANGE}, summary="Bring a newer osinfo-db", openapi_extra=BODY
)
def bring(request: HttpRequest) -> DatabaseOut:
    """The body is the tarball itself, such as osinfo-db-20250606.tar.xz. One that is older than what counts now is refused."""
    access.require(request.user, databases.VERB)
    if request.content_type != MEDIA_TYPE:
        raise ProblemError(415, _("Send the file itself, with Content-Type: %(type)s.") % {"type": MEDIA_TYPE})
    if len(request.body) > databases.MOST_BYTES:
        raise ProblemError(413, _("It is larger than any osinfo-db."))
    databases.bring(request.body, actor_of(request, "api"))
    return _out()


@router.delete("systems/database", response={204: None, **CHANGE}, summary="Forget the osinfo-db that was brought")
def forget(request: HttpRequest) -> Status[None]:
    """Go back to what is installed."""
    databases.forget(actor_of(request, "api"))
    return Status(204, None)


def _out() -> DatabaseOut:
    known, row = databases.current(), SystemDatabase.objects.defer("data").first()
    return DatabaseOut(
        version=known.version,
        count=len(known.systems),
        installed=osinfo.installed().version,
        brought=row.version if row is not None else "",
        brought_by=row.brought_by if row is not None else "",
        brought_at=row.brought_at if row is not None else None,
    )
