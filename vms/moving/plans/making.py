"""Making plans: who goes where and why, who cannot and why not. Rows only; nothing happens by it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from django.db import transaction
from django.utils.translation import gettext as _

from hosts import audit, notify
from hosts.audit import Actor
from hosts.hypervisor.sentences import say
from hosts.models import Host
from hosts.operations.kind import Refused
from hosts.said import kept
from vms.models import MovePlan, PlanStep, VirtualMachine
from vms.moving.plans.lasting import SAVE_RATE, SHUTDOWN, Rates
from vms.moving.preflight import rows
from vms.moving.preflight.engine import Table
from vms.moving.preflight.finding import NO, UNKNOWN

VERB = "vm.plan"
#: guests of one plan
MOST = 1000
#: moves at a time of one host and between two: usually, and where none is expected to last longer than that
USUAL_PACE, SHORT_PACE, SHORT_SECONDS = (2, 1), (8, 4), 5.0
PowerState = VirtualMachine.PowerState
Action = PlanStep.Action
#: states of guests that can move while they run
MOVABLE = (PowerState.RUNNING, PowerState.PAUSED)


class Room:
    """Memory that is free on each host, less what the plan has given away."""

    def __init__(self, table: Table) -> None:
        self.table = table
        self.left: dict[int, int | None] = {machine.id: machine.free for machine in table.machines}

    def fits(self, number: int, memory: int) -> bool:
        """Whether the guest has room there; where nothing is known, yes."""
        left = self.left[self.table.machines[number].id]
        return left is None or left >= memory

    def take(self, number: int, memory: int) -> None:
        """The guest goes there."""
        key = self.table.machines[number].id
        left = self.left[key]
        self.left[key] = left - memory if left is not None else None

    def share(self, number: int) -> float:
        """What would be left of it, as a share; hosts that say nothing come last."""
        machine = self.table.machines[number]
        left = self.left[machine.id]
        return left / machine.memory if left is not None and machine.memory else -1.0


def of_host(host: Host, actor: Actor) -> MovePlan:
    """A draft that empties the host."""
    vms = VirtualMachine.objects.filter(host=host, absent_since=None).order_by("-memory", "name")
    return make(MovePlan.Purpose.MAINTENANCE, list(vms), actor, host=host)


def of_selection(vms: Iterable[VirtualMachine], actor: Actor) -> MovePlan:
    """A draft that moves these to wherever is best."""
    return make(MovePlan.Purpose.SELECTION, sorted(vms, key=lambda vm: (-vm.memory, vm.name)), actor)


def make(
    purpose: str,
    vms: Sequence[VirtualMachine],
    actor: Actor,
    *,
    host: Host | None = None,
    targets: Mapping[Any, int] | None = None,
    back_of: MovePlan | None = None,
) -> MovePlan:
    """A draft. ``targets``: guest → host that is wanted, where it may go there. Raises Refused."""
    if not vms:
        raise Refused(_("There is no guest to move."))
    if len(vms) > MOST:
        raise Refused(_("At most %(n)d machines at once.") % {"n": MOST})
    with transaction.atomic(), kept():
        plan = MovePlan.objects.create(
            purpose=purpose, host=host, host_name=host.name if host else "", back_of=back_of, actor=actor.user,
            actor_name=actor.label,
        )  # fmt: skip
        steps = steps_of(plan, vms, targets or {})
        plan.per_host, plan.per_link = pace(steps)
        plan.save(update_fields=["per_host", "per_link"])
        PlanStep.objects.bulk_create(steps)
        audit.record(actor, VERB, plan.host_name or str(len(vms)), plan=str(plan.pk), purpose=str(purpose))
    notify.changed("plans")
    return plan


def pace(steps: Iterable[PlanStep]) -> tuple[int, int]:
    """How many moves of a host, and between two hosts, are proposed at a time: more where all of them are short.

    Two moves on one wire get half of it each: with what changes much memory, neither would end.
    """
    moving = [step for step in steps if step.action == Action.MOVE]
    if any(step.copy_storage or step.expected is None or step.expected > SHORT_SECONDS for step in moving):
        return USUAL_PACE
    return SHORT_PACE if moving else USUAL_PACE


def steps_of(plan: MovePlan, vms: Sequence[VirtualMachine], targets: Mapping[Any, int]) -> list[PlanStep]:
    """What is proposed for each."""
    table = rows.table(vms)
    room, rates = Room(table), Rates.measured()
    hosts = {machine.id: machine.name for machine in table.machines}
    found = []
    for guest, vm in enumerate(vms):
        step = PlanStep(
            plan=plan, order=guest + 1, vm=vm, vm_name=vm.name, memory=vm.memory, source_id=vm.host_id,
            source_name=hosts.get(vm.host_id or 0, ""), action=Action.STAY,
        )  # fmt: skip
        _propose(step, vm, table, guest, room, targets.get(vm.pk))
        step.expected, step.guessed = expected(step, rates)
        found.append(step)
    return found


def _propose(step: PlanStep, vm: VirtualMachine, table: Table, guest: int, room: Room, wanted: int | None) -> None:
    if vm.power_state not in MOVABLE and wanted is None:
        step.why = say("It is off: it can stay.") if vm.power_state == PowerState.SHUTOFF else say("It is not running.")
        return
    fitting = [number for number in range(len(table.machines)) if table.verdicts[guest][number] != NO]
    if wanted is not None:
        fitting = [number for number in fitting if table.machines[number].id == wanted]
    roomy = [number for number in fitting if room.fits(number, vm.memory)]
    if not roomy:
        step.why = _why_nowhere(table, guest, fitting, wanted)
        return
    number = max(roomy, key=lambda one: (-_doubts(table, guest, one), room.share(one), table.machines[one].name))
    room.take(number, vm.memory)
    machine = table.machines[number]
    step.action, step.target_id, step.target_name = Action.MOVE, machine.id, machine.name
    step.why = _why_there(table, guest, number, len(roomy))


def _doubts(table: Table, guest: int, number: int) -> int:
    """Cells that are not simply so; whether anybody took that road before says nothing of the host."""
    return sum(finding.verdict > 0 for check, finding in table.cells(guest, number) if check.name != "road")


def _why_nowhere(table: Table, guest: int, fitting: list[int], wanted: int | None) -> str:
    if fitting:
        return say("No host that it may go to has room for its memory.")
    source = table.guests[guest].host
    reasons: dict[str, int] = {}
    for number, machine in enumerate(table.machines):
        if machine.id != source and (wanted is None or machine.id == wanted):
            for _check, finding in table.against(guest, number)[:1]:
                reasons[finding.told] = reasons.get(finding.told, 0) + 1
    if not reasons:
        return say("There is no other host.")
    return max(reasons, key=lambda reason: reasons[reason])


def _why_there(table: Table, guest: int, number: int, choices: int) -> str:
    doubts = [finding for check, finding in table.against(guest, number, 1) if check.name != "road"]
    first = say("The most memory is left there.") if choices > 1 else say("The only host that it may go to.")
    if not doubts:
        return first
    return f"{first} {doubts[0].reason}" + (f" {doubts[0].remedy}" if doubts[0].verdict != UNKNOWN else "")


def expected(step: PlanStep, rates: Rates) -> tuple[float | None, bool]:
    """Seconds that it is expected to take, and whether that is a guess."""
    if step.action == Action.MOVE:
        bandwidth = int(step.plan.arguments.get("bandwidth") or 0)
        return rates.seconds(step.source_name, step.target_name, step.memory, bandwidth)
    if step.action == Action.SHUTDOWN:
        return SHUTDOWN, True
    if step.action == Action.SAVE:
        return 2.0 + step.memory / SAVE_RATE, True
    return (2.0, True) if step.action == Action.START else (None, True)


def back(plan: MovePlan, actor: Actor) -> MovePlan:
    """A draft that takes a plan back: guests that are still where they moved to go back, those put off start. Raises Refused."""
    if plan.state != MovePlan.State.DONE:
        raise Refused(_("The plan has not ended."))
    done = plan.steps.filter(state=PlanStep.State.SUCCEEDED).select_related("vm__host", "source").order_by("order")
    moved = {
        step.vm_id: step for step in done
        if step.action == Action.MOVE and step.source_id and step.vm.host_id == step.target_id
    }  # fmt: skip
    stopped = [
        step for step in done if step.action in (Action.SHUTDOWN, Action.SAVE) and step.vm.power_state == "shutoff"
    ]
    if not moved and not stopped:
        raise Refused(_("No guest of this plan is where it was brought."))
    targets = {key: int(step.source_id or 0) for key, step in moved.items()}
    vms = [step.vm for step in moved.values()]
    with transaction.atomic(), kept():
        made = _empty_back(plan, actor)
        steps = steps_of(made, vms, targets)
        for number, step in enumerate(stopped, len(steps) + 1):
            steps.append(PlanStep(
                plan=made, order=number, vm=step.vm, vm_name=step.vm_name, memory=step.memory, source_id=step.vm.host_id,
                source_name=step.source_name, action=Action.START, why=say("It was put off by the plan."), expected=2.0,
            ))  # fmt: skip
        PlanStep.objects.bulk_create(steps)
        audit.record(actor, VERB, made.host_name, plan=str(made.pk), purpose="back")
    notify.changed("plans")
    return made


def _empty_back(plan: MovePlan, actor: Actor) -> MovePlan:
    return MovePlan.objects.create(
        purpose=MovePlan.Purpose.BACK, host_name=plan.host_name, back_of=plan, per_host=plan.per_host,
        per_link=plan.per_link, arguments=plan.arguments, actor=actor.user, actor_name=actor.label,
    )  # fmt: skip
