"""Forget a pool, and where that is wanted delete the storage itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from hosts import notify
from hosts.hypervisor.errors import HypervisorError
from hosts.hypervisor.sentences import say
from hosts.models import StoragePool, StorageVolume
from hosts.operations.kind import InvalidArguments, Refused, Subject, Uncertain, no_argument
from hosts.operations.pool_stop import refuse_while_open
from hosts.operations.storage_base import NotNow, PoolKind, find_pool, follow, refuse_while_busy, told, virsh
from hosts.operations.task import Task
from hosts.storage_types import type_of
from hosts.storage_use import use_of
from hosts.storage_xml import secret_uuid


class PoolDelete(PoolKind):
    """Stop and undefine the pool. With ``delete_storage`` the storage itself is deleted too.

    ``confirm``, its name, is then needed, and where guests have volumes of it open.
    """

    name = "pool-delete"
    label = gettext_lazy("Delete pool")
    verb = "pool.delete"

    def clean(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        for name in arguments:
            if name not in ("delete_storage", "confirm"):
                raise InvalidArguments(name, no_argument(self.name, name))
        wanted = arguments.get("delete_storage", False)
        if not isinstance(wanted, bool):
            raise InvalidArguments("delete_storage", _("Either true or false."))
        return {"delete_storage": wanted, "confirm": str(arguments.get("confirm") or "")[:255]}

    def check(self, subject: Subject, arguments: dict[str, Any]) -> None:
        super().check(subject, arguments)
        pool: StoragePool = subject.row
        refuse_while_busy(pool)
        if not arguments["delete_storage"]:
            if pool.active:
                refuse_while_open(pool, arguments["confirm"])
            return
        if not type_of(pool.type).deletes:
            raise Refused(
                _("libvirt cannot delete storage of type %(type)s, only forget the pool.") % {"type": pool.type}
            )
        if arguments["confirm"] != pool.name:
            raise NotNow("confirm", _("Type the pool's name: its storage is deleted for good."))
        _refuse_while_used(pool)

    def virsh(self, subject: Subject, arguments: dict[str, Any]) -> str:
        lines = [virsh("pool-destroy", subject.name)] if subject.row.active else []
        lines += [virsh("pool-delete", subject.name)] if arguments["delete_storage"] else []
        return "\n".join([*lines, virsh("pool-undefine", subject.name)])

    def run(self, task: Task) -> dict[str, Any]:
        row = find_pool(task.operation)
        with task.looking():
            facts = self.pool(task).facts()
        pool = self.pool(task)
        try:
            self._take_down(task, pool, facts)
        finally:
            self.look_again(task, pool)
        return self._forget(task, row)

    def _take_down(self, task: Task, pool: Any, facts: dict[str, bool]) -> None:
        if facts["active"]:
            follow(task, pool.connection, pool.begin_stop())
            task.log(say("The pool is stopped."))
        if task.arguments["delete_storage"]:
            try:
                follow(task, pool.connection, pool.begin_delete())
            except HypervisorError:
                task.log(say("Its storage could not be deleted; the pool is off and still defined."), "warning")
                raise
            task.log(say("Its storage is deleted."))
        if facts["persistent"]:
            pool.undefine()

    def _forget(self, task: Task, row: StoragePool | None) -> dict[str, Any]:
        from hosts.hypervisor.pool import drop_secret

        if row is not None:
            if "<secret" in row.definition:
                try:
                    drop_secret(task.connection, secret_uuid(str(row.uuid)))
                except HypervisorError as error:
                    task.log(say("The pool's password is still stored on the host: %(text)s", text=error), "warning")
            StoragePool.objects.filter(pk=row.pk).delete()
        notify.changed("resources", f"host:{task.host.pk}")
        return {"deleted": True, "storage": task.arguments["delete_storage"]}

    def recover(self, task: Task) -> dict[str, Any]:
        row = find_pool(task.operation)
        if row is None:
            return {"deleted": True, "recovered": True}
        pool = self.pool(task)
        self.look_again(task, pool)
        if not pool.exists():
            return self._forget(task, row) | {"recovered": True}
        raise Uncertain(
            _("kvmdash was interrupted while deleting the pool; it is still defined. Look at it before asking again.")
        )


def _refuse_while_used(pool: StoragePool) -> None:
    volumes = list(StorageVolume.objects.filter(pool=pool, absent_since=None).select_related("pool__host"))
    names = list(dict.fromkeys(user.name for use in use_of(volumes).values() for user in use.users))
    if names:
        raise Refused(_("Guests have disks in it: %(names)s. Move or delete these first.") % {"names": told(names)})
