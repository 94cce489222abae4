"""The hosts that a move can be asked for, for people to choose from: those that will do first, the best of them at the top."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from hosts.models import Host
from hosts.operations.presenter import size
from vms.models import VirtualMachine
from vms.moving.preflight import rows
from vms.moving.preflight.engine import Table
from vms.moving.preflight.facts import Machine, Wishes
from vms.moving.preflight.finding import NO, UNKNOWN, WARNING, Finding


@dataclass(frozen=True, slots=True)
class Target:
    """A host to move to; ``reason`` says why it cannot be, ``note`` what is worth knowing when it can."""

    host: Host
    reason: str = ""
    note: str = ""


#: checks whose no other arguments of a move make a yes: of one guest another network can be named for each
MENDED = ("networks",)


def targets_for(vms: Sequence[VirtualMachine]) -> list[Target]:
    """All hosts, with the reason against each that will not do for any of ``vms``, whatever else is said of the move."""
    hosts = {host.pk: host for host in Host.objects.defer("capabilities", "cells").order_by("name")}
    mended = rows.table(vms, wishes=Wishes(copy_storage=True, unsafe=True))
    # What is said of one guest beside each host is no news of hundreds.
    plain = Table(mended.guests, mended.machines) if len(vms) == 1 else mended
    order = plain.best(0) if len(vms) == 1 else range(len(plain.machines))
    found = [_target(plain, mended, number, hosts[plain.machines[number].id]) for number in order]
    return sorted(found, key=lambda target: bool(target.reason))


def _target(plain: Table, mended: Table, number: int, host: Host) -> Target:
    refused = {guest: why for guest in range(len(plain.guests)) if (why := _against(mended, guest, number)) is not None}
    if len(refused) == len(plain.guests) and refused:
        there = [guest for guest in refused if plain.guests[guest].host == host.pk]
        if len(there) == len(refused):
            return Target(host, _("already there") if len(there) == 1 else _("all of them are there already"))
        return Target(host, next(why.told for guest, why in refused.items() if guest not in there))
    return Target(host, note=_note(plain, plain.machines[number], number, list(refused)))


def _against(mended: Table, guest: int, number: int) -> Finding | None:
    if mended.verdicts[guest][number] < NO:
        return None
    alone = len(mended.guests) == 1
    found = (finding for check, finding in mended.against(guest, number) if not (alone and check.name in MENDED))
    return next(found, None)


def _note(plain: Table, machine: Machine, number: int, refused: list[int]) -> str:
    coming = [guest for guest in range(len(plain.guests)) if guest not in refused]
    notes = []
    if machine.free is not None:
        notes.append(_("%(free)s memory free") % {"free": size(machine.free)})
        wanted = sum(plain.guests[guest].memory for guest in coming)
        if machine.free < wanted and len(coming) > 1:
            notes.append(_("less than the %(wanted)s needed") % {"wanted": size(wanted)})
    if refused:
        notes.append(_("%(n)d of them cannot go there") % {"n": len(refused)})
    for guest in coming if len(plain.guests) == 1 else []:
        found = [finding for check, finding in plain.against(guest, number, WARNING) if check.name != "road"]
        notes += [finding.reason for finding in found if finding.verdict != UNKNOWN]
        unknown = sum(finding.verdict == UNKNOWN for finding in found)
        if unknown:
            notes.append(ngettext("%(n)d thing is not known", "%(n)d things are not known", unknown) % {"n": unknown})
    return " · ".join(notes)
