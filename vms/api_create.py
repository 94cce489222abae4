"""New guests by the API: asked for, or only looked at before."""

from __future__ import annotations

import uuid
from typing import Annotated, Any, Literal

from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from ninja import Field, Router, Schema
from pydantic import StringConstraints

from hosts import access
from hosts.api_schemas import Body, OperationOut
from hosts.api_tools import Accepted, accepted, sent
from hosts.models import Host
from hosts.problems import CHANGE
from hosts.requests import actor_of
from vms.creation import asking, seed, wanted
from vms.creation.hardware import BUSES, CARDS, FIRMWARES, MACHINES, PROCESSORS, VIDEOS, VIRTS
from vms.creation.placement import BEST, Candidate

HIDDEN = r"\x00-\x1f\x7f"


# The limits stand inside of what may be null: the description would not tell them otherwise.
Processors = Annotated[int, Field(ge=1, le=wanted.MOST_VCPUS)]
Memory = Annotated[int, Field(ge=wanted.LEAST_MEMORY, le=wanted.MOST_MEMORY)]
Size = Annotated[int, Field(ge=wanted.LEAST_SIZE, le=wanted.MOST_SIZE)]
Word = Annotated[str, StringConstraints(max_length=255, pattern=rf"^[^{HIDDEN}]*$")]
VolumeName = Annotated[str, StringConstraints(max_length=1300, pattern=rf"^[^/{HIDDEN}]+/[^{HIDDEN}]+$")]
#: what is no word is no other property either, which pydantic's schema leaves open
Networks = Annotated[
    dict[Word, Word], Field(max_length=wanted.MOST_LISTED, json_schema_extra={"additionalProperties": False})
]
Line = Annotated[str, StringConstraints(min_length=1, max_length=20_000, pattern=rf"^[^{HIDDEN}]+$")]


class SeedBody(Body):
    """What cloud-init is told at the first boot. The password is hashed at once, and neither it nor raw user-data is told again."""

    hostname: Annotated[
        str, StringConstraints(max_length=253, pattern=r"^[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?$")
    ] = Field("", description="Left out: the guest's name.")
    user: Annotated[str, StringConstraints(max_length=32, pattern=r"^([a-z_][a-z0-9_-]{0,31})?$")] = ""
    password: str = Field("", max_length=seed.MOST_PASSWORD, pattern=rf"^[^{HIDDEN}]*$")
    ssh_keys: list[Line] = Field([], max_length=wanted.MOST_LISTED, description="Public keys.")
    packages: list[Line] = Field([], max_length=wanted.MOST_LISTED)
    address: Word = Field("", description="Such as 192.0.2.7/24; left out: DHCP.")
    gateway: Word = ""
    dns: list[Line] = Field([], max_length=wanted.MOST_LISTED)
    user_data: str = Field(
        "", max_length=seed.MOST_USER_DATA, description="Instead of user, keys and packages: a #cloud-config document."
    )


