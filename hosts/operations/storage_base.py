"""What kinds that act on storage have in common: locks, waiting for long calls, and having the mirror look again."""

from __future__ import annotations

import shlex
import time
import uuid
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, TypeVar

from django.db.models import Q
from django.utils.translation import gettext as _

from hosts import notify
from hosts.hypervisor.errors import Unreachable
from hosts.hypervisor.sentences import say
from hosts.models import Host, Operation, StoragePool, StorageVolume, User
from hosts.operations import seen
from hosts.operations.kind import Kind, Refused, Subject, Uncertain
from hosts.operations.task import Task
from hosts.storage_use import use_of

T = TypeVar("T")
#: seconds after which a call that libvirtd has not ended is left to itself
PATIENCE = 1800.0
LOOK_SECONDS = 0.3
#: characters of a subject's name
LONGEST = 255
NAMES_TOLD = 5


class NotNow(Refused):
    """An argument that is right in itself does not fit how things are; ``field`` says which."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field


class ResourceKind(Kind):
    """A kind on what a host offers. Its subject's UUID is a lock: the same for all who could be in each other's way."""

    of_guest = False

    def require_host(self, host: Host) -> None:
        """Refuse what cannot be asked of the host."""
        if not host.enabled:
            raise Refused(_("Host %(host)s is disabled.") % {"host": host.name})
        if not host.is_connected:
            raise Refused(
                _("Host %(host)s cannot be reached, so nothing can be asked of it: %(why)s")
                % {"host": host.name, "why": host.state_words or host.get_state_display()}
            )


class StorageKind(ResourceKind):
    """A kind on a pool or a volume."""

    #: storage may hang: it must not take the connection of others with it
    own_connection = True


class PoolKind(StorageKind):
    """A kind that acts on a pool."""

    role = User.Role.ADMINISTRATOR
    #: whether it needs a pool that is on (True), off (False) or either
    needs_active: bool | None = None

    def subject(self, row: StoragePool) -> Subject:
        return Subject(host=row.host, name=row.name, row=row, uuid=lock_of_pool(row))

    def page(self, operation: Operation) -> str:
        row = find_pool(operation)
        return row.get_absolute_url() if row is not None else ""

    def check(self, subject: Subject, arguments: dict[str, Any]) -> None:
        pool: StoragePool = subject.row
        self.require_host(pool.host)
        require_there(pool)
        if self.needs_active is not None and pool.active is not self.needs_active:
            raise Refused(
                (_("%(name)s is off.") if self.needs_active else _("%(name)s is on already.")) % {"name": pool.name}
            )

    def pool(self, task: Task) -> Any:
        """The live handle (hosts.hypervisor.pool.Pool); imported late, so that pages never load libvirt."""
        from hosts.hypervisor.pool import Pool

        row = find_pool(task.operation)
        if row is None:
            raise Refused(_("kvmdash does not know this pool any more; nothing was done."))
        return Pool(task.connection, str(row.uuid))

    def look_again(self, task: Task, pool: Any) -> None:
        """Have the mirror read it."""
        notify.look_again(task.host.pk, f"pool:{pool.uuid}")

    def until_seen(self, task: Task, pool: Any, **columns: Any) -> None:
        """Wait until the mirror has it so, or as gone."""
        rows = StoragePool.objects.filter(host=task.host, uuid=pool.uuid)
        seen.until_seen(task, rows.filter(Q(**columns) | Q(absent_since__isnull=False)))


def require_there(pool: StoragePool) -> None:
    """Refuse what is not on the host any more, and names that records cannot hold."""
    if pool.absent_since is not None:
        raise Refused(_("%(name)s is not on the host any more.") % {"name": pool.name})
    if len(pool.name) > LONGEST:
        raise Refused(_("Its name is too long to be handled here."))


def lock_of_pool(pool: StoragePool) -> uuid.UUID:
    """One active change for each pool of each host."""
    return uuid.uuid5(pool.uuid, f"pool of host {pool.host_id}")


def find_pool(operation: Operation) -> StoragePool | None:
    """The pool that an operation acts on."""
    rows = StoragePool.objects.filter(host=operation.host, name=operation.subject_name).select_related("host")
    return next((row for row in rows if lock_of_pool(row) == operation.subject_uuid), None)


def refuse_while_busy(pool: StoragePool) -> None:
    """Refuse to take a pool away under changes of its volumes."""
    busy = Operation.objects.filter(
        host=pool.host, state__in=Operation.ACTIVE, subject_name__startswith=f"{pool.name}/"
    )
    if (first := busy.filter(kind__startswith="volume-").first()) is not None:
        raise Refused(
            _("%(actor)s asked for “%(kind)s” of %(name)s, and it has not ended.")
            % {"actor": first.actor_name, "kind": first.kind, "name": first.subject_name}
        )


def open_by(pool: StoragePool) -> list[str]:
    """Names of the guests that have volumes of the pool open on its own host."""
    volumes = list(StorageVolume.objects.filter(pool=pool, absent_since=None).select_related("pool__host"))
    users = [user for use in use_of(volumes).values() for user in use.active if user.host == pool.host.name]
    return list(dict.fromkeys(user.name for user in users))


def told(names: list[str]) -> str:
    """The first few names."""
    more = len(names) - NAMES_TOLD
    return ", ".join(names[:NAMES_TOLD]) + (_(" and %(n)d more") % {"n": more} if more > 0 else "")


def follow(task: Task, connection: Any, future: Future[T], tick: Callable[[], None] | None = None) -> T:
    """Wait for a call on ``connection`` that lasts as long as the storage takes.

    Raises Unreachable when the host is lost meanwhile, and Uncertain when it lasts longer than anybody waits.
    """
    until = time.monotonic() + PATIENCE
    task.wake_when(future)
    while not future.done():
        # First this: what ends at once needs no second connection to be watched by.
        task.wait(LOOK_SECONDS)
        if future.done():
            break
        if not connection.is_alive:
            raise Unreachable(say("The connection to the host was lost."))
        if time.monotonic() > until:
            raise Uncertain(_("libvirtd has worked on this for half an hour without an end; look at the host."))
        if tick is not None:
            tick()
    outcome: T = connection.outcome(future)
    return outcome


def virsh(*words: str) -> str:
    """A virsh command line, quoted for a shell."""
    return shlex.join(["virsh", *words])
