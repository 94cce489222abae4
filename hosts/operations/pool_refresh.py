"""Have libvirt look again what lies in a pool: files that were copied there without it are seen then."""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext_lazy

from hosts.models import User
from hosts.operations.kind import Subject
from hosts.operations.storage_base import PoolKind, follow, virsh
from hosts.operations.task import Task


class PoolRefresh(PoolKind):
    """Look again what lies in the pool. Changes nothing in it."""

    name = "pool-refresh"
    label = gettext_lazy("Refresh pool")
    verb = "pool.refresh"
    role = User.Role.OPERATOR
    needs_active = True
    changes = False

    def virsh(self, subject: Subject, arguments: dict[str, Any]) -> str:
        return virsh("pool-refresh", subject.name)

    def run(self, task: Task) -> dict[str, Any]:
        pool = self.pool(task)
        try:
            follow(task, pool.connection, pool.begin_refresh())
        finally:
            self.look_again(task, pool)
        return {}

    recover = run
