"""Stop a virtual network."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from hosts.models import Network
from hosts.operations.kind import Refused, Subject, Uncertain
from hosts.operations.network_base import NetworkKind, confirmed, only, users_of
from hosts.operations.storage_base import NotNow, follow, told, virsh
from hosts.operations.task import Task


class NetworkStop(NetworkKind):
    """Stop the network. ``confirm`` is its name, typed, where running guests are connected to it."""

    name = "network-stop"
    label = gettext_lazy("Stop network")
    verb = "network.stop"
    needs_active = True

    def clean(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        only(self.name, arguments, ("confirm",))
        return confirmed(arguments)

    def check(self, subject: Subject, arguments: dict[str, Any]) -> None:
        super().check(subject, arguments)
        refuse_while_connected(subject.row, arguments.get("confirm", ""))

    def virsh(self, subject: Subject, arguments: dict[str, Any]) -> str:
        return virsh("net-destroy", subject.name)

    def run(self, task: Task) -> dict[str, Any]:
        with task.looking():
            facts = self.network(task).facts()
        if not facts["active"]:
            raise Refused(_("It is off by now; nothing was done."))
        network = self.network(task)
        try:
            follow(task, network.connection, network.begin_stop())
        finally:
            self.look_again(task)
        self.until_seen(task, network, active=False)
        return {"active": False}

    def recover(self, task: Task) -> dict[str, Any]:
        network = self.network(task)
        self.look_again(task)
        # A network that was never stored is gone once it is off.
        if not network.exists() or not network.facts()["active"]:
            return {"active": False, "recovered": True}
        raise Uncertain(_("kvmdash was interrupted while the network was stopping; it is on. Stop it again."))


def cards_of(network: Network, *, running: bool) -> list[str]:
    """Guests with their network cards that are connected to it, in words; the running ones alone, or all."""
    claims = [claim for claim in users_of(network) if claim.active or not running]
    return [f"{claim.owner_name} ({claim.mac or claim.model or claim.type})" for claim in claims]


def refuse_while_connected(network: Network, confirm: str) -> None:
    """Refuse to take it away under running guests, unless its name was typed."""
    names = cards_of(network, running=True)
    if names and confirm != network.name:
        raise NotNow(
            "confirm",
            _("Running guests are connected to it and will be cut off: %(names)s. Type its name if that is meant.")
            % {"names": told(names)},
        )
