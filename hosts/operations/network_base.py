"""What kinds that act on virtual networks have in common: locks, who uses a network, and having the mirror look again."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any

from django.db.models import Q
from django.utils.translation import gettext as _

from hosts import network_tree, notify
from hosts.models import Network, NetworkClaim, Operation, User
from hosts.operations import seen
from hosts.operations.kind import InvalidArguments, Refused, Subject, no_argument
from hosts.operations.storage_base import LONGEST, ResourceKind
from hosts.operations.task import Task

#: before the UUID of a network that is to be looked at again
NETWORK = "network:"


class NetworkKind(ResourceKind):
    """A kind that acts on a network."""

    role = User.Role.ADMINISTRATOR
    many = False
    #: whether it needs a network that is on (True), off (False) or either
    needs_active: bool | None = None

    def subject(self, row: Network) -> Subject:
        return Subject(host=row.host, name=row.name, row=row, uuid=lock_of(row))

    def page(self, operation: Operation) -> str:
        row = find_network(operation)
        return row.get_absolute_url() if row is not None else ""

    def check(self, subject: Subject, arguments: dict[str, Any]) -> None:
        network: Network = subject.row
        self.require_host(network.host)
        if network.absent_since is not None:
            raise Refused(_("%(name)s is not on the host any more.") % {"name": network.name})
        if len(network.name) > LONGEST:
            raise Refused(_("Its name is too long to be handled here."))
        if self.needs_active is not None and network.active is not self.needs_active:
            words = _("%(name)s is off.") if self.needs_active else _("%(name)s is on already.")
            raise Refused(words % {"name": network.name})

    def network(self, task: Task) -> Any:
        """The live handle (hosts.hypervisor.virtual_network.VirtualNetwork); imported late, so that pages never load libvirt."""
        from hosts.hypervisor.virtual_network import VirtualNetwork

        row = find_network(task.operation)
        if row is None:
            raise Refused(_("kvmdash does not know this network any more; nothing was done."))
        return VirtualNetwork(task.connection, str(row.uuid))

    def look_again(self, task: Task) -> None:
        """Have the mirror read the host's networks."""
        look_again(task)

    def until_seen(self, task: Task, network: Any, **columns: Any) -> None:
        """Wait until the mirror has it so, or as gone."""
        rows = Network.objects.filter(host=task.host, uuid=network.uuid)
        seen.until_seen(task, rows.filter(Q(**columns) | Q(absent_since__isnull=False)))


def look_again(task: Task) -> None:
    """Have the mirror read the host's networks."""
    notify.look_again(task.host.pk, NETWORK)


def lock_of(network: Network) -> uuid.UUID:
    """One active change for each network of each host."""
    return uuid.uuid5(network.uuid, f"network of host {network.host_id}")


def find_network(operation: Operation) -> Network | None:
    """The network that an operation acts on."""
    rows = Network.objects.filter(host=operation.host, name=operation.subject_name).select_related("host")
    return next((row for row in rows if lock_of(row) == operation.subject_uuid), None)


def users_of(network: Network) -> list[NetworkClaim]:
    """The network cards of guests on its host that are connected to it, those of running guests first."""
    rows = NetworkClaim.objects.filter(host_id=network.host_id, type="network", source=network.name)
    return list(rows.order_by("-active", "owner_name", "mac"))


def only(kind: str, arguments: Mapping[str, Any], names: tuple[str, ...]) -> None:
    """Refuse arguments that the kind does not know."""
    for name in arguments:
        if name not in names:
            raise InvalidArguments(name, no_argument(kind, name))


def flag(arguments: Mapping[str, Any], name: str, default: bool = False) -> bool:
    """True or false; also as an address has it."""
    given = arguments.get(name, default)
    if given in ("true", "false"):
        return bool(given == "true")
    if not isinstance(given, bool):
        raise InvalidArguments(name, _("Either true or false."))
    return given


def confirmed(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """``confirm``, where it is said."""
    return {"confirm": str(arguments["confirm"])[:LONGEST]} if arguments.get("confirm") else {}


def tree_of(network: Network) -> Any:
    """What it is started with next, as a tree. Raises Refused when it cannot be read."""
    try:
        return network_tree.parse(network.stored_definition)
    except network_tree.Malformed as error:
        raise Refused(_("Its definition cannot be read: %(text)s") % {"text": error}) from error
