"""Carrying plans out: every now and then the next steps begin, as many as the pace allows.

Everything is in rows. A step and the operation that it becomes are written together, so that whoever comes after a crash begins
nothing twice; a step that did not go well is marked, and never begun again by itself. Several processes may do this at once:
whoever holds ``held_until`` goes on.
"""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from typing import Any

import structlog
from django.db import transaction
from django.db.models import Q
from django.db.models.functions import Now
from django.utils import timezone
from django.utils.translation import gettext as _

from hosts import access, audit, notify
from hosts.audit import Actor
from hosts.hypervisor.sentences import say
from hosts.models import Host, Operation
from hosts.operations import queue
from hosts.operations.kind import InvalidArguments, Refused, get
from hosts.said import kept
from vms.models import MovePlan, PlanStep
from vms.moving.plans.making import VERB

log = structlog.get_logger(__name__)

#: in each round of who runs operations: one is made when a step ends, and the next begins in it
LOOK_SECONDS = 0.0
#: seconds for which one process has a plan in hand
HOLD = timedelta(seconds=20)
State, Action = MovePlan.State, PlanStep.Action
KINDS = {Action.MOVE: "migrate", Action.SHUTDOWN: "shutdown", Action.SAVE: "managed-save", Action.START: "start"}


def run(plan: MovePlan, actor: Actor) -> Operation:
    """Begin a draft; of a host's plan, the host is in maintenance from now on. Raises Denied or Refused (audited)."""
    _require(actor)
    with transaction.atomic():
        if not MovePlan.objects.filter(pk=plan.pk, state=State.DRAFT).update(
            state=State.RUNNING, started_at=timezone.now()
        ):
            raise Refused(_("It is no draft any more."))
        plan.refresh_from_db()
        if plan.purpose == MovePlan.Purpose.MAINTENANCE and plan.host is not None:
            enter(plan.host, actor)
        steps = plan.steps.exclude(action=Action.STAY)
        count = steps.count()
        if not count:
            raise Refused(_("Nothing would be done: every guest stays."))
        plan.steps.filter(action=Action.STAY).update(state=PlanStep.State.SKIPPED)
        parent = _parent(plan, count, actor)
        MovePlan.objects.filter(pk=plan.pk).update(operation=parent, actor=actor.user, actor_name=actor.label)
        audit.record(actor, VERB, plan.host_name, plan=str(plan.pk), result="queued", operation=str(parent.pk))
    _tell(plan, "operations", "operations-wake")
    return parent


def _parent(plan: MovePlan, count: int, actor: Actor) -> Operation:
    # Its id is the plan's, so that who watches one knows the other.
    return Operation.objects.create(
        id=plan.pk,
        kind=queue.BULK, state=Operation.State.RUNNING, subject_name="migrate", host_name=plan.host_name,
        # Its pace is the plan's: what else a bulk request may have under way does not count.
        arguments={"kind": "migrate", "arguments": {}, "plan": str(plan.pk), "paced": True}, started_at=timezone.now(),
        progress={"total": count, "done": 0, "percent": 0}, actor=actor.user, actor_name=actor.label, address=actor.address,
    )  # fmt: skip


def _require(actor: Actor) -> None:
    from django.contrib.auth.models import AnonymousUser

    access.require(actor.user or AnonymousUser(), VERB)


def pause(plan: MovePlan, actor: Actor) -> None:
    """Begin nothing more until somebody says so; what is under way goes on. Raises Denied or Refused."""
    _switch(plan, actor, (State.RUNNING,), State.PAUSED, _("It is not running."))


def go_on(plan: MovePlan, actor: Actor) -> None:
    """After a pause. Raises Denied or Refused."""
    _switch(plan, actor, (State.PAUSED,), State.RUNNING, _("It is not paused."))


def stop(plan: MovePlan, actor: Actor) -> None:
    """Begin nothing more at all; what is under way ends by itself. Raises Denied or Refused."""
    _switch(plan, actor, (State.RUNNING, State.PAUSED), State.STOPPING, _("It is not running."))


