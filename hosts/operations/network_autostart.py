"""Whether a virtual network starts with its host."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from hosts.operations.kind import Refused, Subject
from hosts.operations.network_base import NetworkKind, flag, only
from hosts.operations.storage_base import virsh
from hosts.operations.task import Task


class NetworkAutostart(NetworkKind):
    """Have the host start the network when it boots itself, or not (``enabled``)."""

    name = "network-autostart"
    label = gettext_lazy("Autostart of a network")
    verb = "network.autostart"

    def clean(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        only(self.name, arguments, ("enabled",))
        return {"enabled": flag(arguments, "enabled", True)}

    def check(self, subject: Subject, arguments: dict[str, Any]) -> None:
        super().check(subject, arguments)
        if not subject.row.persistent:
            raise Refused(_("%(name)s is forgotten when it stops.") % {"name": subject.name})

    def virsh(self, subject: Subject, arguments: dict[str, Any]) -> str:
        return virsh("net-autostart", subject.name, *([] if arguments.get("enabled", True) else ["--disable"]))

    def run(self, task: Task) -> dict[str, Any]:
        network = self.network(task)
        network.set_autostart(task.arguments["enabled"])
        self.look_again(task)
        self.until_seen(task, network, autostart=task.arguments["enabled"])
        return {"autostart": task.arguments["enabled"]}

    # Doing it twice is the same as doing it once.
    recover = run
