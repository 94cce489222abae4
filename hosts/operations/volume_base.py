"""What kinds that act on a volume have in common."""

from __future__ import annotations

import time
import uuid
from collections.abc import Mapping
from concurrent.futures import Future
from typing import Any

from django.utils.translation import gettext as _

from hosts import notify, storage_names
from hosts.hypervisor.errors import NotFound
from hosts.models import Operation, StoragePool, StorageVolume, User
from hosts.operations import seen
from hosts.operations.kind import InvalidArguments, Refused, Subject, Uncertain, no_argument
from hosts.operations.storage_base import (
    LONGEST,
    PATIENCE,
    NotNow,
    StorageKind,
    follow,
    lock_of_pool,
    require_there,
    told,
)
from hosts.operations.task import Task
from hosts.storage_use import Use, use_of

#: bytes; the largest is what file systems and libvirt's numbers hold
LEAST, MOST = 1024, 2**60
#: seconds between two looks at how much is written
PROGRESS_SECONDS = 1.0


class VolumeKind(StorageKind):
    """A kind that acts on a volume. One active change for each, whichever host of shared storage it is asked of."""

    role = User.Role.OPERATOR
    many = False

    def subject(self, row: StorageVolume) -> Subject:
        return Subject(
            host=row.pool.host, name=f"{row.pool.name}/{row.name}", row=row, uuid=lock_of_volume(row.pool, row.name)
        )

    def page(self, operation: Operation) -> str:
        row = find_volume(operation)
        return row.get_absolute_url() if row is not None else ""

    def check(self, subject: Subject, arguments: dict[str, Any]) -> None:
        volume: StorageVolume = subject.row
        check_pool(self, volume.pool)
        if volume.absent_since is not None:
            raise Refused(_("%(name)s is not there any more.") % {"name": volume.name})
        if len(subject.name) > LONGEST:
            raise Refused(_("Its name is too long to be handled here."))

    def volume(self, task: Task) -> StorageVolume:
        """The row; raises Refused when it is gone."""
        row = find_volume(task.operation)
        if row is None:
            raise Refused(_("kvmdash does not know this volume any more; nothing was done."))
        return row


def volumes_of(task: Task, pool: StoragePool) -> Any:
    """The live handle (hosts.hypervisor.volume.Volumes); imported late, so that pages never load libvirt."""
    from hosts.hypervisor.volume import Volumes

    return Volumes(task.connection, str(pool.uuid))


def look_again(pool: StoragePool) -> None:
    """Have the mirrors of all hosts that see the storage read it."""
    rows = [pool]
    if pool.shared_key:
        rows = list(StoragePool.objects.filter(shared_key=pool.shared_key, absent_since=None))
    for row in rows:
        notify.look_again(row.host_id, f"pool:{row.uuid}")


def until_seen(task: Task, pool: StoragePool, name: str, **columns: Any) -> None:
    """Wait until the mirror has the volume, and so."""
    seen.until_seen(task, StorageVolume.objects.filter(pool=pool, name=name, absent_since=None, **columns))


def check_pool(kind: StorageKind, pool: StoragePool) -> None:
    """The pool is on, its host can be asked, and nobody is about to take it away."""
    kind.require_host(pool.host)
    require_there(pool)
    if not pool.active:
        raise Refused(_("The pool %(name)s is off.") % {"name": pool.name})
    busy = Operation.objects.filter(subject_uuid=lock_of_pool(pool), state__in=Operation.ACTIVE, exclusive=True)
    if (first := busy.exclude(kind="pool-refresh").first()) is not None:
        raise Refused(
            _("%(actor)s asked for “%(kind)s” of the pool, and it has not ended.")
            % {"actor": first.actor_name, "kind": first.kind}
        )


def lock_of_volume(pool: StoragePool, name: str) -> uuid.UUID:
    """The same for all who could be in each other's way: hosts that share the storage among them."""
    storage = pool.shared_key or f"{pool.host_id}/{pool.uuid}"
    return uuid.uuid5(uuid.NAMESPACE_URL, f"volume {storage}\n{name}")


