"""Stop a pool: unmount it, log out, deactivate its group. Its volumes stay as they are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from hosts.models import StoragePool
from hosts.operations.kind import InvalidArguments, Refused, Subject, Uncertain, no_argument
from hosts.operations.storage_base import PoolKind, follow, open_by, refuse_while_busy, told, virsh
from hosts.operations.task import Task

#: types whose volumes stay where they are while the pool is off
STAYS = ("dir",)


def refuse_while_open(pool: StoragePool, confirm: str) -> None:
    """Refuse to take away what guests have open, unless the pool's name was typed."""
    if pool.type in STAYS or confirm == pool.name:
        return
    names = open_by(pool)
    if names:
        raise Refused(
            _("Guests have volumes of it open: %(names)s. Type the pool's name to stop it all the same.")
            % {"names": told(names)}
        )


class PoolStop(PoolKind):
    """Stop the pool. ``confirm`` is its name, typed, where guests have volumes of it open."""

    name = "pool-stop"
    label = gettext_lazy("Stop pool")
    verb = "pool.stop"
    needs_active = True

    def clean(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        for name in arguments:
            if name != "confirm":
                raise InvalidArguments(name, no_argument(self.name, name))
        return {"confirm": str(arguments["confirm"])[:255]} if arguments.get("confirm") else {}

    def check(self, subject: Subject, arguments: dict[str, Any]) -> None:
        super().check(subject, arguments)
        refuse_while_busy(subject.row)
        refuse_while_open(subject.row, arguments.get("confirm", ""))

    def virsh(self, subject: Subject, arguments: dict[str, Any]) -> str:
        return virsh("pool-destroy", subject.name)

    def run(self, task: Task) -> dict[str, Any]:
        with task.looking():
            facts = self.pool(task).facts()
        if not facts["active"]:
            raise Refused(_("It is off by now; nothing was done."))
        pool = self.pool(task)
        try:
            follow(task, pool.connection, pool.begin_stop())
        finally:
            self.look_again(task, pool)
        self.until_seen(task, pool, active=False)
        return {"active": False}

    def recover(self, task: Task) -> dict[str, Any]:
        pool = self.pool(task)
        self.look_again(task, pool)
        # A pool that was never stored is gone once it is off.
        if not pool.exists() or not pool.facts()["active"]:
            return {"active": False, "recovered": True}
        raise Uncertain(_("kvmdash was interrupted while the pool was stopping; it is on. Stop it again."))
