"""Whether a pool starts with its host."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from hosts.operations.kind import InvalidArguments, Refused, Subject, no_argument
from hosts.operations.storage_base import PoolKind, virsh
from hosts.operations.task import Task


class PoolAutostart(PoolKind):
    """Have the host start the pool when it boots itself, or not (``enabled``)."""

    name = "pool-autostart"
    label = gettext_lazy("Autostart of a pool")
    verb = "pool.autostart"

    def clean(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        for name in arguments:
            if name != "enabled":
                raise InvalidArguments(name, no_argument(self.name, name))
        enabled = arguments.get("enabled", True)
        if enabled in ("true", "false"):
            enabled = enabled == "true"
        if not isinstance(enabled, bool):
            raise InvalidArguments("enabled", _("Either true or false."))
        return {"enabled": enabled}

    def check(self, subject: Subject, arguments: dict[str, Any]) -> None:
        super().check(subject, arguments)
        if not subject.row.persistent:
            raise Refused(_("%(name)s is forgotten when it stops.") % {"name": subject.name})

    def virsh(self, subject: Subject, arguments: dict[str, Any]) -> str:
        return virsh("pool-autostart", subject.name, *([] if arguments.get("enabled", True) else ["--disable"]))

    def run(self, task: Task) -> dict[str, Any]:
        pool = self.pool(task)
        pool.set_autostart(task.arguments["enabled"])
        self.look_again(task, pool)
        self.until_seen(task, pool, autostart=task.arguments["enabled"])
        return {"autostart": task.arguments["enabled"]}

    # Doing it twice is the same as doing it once.
    recover = run
