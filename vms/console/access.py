"""Asking for a console: who may, whether there is one, and the ticket that opens it once."""

from __future__ import annotations

from urllib.parse import quote

from django.conf import settings
from django.utils.translation import gettext as _

from hosts import access, audit
from hosts.audit import Actor
from hosts.models import User
from hosts.operations.kind import Refused
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
    session_key: str = "",
    token_id: int | None = None,
    address: str | None = None,
    road: str = "page",
) -> str:
    """A ticket's text, good for one console within 30 s. Raises access.Denied, or Refused saying why not now."""
    access.require(user, verb_of(view_only), vm)
    check(vm)
    text = ConsoleTicket.issue(
        user, vm, view_only=view_only, session_key=session_key, token_id=token_id, address=address
    )
    actor = Actor(user, address, road)
    audit.record(actor, "console.ticket", vm, subject_uuid=vm.uuid, view_only=view_only)
    return text


def console_path(ticket: str) -> str:
    """Where the browser's websocket goes with a ticket."""
    return f"{settings.CONSOLE_PUBLIC_PATH}?ticket={quote(ticket, safe='')}"


def check(vm: VirtualMachine) -> None:
    """Look, by the rows, whether there is a screen to connect to; raises Refused with the reason."""
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
