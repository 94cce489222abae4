"""The gateway's side of the database: who may open what, what is open, and what must end."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from django.contrib.sessions.models import Session
from django.db.models import Q
from django.db.models.functions import Now
from django.utils import timezone

from hosts import access, audit, notify
from hosts.audit import Actor
from hosts.models import ApiToken, User
from hosts.operations.kind import Refused
from vms.console.access import LIVE, check, verb_of, which
from vms.console.closing import MOVED, NO_SCREEN, TICKET, WITHDRAWN, Closing
from vms.models import ConsoleSession, ConsoleTicket, VirtualMachine

#: a gateway that has not been heard of for so long is dead
GATEWAY_DEAD = timedelta(seconds=30)
_OLD_TICKETS = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Grant:
    """A used ticket: who may look at (or touch) which guest where, and on what this stands."""

    ticket_id: int
    user: User
    vm: VirtualMachine
    view_only: bool
    session_key: str
    token_id: int | None
    address: str | None
    #: the alias of a text console; '' for the screen
    device: str = ""

    @property
    def kind(self) -> str:
        """Which kind of console, for records."""
        return "serial" if self.device else "vnc"

    @property
    def actor(self) -> Actor:
        """For the audit list."""
        return Actor(self.user, self.address, "console")


@dataclass(frozen=True, slots=True)
class Standing:
    """What an open console stands on, as plain values: it is looked at every second."""

    user_id: int
    password: str
    vm: UUID
    host_id: int | None
    view_only: bool
    session_key: str
    token_id: int | None
    #: a text console waits for the guest and goes after it
    follows: bool = False

    @classmethod
    def of(cls, grant: Grant) -> Standing:
        """Of a console that begins now."""
        return cls(
            grant.user.pk, grant.user.password, grant.vm.uuid, grant.vm.host_id, grant.view_only,
            grant.session_key, grant.token_id, bool(grant.device),
        )  # fmt: skip


def redeem(text: str, address: str | None, session: str = "") -> Grant:
    """Use the ticket up and look whether what it was given for still holds. Raises Closing.

    A page's ticket is for the browser it was given to: ``session`` is the key of the row of the session that comes with it.
    """
    ticket = ConsoleTicket.redeem(text) if text else None
    if ticket is None:
        raise Closing(TICKET, "The ticket is unknown, used or too old.")
    grant = Grant(
        ticket.pk, ticket.user, ticket.vm, ticket.view_only, ticket.session_key, ticket.token_id,
        address or ticket.address, ticket.device,
    )  # fmt: skip
    closing = judge({0: Standing.of(grant)}).get(0)
    if closing is not None:
        raise closing
    if grant.session_key and grant.session_key != session:
        _foreign(grant)
        raise Closing(TICKET, "The ticket was given to somebody else.")
    try:
        check(grant.vm, grant.device)
    except Refused as error:
        raise Closing(NO_SCREEN, str(error)) from error
    return grant


def opened(grant: Grant, gateway: str) -> int:
    """Record an open console; its row's id."""
    row = ConsoleSession.objects.create(
        ticket_id=grant.ticket_id,
        user=grant.user,
        vm=grant.vm,
        kind=grant.kind,
        device=grant.device,
        view_only=grant.view_only,
        address=grant.address,
        gateway=gateway,
    )
    audit.record(
        grant.actor, "console.open", grant.vm, subject_uuid=grant.vm.uuid,
        view_only=grant.view_only, console=row.pk, **which(grant.device),
    )  # fmt: skip
    _tell(grant.vm.uuid)
    return row.pk


def did(grant: Grant, what: str) -> None:
    """Record something that was done at a console: a break, somebody else's console ended."""
    audit.record(grant.actor, f"console.{what}", grant.vm, subject_uuid=grant.vm.uuid, **which(grant.device))


def refused(grant: Grant, closing: Closing) -> None:
    """Record that a console could not be opened."""
    audit.record(
        grant.actor, "console.open", grant.vm, subject_uuid=grant.vm.uuid, result="failed", reason=closing.text[:300]
    )


def _foreign(grant: Grant) -> None:
    """Somebody had another's ticket: that is told to administrators, under the name of the one it was taken from."""
    audit.record(
        grant.actor, "console.open", grant.vm, subject_uuid=grant.vm.uuid, result="refused", reason="foreign session"
    )


def closed(grant: Grant, session: int, closing: Closing, to_browser: int, to_guest: int) -> None:
    """Record the end of a console, once."""
    seconds = _close(session, closing, to_browser, to_guest)
    audit.record(
        grant.actor, "console.close", grant.vm, subject_uuid=grant.vm.uuid,
        console=session, reason=closing.text[:300], seconds=seconds, to_browser=to_browser, to_guest=to_guest,
    )  # fmt: skip
    _tell(grant.vm.uuid)