def _switch(plan: MovePlan, actor: Actor, before: tuple[str, ...], after: str, otherwise: str) -> None:
    _require(actor)
    with transaction.atomic():
        if not MovePlan.objects.filter(pk=plan.pk, state__in=before).update(state=after):
            raise Refused(otherwise)
        audit.record(actor, VERB, plan.host_name, plan=str(plan.pk), state=str(after))
    _tell(plan, "operations-wake")


def enter(host: Host, actor: Actor) -> None:
    """New guests and moves keep away from the host from now on. Raises Denied or Refused."""
    access.require(actor.user or _anonymous(), "host.maintenance")
    free = Host.objects.filter(pk=host.pk, maintenance_since=None)
    if free.update(maintenance_since=timezone.now(), maintenance_by=actor.label):
        audit.record(actor, "host.maintenance", host.name, on=True)
        notify.changed(f"host:{host.pk}", "hosts", "plans")


def leave(host: Host, actor: Actor) -> None:
    """The host takes part again. Raises Denied or Refused."""
    access.require(actor.user or _anonymous(), "host.maintenance")
    if MovePlan.objects.filter(host=host, purpose=MovePlan.Purpose.MAINTENANCE, state__in=MovePlan.ACTIVE).exists():
        raise Refused(_("It is being emptied: stop that first."))
    busy = Host.objects.filter(pk=host.pk).exclude(maintenance_since=None)
    if not busy.update(maintenance_since=None, maintenance_by=""):
        raise Refused(_("%(host)s is not in maintenance.") % {"host": host.name})
    audit.record(actor, "host.maintenance", host.name, on=False)
    notify.changed(f"host:{host.pk}", "hosts", "plans")


def _anonymous() -> Any:
    from django.contrib.auth.models import AnonymousUser

    return AnonymousUser()


def look() -> None:
    """One round over all plans that are under way."""
    free = Q(held_until=None) | Q(held_until__lt=Now())
    for pk in MovePlan.objects.filter(free, state__in=MovePlan.ACTIVE).values_list("pk", flat=True):
        if not MovePlan.objects.filter(free, pk=pk, state__in=MovePlan.ACTIVE).update(held_until=Now() + HOLD):
            continue  # Another process was first.
        try:
            drive(MovePlan.objects.select_related("operation", "actor").get(pk=pk))
        except MovePlan.DoesNotExist:
            continue
        finally:
            MovePlan.objects.filter(pk=pk).update(held_until=None)


def drive(plan: MovePlan) -> None:
    """Take in what ended, begin what comes next, and end the plan with its last step."""
    moved = _take_in(plan)
    if plan.operation is not None and plan.operation.signals.filter(name="cancel", taken_at=None).update(
        taken_at=timezone.now()
    ):
        MovePlan.objects.filter(pk=plan.pk).update(state=State.STOPPING)
        plan.state = State.STOPPING
    if plan.state == State.RUNNING:
        moved |= _begin(plan)
    if plan.state == State.STOPPING:
        waiting = plan.steps.filter(state=PlanStep.State.WAITING)
        moved |= bool(waiting.update(state=PlanStep.State.SKIPPED, why=say("The plan was stopped before its turn.")))
    if not plan.steps.filter(state__in=(PlanStep.State.WAITING, PlanStep.State.RUNNING)).exists():
        _end(plan)
        moved = True
    if moved:
        _tell(plan, "operations")


def _take_in(plan: MovePlan) -> bool:
    """Steps whose operation has ended are what that came to."""
    ended = [
        step for step in plan.steps.filter(state=PlanStep.State.RUNNING).select_related("operation")
        if step.operation is None or not step.operation.is_active
    ]  # fmt: skip
    for step in ended:
        operation = step.operation
        if operation is not None and operation.state == Operation.State.SUCCEEDED:
            step.state = PlanStep.State.SUCCEEDED
        else:
            step.state = PlanStep.State.FAILED
            step.why = (
                str(operation.error.get("message", "")) if operation is not None else say("Its operation is gone.")
            )
        step.save(update_fields=["state", "why"])
    return bool(ended)


