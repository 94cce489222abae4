"""Start a pool: mount it, log in to its target, activate its group."""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from hosts.operations.kind import Refused, Subject, Uncertain
from hosts.operations.storage_base import PoolKind, follow, virsh
from hosts.operations.task import Task


class PoolStart(PoolKind):
    """Start the pool, so that its volumes can be used."""

    name = "pool-start"
    label = gettext_lazy("Start pool")
    verb = "pool.start"
    needs_active = False

    def virsh(self, subject: Subject, arguments: dict[str, Any]) -> str:
        return virsh("pool-start", subject.name)

    def run(self, task: Task) -> dict[str, Any]:
        with task.looking():
            if self.pool(task).facts()["active"]:
                raise Refused(_("It is on by now; nothing was done."))
        pool = self.pool(task)
        try:
            follow(task, pool.connection, pool.begin_start())
        finally:
            self.look_again(task, pool)
        self.until_seen(task, pool, active=True)
        return {"active": True}

    def recover(self, task: Task) -> dict[str, Any]:
        pool = self.pool(task)
        self.look_again(task, pool)
        if pool.facts()["active"]:
            return {"active": True, "recovered": True}
        raise Uncertain(_("kvmdash was interrupted while the pool was starting; it is off. Start it again."))
