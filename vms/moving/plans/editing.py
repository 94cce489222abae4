"""Changing a draft: another target, another action, another pace. Nothing that runs is changed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from django.db import transaction
from django.utils.translation import gettext as _

from hosts import access, audit, notify
from hosts.audit import Actor
from hosts.hypervisor.sentences import say
from hosts.models import Host
from hosts.operations.kind import InvalidArguments, Refused
from hosts.operations.storage_base import NotNow
from hosts.said import kept
from vms.models import MovePlan, PlanStep, VirtualMachine
from vms.moving.plans.lasting import Rates
from vms.moving.plans.making import VERB, expected
from vms.moving.preflight import rows
from vms.moving.preflight.facts import Wishes
from vms.moving.preflight.finding import NO

Action = PlanStep.Action
MOST_AT_ONCE = 20
#: arguments of moves that a plan says for all of them
FOR_ALL = ("unsafe", "auto_converge", "bandwidth")
#: what may be chosen for a guest, by whether it is off
CHOICES = {
    True: (Action.STAY, Action.MOVE, Action.START),
    False: (Action.MOVE, Action.SHUTDOWN, Action.SAVE, Action.STAY),
}


def change(plan: MovePlan, said: Mapping[str, Any], actor: Actor) -> None:
    """``said``: per_host, per_link, the arguments of :data:`FOR_ALL`, and steps: [{vm, action, target, copy_storage}].

    Raises Denied, InvalidArguments, or Refused (NotNow where a step does not fit); whole or not at all.
    """
    access.require(actor.user, VERB) if actor.user is not None else access.require(_nobody(), VERB)
    with transaction.atomic(), kept():
        locked = MovePlan.objects.select_for_update().get(pk=plan.pk)
        if locked.state != MovePlan.State.DRAFT:
            raise Refused(_("Only a draft can be changed."))
        for name in said.keys() - {"per_host", "per_link", "steps", *FOR_ALL}:
            raise InvalidArguments(name[:40], _("There is no parameter of this name."))
        _pace(locked, said)
        locked.save(update_fields=["per_host", "per_link", "arguments"])
        _steps(locked, said.get("steps") or [])
        audit.record(actor, VERB, locked.host_name, plan=str(plan.pk), steps=len(said.get("steps") or []))
    notify.changed("plans", f"plan:{plan.pk}")


def _nobody() -> Any:
    from django.contrib.auth.models import AnonymousUser

    return AnonymousUser()


def _pace(plan: MovePlan, said: Mapping[str, Any]) -> None:
    for name in ("per_host", "per_link"):
        if name in said:
            value = said[name]
            if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= MOST_AT_ONCE:
                raise InvalidArguments(name, _("Between 1 and %(most)d at once.") % {"most": MOST_AT_ONCE})
            setattr(plan, name, value)
    arguments = dict(plan.arguments)
    for name in FOR_ALL:
        if name in said:
            wanted = int if name == "bandwidth" else bool
            if type(said[name]) is not wanted or (name == "bandwidth" and not 0 <= said[name] <= 1024 * 1024):
                raise InvalidArguments(name, _("%(name)s does not fit.") % {"name": name})
            arguments[name] = said[name]
    plan.arguments = {name: value for name, value in arguments.items() if value}


def _steps(plan: MovePlan, wanted: Sequence[Mapping[str, Any]]) -> None:
    known = {str(step.vm_id): step for step in plan.steps.select_related("vm__host")}
    hosts = {host.name: host for host in Host.objects.defer("capabilities", "cells")}
    asked = [_one(plan, one, known, hosts) for one in wanted]
    changed = [step for step in asked if step is not None]
    _check_targets(plan, [step for step in changed if step.action == Action.MOVE])
    rates = Rates.measured()
    for step in known.values():
        step.plan = plan
        step.expected, step.guessed = expected(step, rates)
    PlanStep.objects.bulk_update(
        known.values(), ["action", "target", "target_name", "copy_storage", "why", "expected", "guessed"]
    )


def _one(
    plan: MovePlan, said: Mapping[str, Any], known: Mapping[str, PlanStep], hosts: Mapping[str, Host]
) -> PlanStep | None:
    step = known.get(str(said.get("vm")))
    if step is None:
        raise NotNow("steps", _("There is no such guest in this plan."))
    action = str(said.get("action", step.action))
    is_off = step.vm.power_state == VirtualMachine.PowerState.SHUTOFF
    if action not in CHOICES[is_off]:
        raise NotNow("steps", _("%(name)s cannot be treated so now.") % {"name": step.vm_name})
    target = hosts.get(str(said.get("target", step.target_name) or ""))
    copies = bool(said.get("copy_storage", step.copy_storage))
    if action == Action.MOVE and target is None:
        raise NotNow("steps", _("Choose a host for %(name)s.") % {"name": step.vm_name})
    where = target if action == Action.MOVE else None
    if (action, where.pk if where else None, copies) == (step.action, step.target_id, step.copy_storage):
        return None
    step.action, step.target, step.target_name = action, where, where.name if where else ""
    step.copy_storage = copies and action == Action.MOVE
    step.why = say("Chosen by %(who)s.", who=plan.actor_name)
    return step


def _check_targets(plan: MovePlan, steps: list[PlanStep]) -> None:
    """A target that will not do is refused at once, with the reason."""
    for copies in (False, True):
        some = [step for step in steps if step.copy_storage is copies]
        if not some:
            continue
        wishes = Wishes(copy_storage=copies, unsafe=bool(plan.arguments.get("unsafe")))
        table = rows.table([step.vm for step in some], wishes=wishes)
        numbers = {machine.id: number for number, machine in enumerate(table.machines)}
        for guest, step in enumerate(some):
            number = numbers[step.target_id or 0]
            if table.verdicts[guest][number] == NO:
                why = table.against(guest, number)[0][1].told
                raise NotNow("steps", f"{step.vm_name} → {step.target_name}: {why}")


def drop(plan: MovePlan, actor: Actor) -> None:
    """Throw a draft away. Raises Denied or Refused."""
    access.require(actor.user or _nobody(), VERB)
    if not MovePlan.objects.filter(pk=plan.pk, state=MovePlan.State.DRAFT).delete()[0]:
        raise Refused(_("Only a draft can be thrown away."))
    audit.record(actor, VERB, plan.host_name, plan=str(plan.pk), dropped=True)
    notify.changed("plans")
