"""The API's definitions: the one of now, and the history of each guest."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from django.db.models import QuerySet
from django.http import Http404, HttpRequest
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop
from ninja import Field, Query, Router, Schema

from hosts import access
from hosts.api_schemas import Body, Page, Paging
from hosts.api_tools import find, only_known, page_of
from hosts.problems import ANY
from vms import history
from vms.models import DefinitionVersion, VirtualMachine

router = Router(tags=["vms"])
#: a version's key is a number of the database
MOST_NUMBER = 2**63 - 1
#: what :func:`hosts.api_tools.find` may not find, for the catalogue of translations
THINGS = (gettext_noop("definition version"),)


class DefineArguments(Body):
    """Another definition, or the number of a version to restore; and what it was made from."""

    model_config = Body.model_config | {
        "json_schema_extra": {"oneOf": [{"required": ["definition"]}, {"required": ["version"]}]}
    }

    base: str = Field(
        pattern=r"^[0-9a-f]{64}$",
        description="The digest of the definition that this one was made from; when it is another by now: 409, or refused.",
    )
    definition: str = Field(
        "", max_length=2**20, description="The domain XML. Secrets that it does not name stay as they are."
    )
    version: int = Field(0, ge=1, le=MOST_NUMBER, description="The number of a version of the history.")
    check_schema: bool = Field(True, description="Let the host's libvirt check it against its schema.")
    keep_secrets: bool = Field(True, description="Keep passwords that the definition does not name.")


class DefinitionQuery(Schema):
    """Which of the two."""

    kind: Literal["inactive", "live"] = Field("inactive", description="As it will boot next, or as it runs.")


class DefinitionOut(Schema):
    """A definition, without secrets."""

    kind: str
    host: str
    seen_at: datetime
    digest: str = Field(
        description="Of what it means: the base of a change. Of a live one, without what belongs to the run."
    )
    version: int | None = Field(description="Its number in the history.")
    definition: str


class VersionOut(Schema):
    """A definition that was seen."""

    number: int
    kind: str
    host: str
    seen_at: datetime
    digest: str
    actor: str | None = Field(description="Who made it, where an operation of kvmdash did.")
    operation: UUID | None
    changes: list[list[str | None]] = Field(
        description="What it changed: path, before, after; the first of them, and long values cut."
    )
    changes_count: int


class VersionDetail(VersionOut):
    """One with its text."""

    definition: str = Field(description="The domain XML, without secrets.")


class VersionPage(Page):
    """Some of the versions."""

    items: list[VersionOut]


def _guest(request: HttpRequest, uuid: UUID) -> VirtualMachine:
    return find(access.visible_to(request.user, VirtualMachine.objects.select_related("host")), uuid=uuid)


def _versions(request: HttpRequest, vm: VirtualMachine) -> QuerySet[DefinitionVersion]:
    return access.visible_to(request.user, history.versions_of(vm.pk))


@router.get("vms/{uuid}/definition", response={200: DefinitionOut, **ANY}, summary="A guest's definition")
def definition(request: HttpRequest, uuid: UUID, query: Query[DefinitionQuery]) -> DefinitionOut:
    """The domain XML where the guest is, as last seen. 404 for a live one of a guest that is off."""
    only_known(request, DefinitionQuery)
    sighting = history.sighting_of(_guest(request, uuid))
    text = getattr(sighting, f"{query.kind}_definition", "")
    is_off = sighting is not None and sighting.power_state == VirtualMachine.PowerState.SHUTOFF
    if sighting is None or not text or (query.kind == "live" and is_off):
        raise Http404(_("There is no such definition."))
    counts = history.definition_of(sighting)[0] == query.kind
    return DefinitionOut(
        kind=query.kind,
        host=sighting.host.name,
        seen_at=sighting.seen_at,
        digest=history.digest_now(sighting) if counts else history.meaning(query.kind, text),
        version=sighting.version_id if counts else None,
        definition=text,
    )


@router.get("vms/{uuid}/definitions", response={200: VersionPage, **ANY}, summary="The history of a definition")
def definitions(request: HttpRequest, uuid: UUID, query: Query[Paging]) -> VersionPage:
    """Every definition that was seen, by whomever it was made; the newest first."""
    only_known(request, Paging)
    rows, numbers = page_of(_versions(request, _guest(request, uuid)), query)
    return VersionPage(items=[VersionOut(**_version(row)) for row in rows], **numbers)


@router.get("vms/{uuid}/definitions/{number}", response={200: VersionDetail, **ANY}, summary="One version")
def version(request: HttpRequest, uuid: UUID, number: int) -> VersionDetail:
    """One definition of the history, with its text."""
    vm = _guest(request, uuid)
    row = find(_versions(request, vm), pk=number if 0 < number <= MOST_NUMBER else 0)
    return VersionDetail(**_version(row), definition=row.text)


def _version(row: DefinitionVersion) -> dict[str, Any]:
    return {
        "number": row.pk,
        "kind": row.kind,
        "host": row.host_name,
        "seen_at": row.seen_at,
        "digest": history.digest_of(row),
        "actor": row.actor_name or None,
        "operation": row.operation_id,
        "changes": row.changes,
        "changes_count": row.changes_count,
    }