def _begin(plan: MovePlan) -> bool:
    steps = list(plan.steps.select_related("vm__host", "source", "target"))
    under_way = [step for step in steps if step.state == PlanStep.State.RUNNING]
    hosts = Counter(name for step in under_way for name in _ends(step))
    links = Counter(_link(step) for step in under_way)
    began = False
    for step in steps:
        if step.state != PlanStep.State.WAITING:
            continue
        if any(hosts[name] >= plan.per_host for name in _ends(step)) or links[_link(step)] >= plan.per_link:
            continue
        began = True
        if _start(plan, step):
            hosts.update(_ends(step))
            links[_link(step)] += 1
    return began


def _ends(step: PlanStep) -> set[str]:
    return {name for name in (step.source_name, step.target_name) if name}


def _link(step: PlanStep) -> tuple[str, str]:
    # What is no move uses no link; each such step counts for its host alone.
    return (step.source_name, step.target_name) if step.action == Action.MOVE else (f"#{step.pk}", "")


def _start(plan: MovePlan, step: PlanStep) -> bool:
    """Ask for the step; whether it is under way. The step and its operation are written together."""
    with kept(), transaction.atomic():
        mine = PlanStep.objects.filter(pk=step.pk, state=PlanStep.State.WAITING)
        if not mine.update(state=PlanStep.State.RUNNING):
            return False
        step.state = PlanStep.State.RUNNING
        why = _moved_meanwhile(step) or _ask(plan, step)
        if why:
            step.state, step.why = PlanStep.State.FAILED, why
        step.save(update_fields=["state", "operation", "why"])
    return not why


def _ask(plan: MovePlan, step: PlanStep) -> str:
    """Make the step's operation; why it was refused, '' when it was not."""
    address = plan.operation.address if plan.operation is not None else None
    actor = Actor(plan.actor, address, road="plan", name=plan.actor_name)
    try:
        made = queue.enqueue_child(KINDS[Action(step.action)], step.vm, _arguments(plan, step), actor, plan.operation)
    except InvalidArguments as error:
        return str(error)
    step.operation = made
    return str(made.error.get("message", "")) if made.state == Operation.State.REFUSED else ""


def command_of(plan: MovePlan, step: PlanStep) -> str:
    """The step as a command that a person could type; '' where there is none."""
    if step.action not in KINDS:
        return ""
    kind = get(KINDS[Action(step.action)])
    try:
        return kind.virsh(kind.subject(step.vm), kind.clean(_arguments(plan, step)))
    except Refused:
        return ""


def _moved_meanwhile(step: PlanStep) -> str:
    if step.vm.host_id != step.source_id:
        return say("It is not on %(host)s any more: nothing was done.", host=step.source_name)
    if step.action == Action.MOVE and step.target is None:
        return say("Host %(host)s was removed meanwhile.", host=step.target_name)
    return ""


def _arguments(plan: MovePlan, step: PlanStep) -> dict[str, Any]:
    if step.action != Action.MOVE:
        return {}
    more = {"copy_storage": True} if step.copy_storage else {}
    return {"host": step.target_name, **plan.arguments, **more}


def _end(plan: MovePlan) -> None:
    MovePlan.objects.filter(pk=plan.pk).update(state=State.DONE, finished_at=timezone.now())
    if plan.operation is None:
        return
    parent = plan.operation
    states = list(parent.children.values_list("state", flat=True))
    Operation.objects.filter(pk=parent.pk, state=Operation.State.RUNNING).update(
        progress={**parent.progress, "total": len(states)}
    )
    if states:
        queue.settle_parent(parent.pk)
        return
    Operation.objects.filter(pk=parent.pk, state=Operation.State.RUNNING).update(
        state=Operation.State.CANCELLED, finished_at=timezone.now(), progress={"total": 0, "done": 0, "percent": 100}
    )


def _tell(plan: MovePlan, *more: str) -> None:
    operation = [f"operation:{plan.operation_id}"] if plan.operation_id else []
    notify.changed("plans", f"plan:{plan.pk}", *operation, *more)
