"""Asking for a console: who may, whether there is one, and the ticket that opens it once."""

from __future__ import annotations

from urllib.parse import quote
from uuid import UUID

from django.conf import settings
from django.utils.translation import gettext as _
from lxml import etree

from hosts import access, audit
from hosts.audit import Actor
from hosts.models import User
from hosts.operations.kind import Refused
from vms.definition.serial import TextConsole, text_consoles
from vms.definition.xml import MalformedDefinition, parse
from vms.models import ConsoleTicket, VirtualMachine

#: power states in which QEMU runs and draws a screen
LIVE = (
    VirtualMachine.PowerState.RUNNING,
    VirtualMachine.PowerState.PAUSED,
    VirtualMachine.PowerState.PMSUSPENDED,
    VirtualMachine.PowerState.CRASHED,
    VirtualMachine.PowerState.MIGRATING,
)


def verb_of(view_only: bool) -> str:
    """The right that is needed."""
    return "vm.console_view" if view_only else "vm.console"


def open_console(
    user: User,
    vm: VirtualMachine,
    *,
    view_only: bool,
    device: str = "",
    session_key: str = "",
    token_id: int | None = None,
    address: str | None = None,
    road: str = "page",
) -> str:
    """A ticket's text, good for one console within 30 s: the screen, or the text console of that alias.

    Raises access.Denied, or Refused saying why not now.
    """
    access.require(user, verb_of(view_only), vm)
    check(vm, device)
    text = ConsoleTicket.issue(
        user, vm, view_only=view_only, device=device, session_key=session_key, token_id=token_id, address=address
    )
    actor = Actor(user, address, road)
    audit.record(actor, "console.ticket", vm, subject_uuid=vm.uuid, view_only=view_only, **which(device))
    return text


def which(device: str) -> dict[str, str]:
    """Which console, for the audit list: nothing more is said of the screen."""
    return {"device": device} if device else {}


def console_path(ticket: str, line: UUID | None = None) -> str:
    """Where the browser's websocket goes with a ticket. ``line``: the guest of a text console, by which a proxy may send all who
    look at it to one gateway.
    """
    more = f"&line={line}" if line is not None else ""
    return f"{settings.CONSOLE_PUBLIC_PATH}?ticket={quote(ticket, safe='')}{more}"


def check(vm: VirtualMachine, device: str = "") -> None:
    """Look, by the rows, whether there is a console to connect to; raises Refused with the reason."""
    if device:
        _check_text(vm, device)
    else:
        _check_screen(vm)


def _check_text(vm: VirtualMachine, device: str) -> None:
    """A text console waits for its guest: it may be off, or its host away."""
    if vm.absent_since is not None or vm.host is None:
        raise Refused(_("%(name)s is on no host.") % {"name": vm.name})
    found = next((one for one in text_consoles_of(vm) if one.alias == device), None)
    if found is None:
        raise Refused(_("%(name)s has no such text console.") % {"name": vm.name})
    if not found.is_openable:
        raise Refused(
            _("This text console is of type %(type)s; libvirt hands out those of type pty only.") % {"type": found.type}
        )


def text_consoles_of(vm: VirtualMachine) -> list[TextConsole]:
    """The guest's text consoles, by what was last seen of it."""
    domain = live_definition_of(vm)
    return text_consoles(domain) if domain is not None else []


def live_definition_of(vm: VirtualMachine) -> etree._Element | None:
    """What it runs by, or boots with when it is off, as last seen and without passwords; None when that cannot be read."""
    sighting = vm.sightings.filter(host=vm.host_id).only("live_definition", "inactive_definition").first()
    definition = (sighting.live_definition or sighting.inactive_definition) if sighting is not None else ""
    try:
        return parse(definition) if definition else None
    except MalformedDefinition:
        return None


def _check_screen(vm: VirtualMachine) -> None:
    if vm.absent_since is not None or vm.host is None:
        raise Refused(_("%(name)s is on no host.") % {"name": vm.name})
    if not vm.host.is_connected:
        raise Refused(_("%(host)s is not connected; its consoles cannot be reached.") % {"host": vm.host.name})
    if vm.power_state not in LIVE:
        raise Refused(_("%(name)s is not running.") % {"name": vm.name})
    if not has_screen(vm):
        raise Refused(_("%(name)s has no VNC screen.") % {"name": vm.name})


def has_screen(vm: VirtualMachine) -> bool:
    """Whether its definition has VNC graphics."""
    return any(graphics.get("type") == "vnc" for graphics in vm.graphics)