class CreateBody(Body):
    """A new guest. What is left out is as its system and its host suggest."""

    name: str = Field(
        min_length=1, max_length=80, pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.+{}-]*$",
        description="Several at once: web-{1..5}, web-{01..12}.",
    )  # fmt: skip
    road: Literal[wanted.ROADS] = Field(description="What it is made from.")  # type: ignore[valid-type]
    host: Word = Field(BEST, description="A host, or “best”: where it fits and most memory is left.")
    preset: Word = Field("", description="The short name of a system, as GET systems tells them.")
    vcpus: Processors | None = None
    memory: Memory | None = Field(None, description="Bytes.")
    size: Size | None = Field(None, description="Of its disk, in bytes.")
    pool: Word = Field("", description="Where its disk is made; of a copy: left out, beside the first one's.")
    allocate: bool = Field(False, description="Take the disk's whole size at once.")
    image: VolumeName | None = Field(
        None,
        description="Roads cloud, import: the image, as pool/volume; ova: the appliance, once it was read (volumes/{id}/read-ova).",
    )  # fmt: skip
    linked: bool = Field(False, description="The disk lies on the image (of a copy: on the template's disk).")
    iso: VolumeName | None = Field(None, description="Road install: the CD image, as pool/volume.")
    drivers: VolumeName | None = Field(None, description="A second CD, such as virtio-win for Windows.")
    pxe: bool = Field(False, description="Road install: boot from the network.")
    network: Word = Field("", description="Left out: no network card.")
    networks: Networks | None = Field(
        None,
        description="Road ova: for each network that the appliance names the host's; those left out are as “network” says.",
    )  # fmt: skip
    source: uuid.UUID | None = Field(
        None, strict=False, description="Road clone: the guest that is copied; it must be off."
    )
    firmware: Literal[FIRMWARES] | None = Field(None, description="secure: UEFI with Secure Boot.")  # type: ignore[valid-type]
    machine: Literal[MACHINES] | None = None  # type: ignore[valid-type]
    cpu: Literal[PROCESSORS] | None = None  # type: ignore[valid-type]
    bus: Literal[BUSES] | None = None  # type: ignore[valid-type]
    card: Literal[CARDS] | None = None  # type: ignore[valid-type]
    video: Literal[VIDEOS] | None = None  # type: ignore[valid-type]
    virt: Literal[VIRTS] | None = Field(None, description="qemu: emulated, slow, runs everywhere.")  # type: ignore[valid-type]
    tpm: bool | None = Field(None, description="An emulated TPM 2.0.")
    seed: SeedBody | None = None
    start: bool = False
    autostart: bool = False


class FindingOut(Schema):
    """Something about the plan: “wrong” keeps the guest from being made."""

    level: Literal["wrong", "warning", "note"]
    field: str
    text: str


class CandidateOut(Schema):
    """A host."""

    host: str
    fits: bool
    reason: str = Field(description="Why not.")
    note: str


class PlanOut(Schema):
    """What would be done."""

    host: str | None = Field(description="Where the first one would be made.")
    names: list[str]
    hosts: list[CandidateOut]
    findings: list[FindingOut]
    definition: str
    command: str


def add_to(router: Router) -> None:
    """Add the routes to the router that has the guests' addresses; before one that takes any word for a guest."""
    router.post("vms", response={202: OperationOut, **CHANGE}, summary="Make a guest, or several")(create)
    router.post("vms/plan", response={200: PlanOut, **CHANGE}, summary="Look what making a guest would do")(plan)


def create(request: HttpRequest, response: HttpResponse, body: CreateBody) -> Accepted:
    """By one of five roads: install (from a CD image or the network), cloud (an image with a seed), import, ova, clone."""
    host, given = _given(body)
    return accepted(request, response, asking.ask(_hosts(request), host, given, actor_of(request, "api")))


def plan(request: HttpRequest, body: CreateBody) -> PlanOut:
    """The checks, the hosts with reasons, the definition and the same as a command. Nothing is changed."""
    access.require(request.user, "vm.create")
    host, given = _given(body)
    looked = asking.preview(_hosts(request), host, given)
    chosen = looked.chosen
    return PlanOut(
        host=chosen.host.name if chosen.fits else None,
        names=looked.names,
        hosts=[_candidate(one) for one in looked.found],
        findings=[FindingOut(level=one.level, field=one.field, text=one.text) for one in chosen.review.findings],
        definition=looked.definition,
        command=looked.command,
    )


def _hosts(request: HttpRequest) -> QuerySet[Host]:
    return access.visible_to(request.user, Host.objects.all())


def _given(body: CreateBody) -> tuple[str, dict[str, Any]]:
    """The host, and what was said without what was not."""
    given = {name: value for name, value in sent(body).items() if value is not None}
    if "source" in given:
        given["source"] = str(given["source"])
    return str(given.pop("host", BEST)), given


def _candidate(one: Candidate) -> CandidateOut:
    return CandidateOut(host=one.host.name, fits=one.fits, reason=one.reason, note=one.note)
