"""The API's text consoles: which there are, and what their guests wrote. Tickets are asked for as those of screens are."""

from __future__ import annotations

from typing import Literal
from uuid import UUID

from django.http import HttpRequest
from django.utils.translation import gettext as _
from ninja import Field, Router, Schema

from hosts import access
from hosts.api_schemas import Body
from hosts.api_tools import find
from hosts.problems import ANY, CHANGE, ProblemError
from hosts.requests import actor_of
from vms.console import viewer_file
from vms.console.access import text_consoles_of
from vms.console.serial import logs
from vms.models import VirtualMachine

router = Router(tags=["vms"])


class TextConsoleOut(Schema):
    """A serial line or another text console of a guest."""

    device: str = Field(description="Its alias: what a ticket is asked for.")
    kind: str = Field(description="serial, virtio, sclp …")
    type: str = Field(description="Where its bytes go on the host: pty, file, tcp …")
    openable: bool = Field(description="Whether it can be opened here: libvirt hands out those of type pty.")


class LogBody(Body):
    """Which log."""

    device: str = Field(min_length=1, max_length=80)
    raw: bool = Field(False, description="With escape sequences, which make a terminal do what the guest wants.")


class LogOut(Schema):
    """What a guest wrote while its text console was open."""

    device: str
    text: str = Field(description="With raw, each character is a byte (Latin-1).")


class ViewerFileBody(Body):
    """Which screen."""

    type: Literal["vnc", "spice"]


class ViewerFileOut(Schema):
    """A connection file, without a password: virt-viewer asks for it."""

    file: str = Field(description="Save it as NAME.vv.")
    direct: bool = Field(description="Whether it can be used as it is.")
    tunnel: str = Field(description="The command that must run meanwhile; empty when none must.")


@router.get("vms/{uuid}/serial", response={200: list[TextConsoleOut], **ANY}, summary="Text consoles of a guest")
def serial(request: HttpRequest, uuid: UUID) -> list[TextConsoleOut]:
    """By what was last seen of it; those that a person would open first come first."""
    vm = _vm(request, uuid)
    return [
        TextConsoleOut(device=one.alias, kind=one.kind, type=one.type, openable=one.is_openable)
        for one in text_consoles_of(vm)
    ]


@router.post("vms/{uuid}/console/log", response={200: LogOut, **CHANGE}, summary="The log of a text console")
def console_log(request: HttpRequest, uuid: UUID, wanted: LogBody) -> LogOut:
    """Fetching it is recorded; that is why it is no GET."""
    vm = _vm(request, uuid)
    try:
        data = logs.fetch(vm, wanted.device, actor_of(request, "api"), raw=wanted.raw)
    except logs.Unknown:
        raise ProblemError(404, _("Nothing was kept of this console.")) from None
    return LogOut(device=wanted.device, text=data.decode("latin-1" if wanted.raw else "utf-8"))


@router.post(
    "vms/{uuid}/console/viewer-file", response={200: ViewerFileOut, **CHANGE}, summary="A file for virt-viewer"
)
def viewer(request: HttpRequest, uuid: UUID, wanted: ViewerFileBody) -> ViewerFileOut:
    """How virt-viewer gets to a screen past the dashboard. Fetching it is recorded, and takes the right to type."""
    screen, text = viewer_file.fetch(_vm(request, uuid), wanted.type, actor_of(request, "api"))
    return ViewerFileOut(file=text, direct=screen.is_direct, tunnel=screen.tunnel)


def _vm(request: HttpRequest, uuid: UUID) -> VirtualMachine:
    found: VirtualMachine = find(
        access.visible_to(request.user, VirtualMachine.objects.select_related("host")), uuid=uuid
    )
    return found
