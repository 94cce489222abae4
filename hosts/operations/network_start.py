"""Start a virtual network."""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from hosts.operations.kind import Refused, Subject, Uncertain
from hosts.operations.network_base import NetworkKind
from hosts.operations.storage_base import follow, virsh
from hosts.operations.task import Task


class NetworkStart(NetworkKind):
    """Start the network: its bridge, its firewall rules, DHCP and DNS."""

    name = "network-start"
    label = gettext_lazy("Start network")
    verb = "network.start"
    needs_active = False

    def virsh(self, subject: Subject, arguments: dict[str, Any]) -> str:
        return virsh("net-start", subject.name)

    def run(self, task: Task) -> dict[str, Any]:
        with task.looking():
            if self.network(task).facts()["active"]:
                raise Refused(_("It is on by now; nothing was done."))
        network = self.network(task)
        try:
            follow(task, network.connection, network.begin_start())
        finally:
            self.look_again(task)
        self.until_seen(task, network, active=True)
        return {"active": True}

    def recover(self, task: Task) -> dict[str, Any]:
        network = self.network(task)
        self.look_again(task)
        if network.facts()["active"]:
            return {"active": True, "recovered": True}
        raise Uncertain(_("kvmdash was interrupted while the network was starting; it is off. Start it again."))
