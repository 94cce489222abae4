"""What of the queue comes next, and what nobody would end any more. Rows only."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from uuid import UUID

from django.conf import settings
from django.db.models import Count, Min, QuerySet
from django.db.models.functions import Now
from django.utils import timezone

from hosts.hypervisor.sentences import say
from hosts.models import Operation
from hosts.operations import queue
from hosts.operations.kind import Pace, pace_of

State = Operation.State


def next_in_turn(hosts: set[int], free: int) -> Iterator[Operation]:
    """Waiting operations of ``hosts``, at most ``free``, so that no host and no bulk request has more than its share at a time.

    Each host's single requests and each bulk request wait in a lane of their own, and so do those of each :class:`Pace`: neither
    ten thousand guests to be started nor eight that do not shut down stand before the one that a person wants to force off.
    """
    waiting = Operation.objects.filter(state=State.QUEUED, host_id__in=hosts)
    lanes = _lanes(waiting)
    if not lanes:
        return
    of_host, of_parent = _running()
    paced = _paced({parent_id for _host, parent_id, _pace in lanes if parent_id is not None})
    for (host_id, parent_id, pace), (_first, kinds) in sorted(
        lanes.items(), key=lambda lane: (lane[0][1] is not None, lane[1][0])
    ):
        room = min(free, settings.OPERATIONS_PER_HOST - of_host[host_id, pace])
        if parent_id is not None and parent_id not in paced:
            room = min(room, settings.BULK_CONCURRENCY - of_parent[parent_id])
        if room <= 0:
            continue
        lane = waiting.filter(host_id=host_id, parent_id=parent_id, kind__in=kinds).order_by("created_at")
        chosen = list(lane.select_related("host")[:room])
        free -= len(chosen)
        of_host[host_id, pace] += len(chosen)
        of_parent[parent_id] += len(chosen)
        yield from chosen


def _lanes(waiting: QuerySet[Operation]) -> dict[tuple[int, UUID | None, Pace], tuple[datetime, list[str]]]:
    """(host, bulk request, pace) → when its first one was asked for, and the kinds that wait in it."""
    lanes: dict[tuple[int, UUID | None, Pace], tuple[datetime, list[str]]] = {}
    rows = waiting.values_list("host_id", "parent_id", "kind").annotate(first=Min("created_at")).order_by()
    for host_id, parent_id, kind, first in rows:
        before, kinds = lanes.get(key := (host_id, parent_id, pace_of(kind)), (first, []))
        lanes[key] = (min(before, first), [*kinds, kind])
    return lanes


def _paced(parents: set[UUID]) -> set[UUID]:
    """Those of the bulk requests that ask bit by bit, at a pace that a person chose."""
    if not parents:
        return set()
    return set(Operation.objects.filter(pk__in=parents, arguments__paced=True).values_list("pk", flat=True))


def _running() -> tuple[Counter[tuple[int, Pace]], Counter[UUID | None]]:
    """How many run, by host and pace, and by bulk request."""
    of_host, of_parent = Counter[tuple[int, Pace]](), Counter[UUID | None]()
    rows = Operation.objects.filter(state=State.RUNNING).values_list("host_id", "parent_id", "kind")
    for host_id, parent_id, kind, number in rows.annotate(n=Count("id")).order_by():
        of_host[host_id, pace_of(kind)] += number
        of_parent[parent_id] += number
    return of_host, of_parent


def settle_parents() -> None:
    """End the bulk requests whose last child's process died between writing its end and counting."""
    for parent in Operation.objects.filter(kind=queue.BULK, state=State.RUNNING):
        if not parent.children.filter(state__in=Operation.ACTIVE).exists():
            queue.settle_parent(parent.pk)


def end_orphans() -> None:
    """End the operations whose host was removed: no process looks after them, and their guest would stay busy for ever."""
    orphans = Operation.objects.filter(host=None).exclude(kind=queue.BULK)
    for orphan in orphans.filter(state=State.QUEUED):
        text = say("Host %(host)s was removed before this began.", host=orphan.host_name)
        _end(orphan, State.REFUSED, "Refused", text)
    for orphan in orphans.filter(state=State.RUNNING, until__lt=Now()):
        text = say("Host %(host)s was removed while this ran; look at the guest.", host=orphan.host_name)
        _end(orphan, State.UNKNOWN, "Uncertain", text)


def _end(orphan: Operation, state: State, kind: str, text: str) -> None:
    still = Operation.objects.filter(pk=orphan.pk, state=orphan.state, owner=orphan.owner, host=None)
    error = {"type": kind, "message": text}
    if still.update(state=state, finished_at=timezone.now(), until=None, error=error):
        queue.ended(orphan)
