"""Asking for operations, and what is asked of them while they wait or run. No libvirt here."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from typing import Any

from django.db import IntegrityError, transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from hosts import access, audit, notify, said
from hosts.audit import Actor
from hosts.hypervisor.sentences import say
from hosts.models import Operation, OperationSignal
from hosts.operations.kind import InvalidArguments, Kind, Refused, Subject, get, registry

BULK = "bulk"
#: keys that are asked for in one query; SQLite takes some thousands
MOST_KEYS = 1000


def enqueue(kind_name: str, row: Any, arguments: Mapping[str, Any], actor: Actor) -> Operation:
    """Ask for one change. Raises access.Denied or Refused (audited); otherwise the queued operation."""
    kind = get(kind_name)
    subject = kind.subject(row)
    try:
        # Whole or not at all: who is told that it could not be written must not have asked for it.
        with said.kept(), transaction.atomic():
            operation = _create(kind, subject, arguments, actor)
            asked = {"result": "queued", "operation": str(operation.id)}
            audit.record(actor, kind.verb, subject.name, subject_uuid=subject.uuid, **asked)
    except (access.Denied, Refused) as error:
        reason = _reason(error)
        audit.record(actor, kind.verb, subject.name, subject_uuid=subject.uuid, result="refused", reason=reason)
        raise
    return operation


def enqueue_many(kind_name: str, rows: Iterable[Any], arguments: Mapping[str, Any], actor: Actor) -> Operation:
    """Ask for the same change to many: a parent, and a child with a result of its own for each."""
    kind = get(kind_name)
    rows = list(rows)
    try:
        with said.kept():
            access.require(_user(actor), kind.verb)
            if not kind.many:
                raise Refused(_("This is asked of one at a time."))
            cleaned = kind.clean(arguments)
            if not rows:
                raise Refused(_("Nothing is selected."))
    except (access.Denied, Refused) as error:
        audit.record(actor, kind.verb, f"{len(rows)}", result="refused", reason=_reason(error), bulk=True)
        raise
    # Whole or not at all: a parent whose asker died between two children would never end.
    with said.kept(), transaction.atomic():
        return _create_many(kind, rows, cleaned, actor)


def _create_many(kind: Kind, rows: list[Any], cleaned: dict[str, Any], actor: Actor) -> Operation:
    parent = _parent(kind, cleaned, len(rows), actor)
    # In one order, so that two who ask for the same guests at once do not wait for each other.
    subjects = [kind.subject(row) for row in sorted(rows, key=lambda row: str(row.pk))]
    with kind.looking_at(rows, cleaned), _busy_read_once(kind, subjects):
        for subject in subjects:
            _child(kind, subject, cleaned, actor, parent)
    return _begin_all(kind, parent, len(rows), actor)


def _parent(kind: Kind, arguments: dict[str, Any], count: int, actor: Actor) -> Operation:
    return Operation.objects.create(
        kind=BULK,
        state=Operation.State.RUNNING,
        subject_name=kind.name,
        arguments={"kind": kind.name, "arguments": arguments},
        started_at=timezone.now(),
        progress={"total": count, "done": 0, "percent": 0},
        **_asker(actor),
    )


def _begin_all(kind: Kind, parent: Operation, count: int, actor: Actor) -> Operation:
    audit.record(actor, kind.verb, f"{count}", result="queued", operation=str(parent.id), bulk=True)
    settle_parent(parent.pk)
    notify.changed("operations", "operations-wake", f"operation:{parent.id}")
    return parent


def enqueue_each(kind_name: str, wanted: Sequence[tuple[Any, Mapping[str, Any]]], actor: Actor) -> Operation:
    """Ask for the same kind with arguments for each row: a parent, and a child with a result of its own for each.

    Raises Denied or InvalidArguments for all; what speaks against one alone is the result of that child.
    """
    kind = get(kind_name)
    try:
        with said.kept():
            access.require(_user(actor), kind.verb)
            cleaned = [kind.clean(arguments) for _row, arguments in wanted]
    except (access.Denied, Refused) as error:
        audit.record(actor, kind.verb, f"{len(wanted)}", result="refused", reason=_reason(error), bulk=True)
        raise
    with said.kept(), transaction.atomic():
        parent = _parent(kind, {}, len(wanted), actor)
        for (row, arguments), clean in zip(wanted, cleaned, strict=True):
            _child(kind, kind.subject(row), arguments, actor, parent, clean)
        return _begin_all(kind, parent, len(wanted), actor)


def enqueue_child(
    kind_name: str, row: Any, arguments: Mapping[str, Any], actor: Actor, parent: Operation | None
) -> Operation:
    """Ask for one more change under a parent that asks bit by bit; one that is refused says so in its row.

    Raises InvalidArguments.
    """
    kind = get(kind_name)
    subject = kind.subject(row)
    with said.kept(), transaction.atomic():
        operation = _child(kind, subject, arguments, actor, parent, kind.clean(arguments))
        refused = operation.state == Operation.State.REFUSED
        asked = {"result": "refused" if refused else "queued", "operation": str(operation.id)}
        audit.record(actor, kind.verb, subject.name, subject_uuid=subject.uuid, **asked)
    return operation


def _reason(error: Exception) -> str:
    """Why it was refused, in English for the records; whoever asked hears it in their own language."""
    with said.kept():
        reason = str(error)
    error.args = (said.said(reason), *error.args[1:])
    return reason


def _child(
    kind: Kind,
    subject: Subject,
    arguments: Mapping[str, Any],
    actor: Actor,
    parent: Operation | None,
    cleaned: dict[str, Any] | None = None,
) -> Operation:
    """``cleaned``: what stands in the row of one that is refused, where that is not what was given."""
    try:
        return _create(kind, subject, arguments, actor, parent)
    except (Refused, access.Denied) as error:
        return Operation.objects.create(
            **_columns(kind, subject, dict(arguments) if cleaned is None else cleaned, actor),
            parent=parent,
            state=Operation.State.REFUSED,
            finished_at=timezone.now(),
            error={"type": "Refused", "message": str(error)},
        )


def _create(
    kind: Kind, subject: Subject, arguments: Mapping[str, Any], actor: Actor, parent: Operation | None = None
) -> Operation:
    access.require(_user(actor), kind.verb, subject.row)
    cleaned = kind.clean(arguments)
    # Who is at it says more than the state that this has caused.
    _refuse_if_busy(kind, subject)
    kind.check(subject, cleaned)
    try:
        with transaction.atomic():
            operation = Operation.objects.create(**_columns(kind, subject, cleaned, actor), parent=parent)
            kind.keep(operation, arguments)
    except IntegrityError:
        _refuse_if_busy(kind, subject, again=True)
        raise
    notify.changed("operations", "operations-wake", f"operation:{operation.id}", *operation.topics())
    return operation


def _columns(kind: Kind, subject: Subject, arguments: dict[str, Any], actor: Actor) -> dict[str, Any]:
    return {
        "kind": kind.name,
        "host": subject.host,
        "host_name": subject.host.name if subject.host else "",
        "subject_uuid": subject.uuid,
        "subject_name": subject.name,
        "exclusive": kind.exclusive and subject.uuid is not None,
        "arguments": arguments,
        "virsh": kind.virsh(subject, arguments),
        **_asker(actor),
    }


def _asker(actor: Actor) -> dict[str, Any]:
    return {"actor": actor.user, "actor_name": actor.label, "address": actor.address}


def _user(actor: Actor) -> access.AnyUser:
    from django.contrib.auth.models import AnonymousUser

    return actor.user or AnonymousUser()


#: subjects of many that are asked for at once of which none is busy, as one query told
_idle: ContextVar[frozenset[Any]] = ContextVar("idle", default=frozenset())


@contextmanager
def _busy_read_once(kind: Kind, subjects: Sequence[Subject]) -> Iterator[None]:
    """Ask once who is busy. Whoever becomes so meanwhile is refused by the constraint when the row is written."""
    keys = {subject.uuid for subject in subjects if subject.uuid is not None} if kind.exclusive else set()
    busy: set[Any] = set()
    for start in range(0, len(keys), MOST_KEYS):
        part = sorted(keys)[start : start + MOST_KEYS]
        rows = Operation.objects.filter(subject_uuid__in=part, exclusive=True, state__in=Operation.ACTIVE)
        busy |= set(rows.values_list("subject_uuid", flat=True))
    token = _idle.set(frozenset(keys - busy))
    try:
        yield
    finally:
        _idle.reset(token)


def _refuse_if_busy(kind: Kind, subject: Subject, *, again: bool = False) -> None:
    if not kind.exclusive or subject.uuid is None or (subject.uuid in _idle.get() and not again):
        return
    busy = Operation.objects.filter(subject_uuid=subject.uuid, exclusive=True, state__in=Operation.ACTIVE).first()
    if busy is not None:
        raise Refused(
            _("%(name)s is busy: %(actor)s asked for “%(kind)s” at %(time)s UTC and it has not ended.")
            % {
                "name": subject.name,
                "actor": busy.actor_name,
                "kind": busy.kind,
                "time": busy.created_at.strftime("%H:%M:%S"),
            }
        )


def may_cancel(user: access.AnyUser, operation: Operation) -> bool:
    """Whether the user may cancel it: whoever may ask for that kind may also stop it."""
    kind_name = operation.arguments.get("kind", "") if operation.kind == BULK else operation.kind
    try:
        kind = get(kind_name)
    except Refused:
        return False
    return access.may(user, kind.verb)


def cancel(operation: Operation, actor: Actor) -> None:
    """Cancel a waiting operation, or ask a running one to stop. Raises Denied, or Refused when it cannot be stopped."""
    if not may_cancel(_user(actor), operation):
        raise access.Denied(_("You do not have the right to cancel this."))
    with transaction.atomic():
        _cancel(operation, actor)


def _cancel(operation: Operation, actor: Actor) -> None:
    audit.record(actor, "operation.cancel", operation, subject_uuid=operation.subject_uuid, operation=str(operation.id))
    if operation.kind == BULK:
        _cancel_children(operation, actor)
        return
    if _cancel_queued(operation.pk, actor):
        return
    operation.refresh_from_db()
    if operation.state != Operation.State.RUNNING:
        raise Refused(_("It has already ended."))
    if not get(operation.kind).cancellable:
        raise Refused(_("This cannot be stopped once it runs."))
    signal(operation, "cancel", {}, actor)


def _cancel_queued(pk: Any, actor: Actor) -> bool:
    waiting = Operation.objects.filter(pk=pk, state=Operation.State.QUEUED)
    done = waiting.update(
        state=Operation.State.CANCELLED,
        finished_at=timezone.now(),
        error={"type": "Cancelled", "message": say("Cancelled by %(actor)s before it began.", actor=actor.label)},
    )
    if done:
        ended(Operation.objects.get(pk=pk))
    return bool(done)


def _cancel_children(parent: Operation, actor: Actor) -> None:
    if "plan" in parent.arguments:
        # Whoever asks bit by bit is told to ask for nothing more.
        OperationSignal.objects.create(operation=parent, name="cancel", actor_name=actor.label)
    for child in parent.children.filter(state__in=Operation.ACTIVE):
        if not _cancel_queued(child.pk, actor) and get(child.kind).cancellable:
            with suppress(Refused):  # It has ended meanwhile.
                signal(child, "cancel", {}, actor)


def signal(operation: Operation, name: str, arguments: Mapping[str, Any], actor: Actor) -> OperationSignal:
    """Leave a signal for a running operation. Raises Denied, or Refused when its kind or state does not allow it."""
    if not may_cancel(_user(actor), operation):
        raise access.Denied(_("You do not have the right to do this."))
    kind = get(operation.kind)
    if name != "cancel" and name not in kind.signals:
        raise InvalidArguments(
            "name",
            _("%(kind)s does not take the signal %(name)s.") % {"kind": operation.kind, "name": repr(name[:20])},
        )
    cleaned = kind.clean_signal(name, arguments)
    if not Operation.objects.filter(pk=operation.pk, state=Operation.State.RUNNING).exists():
        raise Refused(_("It is not running."))
    with transaction.atomic():
        if name != "cancel":
            audit.record(actor, f"operation.{name}", operation, subject_uuid=operation.subject_uuid, **cleaned)
        row = OperationSignal.objects.create(operation=operation, name=name, arguments=cleaned, actor_name=actor.label)
    notify.changed(f"operation-signal:{operation.pk}", f"operation:{operation.pk}")
    return row


def ended(operation: Operation) -> None:
    """Tell everybody, and the parent, that it ended."""
    if operation.kind in registry:
        get(operation.kind).forget(operation)
    notify.changed("operations", "operations-wake", f"operation:{operation.id}", *operation.topics())
    if operation.parent_id:
        settle_parent(operation.parent_id)


def settle_parent(pk: Any) -> None:
    """Count the children that ended; end the parent with the last of them."""
    parent = Operation.objects.get(pk=pk)
    states = list(parent.children.values_list("state", flat=True))
    done = sum(state not in Operation.ACTIVE for state in states)
    counts = {state: states.count(state) for state in sorted(set(states))}
    total = max(len(states), int(parent.progress.get("total", 0)))
    update: dict[str, Any] = {
        "progress": {"total": total, "done": done, "percent": 100 * done / total, "counts": counts}
    }
    if done == total:
        update |= {"state": _state_of_all(set(states)), "finished_at": timezone.now(), "result": counts}
    Operation.objects.filter(pk=pk, state=Operation.State.RUNNING).update(**update)
    notify.changed("operations", f"operation:{pk}")


def _state_of_all(states: set[str]) -> str:
    """The parent is as good as the worst of its children."""
    State = Operation.State
    for state in (State.UNKNOWN, State.FAILED, State.REFUSED, State.CANCELLED):
        if state in states:
            return state
    return State.SUCCEEDED
