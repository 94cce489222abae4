"""What of the queue comes next, and what nobody would end any more. Rows only."""

from __future__ import annotations

from collections.abc import Iterator

from django.conf import settings
from django.db.models import Count, Min, QuerySet
from django.db.models.functions import Now
from django.utils import timezone

from hosts.hypervisor.sentences import say
from hosts.models import Operation
from hosts.operations import queue

State = Operation.State


def next_in_turn(hosts: set[int], free: int) -> Iterator[Operation]:
    """Waiting operations of ``hosts``, at most ``free``, so that no host and no bulk request has more than its share at a time.

    Each host's single requests and each bulk request wait in a lane of their own: ten thousand guests to be started do not stand
    before the one that a person wants to stop.
    """
    waiting = Operation.objects.filter(state=State.QUEUED, host_id__in=hosts)
    lanes = list(waiting.values_list("host_id", "parent_id").annotate(first=Min("created_at")).order_by())
    if not lanes:
        return
    running = Operation.objects.filter(state=State.RUNNING)
    of_host, of_parent = _counted(running, "host_id"), _counted(running.exclude(parent=None), "parent_id")
    for host_id, parent_id, _first in sorted(lanes, key=lambda lane: (lane[1] is not None, lane[2])):
        room = min(free, settings.OPERATIONS_PER_HOST - of_host.get(host_id, 0))
        if parent_id is not None:
            room = min(room, settings.BULK_CONCURRENCY - of_parent.get(parent_id, 0))
        if room <= 0:
            continue
        lane = waiting.filter(host_id=host_id, parent_id=parent_id).order_by("created_at")
        chosen = list(lane.select_related("host")[:room])
        free -= len(chosen)
        of_host[host_id] = of_host.get(host_id, 0) + len(chosen)
        of_parent[parent_id] = of_parent.get(parent_id, 0) + len(chosen)
        yield from chosen


def _counted(running: QuerySet[Operation], column: str) -> dict[object, int]:
    return dict(running.values_list(column).annotate(n=Count("id")).order_by())


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
