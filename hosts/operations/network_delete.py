"""Stop a virtual network and forget its definition."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from hosts import notify
from hosts.hypervisor.sentences import say
from hosts.models import Network
from hosts.operations.kind import Subject, Uncertain
from hosts.operations.network_base import NetworkKind, confirmed, find_network, only
from hosts.operations.network_stop import cards_of
from hosts.operations.storage_base import NotNow, follow, told, virsh
from hosts.operations.task import Task


class NetworkDelete(NetworkKind):
    """Stop and undefine the network. ``confirm`` is its name, typed, where guests have network cards in it."""

    name = "network-delete"
    label = gettext_lazy("Delete network")
    verb = "network.delete"

    def clean(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        only(self.name, arguments, ("confirm",))
        return confirmed(arguments)

    def check(self, subject: Subject, arguments: dict[str, Any]) -> None:
        super().check(subject, arguments)
        network: Network = subject.row
        names = cards_of(network, running=False)
        if names and arguments.get("confirm") != network.name:
            raise NotNow(
                "confirm",
                _("These guests have network cards in it and do not start without it: %(names)s. Type its name if that is meant.")
                % {"names": told(names)},
            )  # fmt: skip

    def virsh(self, subject: Subject, arguments: dict[str, Any]) -> str:
        row: Network = subject.row
        lines = [virsh("net-destroy", row.name)] if row.active else []
        lines += [virsh("net-undefine", row.name)] if row.persistent else []
        return "\n".join(lines)

    def run(self, task: Task) -> dict[str, Any]:
        with task.looking():
            facts = self.network(task).facts()
        network = self.network(task)
        row = find_network(task.operation)
        try:
            if facts["active"]:
                follow(task, network.connection, network.begin_stop())
                task.log(say("The network is stopped."))
            if facts["persistent"]:
                network.undefine()
        finally:
            self.look_again(task)
        return _forget(row)

    def recover(self, task: Task) -> dict[str, Any]:
        row = find_network(task.operation)
        if row is None:
            return {"recovered": True}
        network = self.network(task)
        self.look_again(task)
        if network.exists():
            raise Uncertain(
                _("kvmdash was interrupted while the network was being deleted; it is still there. Look at it.")
            )
        return _forget(row) | {"recovered": True}


def _forget(row: Network | None) -> dict[str, Any]:
    """Its row goes, too: it was meant to."""
    if row is not None:
        Network.objects.filter(pk=row.pk).delete()
        notify.changed(f"host:{row.host_id}", "resources")
    return {"deleted": True}