def _close(session: int, closing: Closing, to_browser: int, to_guest: int) -> int:
    """Write the end; how many seconds it was open."""
    row = ConsoleSession.objects.filter(pk=session, closed_at=None).first()
    if row is None:
        return 0
    row.closed_at, row.close_reason = timezone.now(), closing.text[:60]
    row.bytes_to_browser, row.bytes_to_guest = to_browser, to_guest
    row.save(update_fields=["closed_at", "close_reason", "bytes_to_browser", "bytes_to_guest"])
    return int((row.closed_at - row.opened_at).total_seconds())


def _tell(uuid: UUID) -> None:
    notify.changed(f"console:{uuid}", "consoles")


def judge(standings: dict[int, Standing]) -> dict[int, Closing]:
    """Which of the consoles must end, and why: four queries for all of them."""
    values = standings.values()
    users = User.objects.in_bulk({standing.user_id for standing in values})
    guests = VirtualMachine.objects.in_bulk({standing.vm for standing in values})
    sessions = _living_sessions({standing.session_key for standing in values} - {""})
    tokens = _living_tokens({standing.token_id for standing in values if standing.token_id is not None})
    found = {}
    for key, standing in standings.items():
        closing = _judge_person(standing, users.get(standing.user_id), sessions, tokens)
        closing = closing or _judge_guest(standing, guests.get(standing.vm))
        if closing is not None:
            found[key] = closing
    return found


def _living_sessions(keys: set[str]) -> set[str]:
    if not keys:
        return set()
    living = Session.objects.filter(session_key__in=keys, expire_date__gt=timezone.now())
    return set(living.values_list("session_key", flat=True))


def _living_tokens(ids: set[int]) -> set[int]:
    if not ids:
        return set()
    unexpired = Q(expires_at=None) | Q(expires_at__gt=Now())
    return set(ApiToken.objects.filter(unexpired, pk__in=ids, revoked_at=None).values_list("pk", flat=True))


def _judge_person(standing: Standing, user: User | None, sessions: set[str], tokens: set[int]) -> Closing | None:
    if user is None or not user.is_active:
        return Closing(WITHDRAWN, "The user may not log in any more.")
    if not access.may(user, verb_of(standing.view_only)):
        return Closing(WITHDRAWN, "The right to this console was withdrawn.")
    if standing.session_key and standing.session_key not in sessions:
        return Closing(WITHDRAWN, "You are logged out.")
    if standing.session_key and user.password != standing.password:
        return Closing(WITHDRAWN, "The password was changed; log in again.")
    if standing.token_id is not None and standing.token_id not in tokens:
        return Closing(WITHDRAWN, "The token was revoked or ran out.")
    return None


def _judge_guest(standing: Standing, vm: VirtualMachine | None) -> Closing | None:
    if vm is None:
        return Closing(NO_SCREEN, "The guest was removed.")
    if standing.follows:
        return None
    if vm.host_id != standing.host_id:
        return Closing(MOVED, "The guest moved to another host.")
    if vm.absent_since is not None or vm.power_state not in (*LIVE, VirtualMachine.PowerState.UNKNOWN):
        return Closing(NO_SCREEN, "The guest stopped.")
    return None


def beat(sessions: Iterable[int], gateway: str) -> None:
    """Say that these consoles are open still."""
    ConsoleSession.objects.filter(pk__in=list(sessions), gateway=gateway, closed_at=None).update(alive_at=Now())


def abandon(gateway: str) -> None:
    """Close the records of whatever console a stopping gateway could not end in time."""
    ConsoleSession.objects.filter(gateway=gateway, closed_at=None).update(
        closed_at=Now(), close_reason="The console gateway restarts."
    )


def bury_dead_gateways() -> int:
    """Close the records of consoles whose gateway is gone, and forget old tickets. Returns how many were closed."""
    ConsoleTicket.objects.filter(until__lt=Now() - _OLD_TICKETS, session=None).delete()
    open_rows = ConsoleSession.objects.filter(closed_at=None)
    dead = open_rows.filter(Q(alive_at__lt=Now() - GATEWAY_DEAD) | Q(gateway__in=_dead_here()))
    guests = set(dead.values_list("vm_id", flat=True))
    count = dead.update(closed_at=Now(), close_reason="The gateway ended.")
    for uuid in guests:
        _tell(uuid)
    return count


def _dead_here() -> list[str]:
    """Gateways of this machine whose process is gone; their names are host:pid:random."""
    prefix = f"{socket.gethostname()[:60]}:"
    names = ConsoleSession.objects.filter(closed_at=None, gateway__startswith=prefix).order_by()
    return [name for name in names.values_list("gateway", flat=True).distinct() if not _runs(name)]


def may_run(name: str) -> bool:
    """Whether the gateway of that name may live: on another machine any does, on this one its process is looked for."""
    return not name.startswith(f"{socket.gethostname()[:60]}:") or _runs(name)


def _runs(name: str) -> bool:
    pid = name.split(":")[-2]
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return False
    except (PermissionError, ValueError, OverflowError):
        return True
    return True
