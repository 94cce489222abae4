"""What kinds that fill a new volume with bytes from outside have in common."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from django.db.models import Q
from django.utils.translation import gettext as _

from hosts import fillings
from hosts.hypervisor.errors import Conflict, Failed, HypervisorError, NotFound, Unreachable
from hosts.hypervisor.sentences import say
from hosts.models import Filling, Operation, StoragePool, StorageVolume
from hosts.operations.kind import Cancelled, Refused, Subject, Uncertain
from hosts.operations.presenter import size
from hosts.operations.storage_base import NotNow, follow
from hosts.operations.task import Task
from hosts.operations.volume_base import check_pool, look_again, refuse_long, refuse_taken, until_seen, volumes_of
from hosts.operations.volume_create import VolumeCreate, is_block
from hosts.storage_types import type_of
from hosts.storage_volume_xml import volume
from hosts.transfer import checksums

State = Filling.State


class FillKind(VolumeCreate):
    """Makes a volume under its name and fills it. Until it is whole it is marked, and nobody is given it."""

    name = ""
    cancellable = True

    def check(self, subject: Subject, arguments: dict[str, Any]) -> None:
        pool: StoragePool = subject.row
        check_pool(self, pool)
        if not type_of(pool.type).creates:
            raise Refused(_("Volumes of a pool of type %(type)s are not made by libvirt.") % {"type": pool.type})
        refuse_taken(pool, arguments["name"])
        refuse_long(pool, arguments["name"])
        if arguments.get("size", 0) > pool.available:
            raise NotNow("size", _("Only %(free)s are free there.") % {"free": size(pool.available)})

    def keep(self, operation: Operation, given: Mapping[str, Any]) -> None:
        pool = StoragePool.objects.get(host=operation.host, name=operation.subject_name, absent_since=None)
        super().keep(operation, given)
        arguments = operation.arguments
        columns = {"size": arguments.get("size", 0), "checksum": arguments.get("checksum", "")}
        if checksums.is_address(columns["checksum"]):
            columns["checksum"] = ""
        columns["fingerprint"] = arguments.get("fingerprint", "")
        fillings.gone([pool], [arguments["name"]])
        Filling.objects.create(operation=operation, pool=pool, name=arguments["name"], **columns)

    def forget(self, operation: Operation) -> None:
        fillings.set_by_operation(operation, state=State.ENDED, holder="")

    def make(self, task: Task, pool: StoragePool, name: str, length: int) -> None:
        """The empty volume, marked as not whole. Raises Refused when the name was taken meanwhile."""
        with task.looking():
            if volumes_of(task, pool).exists(name):
                raise Refused(_("There is a volume of that name by now; nothing was done."))
        volumes = volumes_of(task, pool)
        fillings.set_by_operation(task.operation, partial=True, size=length)
        form = "" if len(type_of(pool.type).creates) == 1 else "raw"
        text = volume(name, length, form, allocation=length if is_block(pool) else 0)
        try:
            follow(task, volumes.connection, volumes.begin_create(text))
        except Unreachable:
            raise
        except HypervisorError:
            fillings.set_by_operation(task.operation, partial=False)
            raise
        finally:
            look_again(pool)
        fillings.set_by_operation(task.operation, state=State.OPEN)

    def finish(self, task: Task, pool: StoragePool, name: str) -> dict[str, Any]:
        """All bytes are there and were checked: let libvirt find out what it is."""
        filling = Filling.objects.get(operation=task.operation)
        if filling.state == State.BAD:
            self.give_up(task, pool, name)
            raise Failed(
                say(
                    "The checksum is wrong: %(wanted)s was to come, and what came has %(found)s. The volume was deleted.",
                    wanted=filling.checksum,
                    found=filling.digest,
                )
            )
        volumes = volumes_of(task, pool)
        try:
            follow(task, volumes.connection, volumes.begin_refresh_pool())
        except Conflict:
            pass  # It is being refreshed already: libvirt does so itself when bytes have come.
        record = volumes.read(name)
        fillings.set_by_operation(task.operation, partial=False)
        look_again(pool)
        until_seen(task, pool, name, format=record.format)
        found = {"path": record.path, "name": name, "size": filling.size, "format": record.format}
        return found | ({"checksum": filling.digest} if filling.digest else {})

    def give_up(self, task: Task, pool: StoragePool, name: str) -> None:
        """Delete what had come. Raises Uncertain when that cannot be done; the volume then stays marked."""
        fillings.set_by_operation(task.operation, state=State.ENDED, holder="")
        try:
            volumes = volumes_of(task, pool)
            follow(task, volumes.connection, volumes.begin_delete(name))
        except NotFound:
            pass  # Somebody else has deleted it.
        except HypervisorError as error:
            raise Uncertain(
                say("What had come could not be deleted: %(why)s It stays, marked as not whole.", why=error)
            ) from error
        finally:
            look_again(pool)
        Filling.objects.filter(operation=task.operation).update(partial=False)
        # Its name is free at once, not only when the mirror has looked again.
        same = Q(pool=pool) | (Q(pool__shared_key=pool.shared_key) & ~Q(pool__shared_key=""))
        StorageVolume.objects.filter(same, name=name).delete()

    def heed_cancel(self, task: Task, pool: StoragePool, name: str) -> None:
        """End, if that was asked for."""
        if not task.cancel_requested():
            return
        task.progress(cancelling=True, now=True)
        self.give_up(task, pool, name)
        raise Cancelled(say("It was given up; what had come was deleted."))


class Speed:
    """How far it came, as figures for the operation's page."""

    def __init__(self, offset: int) -> None:
        self._at = (time.monotonic(), offset)
        self._rate = 0.0

    def figures(self, offset: int, whole: int) -> dict[str, Any]:
        """``percent``, ``remaining``, ``total`` and ``rate``, in bytes and bytes a second."""
        now, (then, before) = time.monotonic(), self._at
        if now - then > 1.0:
            self._rate = max(0.0, (offset - before) / (now - then))
            self._at = (now, offset)
        percent = 100.0 * offset / whole if whole else 0.0
        return {"percent": percent, "total": whole, "remaining": max(0, whole - offset), "rate": round(self._rate)}