def place_of(operation: Operation) -> tuple[StoragePool | None, str]:
    """The pool and the volume's name that an operation is about."""
    pool_name, _slash, name = operation.subject_name.partition("/")
    rows = StoragePool.objects.filter(host=operation.host, name=pool_name).select_related("host")
    return rows.order_by("absent_since").first() if operation.host_id else None, name


def find_volume(operation: Operation) -> StorageVolume | None:
    """The volume that an operation acts on, as its own host sees it."""
    pool, name = place_of(operation)
    if pool is None:
        return None
    return StorageVolume.objects.filter(pool=pool, name=name).select_related("pool__host").first()


def use(volume: StorageVolume) -> Use:
    """Who uses it."""
    return use_of([volume])[volume.pk]


def refuse_open(volume: StorageVolume) -> None:
    """Refuse what would damage an image that a guest has open."""
    names = list(dict.fromkeys(user.name for user in use(volume).active))
    if names:
        raise Refused(_("Running guests have it open: %(names)s. Shut them down first.") % {"names": told(names)})


def refuse_below(volume: StorageVolume) -> None:
    """Refuse what would damage the volumes that lie on it."""
    names = [overlay.name for overlay in use(volume).overlays]
    if names:
        raise Refused(_("Other volumes lie on it and would be damaged: %(names)s.") % {"names": told(names)})


def named_on_host(task: Task, volume: StorageVolume) -> list[str]:
    """Guests that name it now, as the host itself says: the rows may be older."""
    from hosts.hypervisor.volume import named_by

    with task.looking():
        return named_by(task.connection, volume.path, volume.pool.name, volume.name)


def only(kind: str, arguments: Mapping[str, Any], names: tuple[str, ...]) -> None:
    """Refuse arguments that the kind does not know."""
    for name in arguments:
        if name not in names:
            raise InvalidArguments(name, no_argument(kind, name))


def new_name(arguments: Mapping[str, Any]) -> str:
    """The name of a volume to be made."""
    given = arguments.get("name")
    if not isinstance(given, str):
        raise InvalidArguments("name", _("A name is needed."))
    try:
        return storage_names.name(given)
    except ValueError as error:
        raise InvalidArguments("name", str(error)) from None


def size_of(arguments: Mapping[str, Any]) -> int:
    """``capacity`` in bytes."""
    given = arguments.get("capacity")
    if isinstance(given, bool) or not isinstance(given, int) or not LEAST <= given <= MOST:
        raise InvalidArguments("capacity", _("A size in bytes, from %(least)d up.") % {"least": LEAST})
    return given


def refuse_long(pool: StoragePool, name: str) -> None:
    """Refuse a name that the file system or our records cannot hold."""
    if len(name.encode()) > storage_names.LONGEST_BYTES or len(f"{pool.name}/{name}") > LONGEST:
        raise NotNow("name", _("The name is too long for the file system."))


def refuse_taken(pool: StoragePool, name: str) -> None:
    """Refuse a name that a volume of the pool has, on any host that sees it."""
    rows = StorageVolume.objects.filter(name=name, absent_since=None)
    same = rows.filter(pool=pool)
    if pool.shared_key:
        same = rows.filter(pool__shared_key=pool.shared_key)
    if same.exists():
        raise NotNow("name", _("The pool has a volume of that name."))


def follow_growth(task: Task, volumes: Any, future: Future[Any], name: str, whole: int) -> None:
    """Wait until the volume is made, telling how much of ``whole`` bytes is written."""
    asked_at = 0.0

    def tick() -> None:
        nonlocal asked_at
        if time.monotonic() - asked_at < PROGRESS_SECONDS:
            return
        asked_at = time.monotonic()
        try:
            written = volumes.allocation(name)
        except NotFound:
            return  # It has not begun.
        task.progress(percent=min(100.0, 100.0 * written / whole), total=whole, remaining=max(0, whole - written))

    follow(task, volumes.connection, future, tick if whole else None)


def wait_until_made(task: Task, volumes: Any, name: str) -> None:
    """libvirtd goes on making a volume when who asked for it has gone: wait for its end."""
    until = time.monotonic() + PATIENCE
    while volumes.is_being_made(name):
        if time.monotonic() > until:
            raise Uncertain(_("libvirtd has worked on this for half an hour without an end; look at the host."))
        task.progress(still=True)
        task.wait(1.0)
