"""Another definition for a virtual network: stored for its next start, and what libvirt can change while it is on at once."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from hosts import network_fields, network_tree, network_updates, network_xml
from hosts.hypervisor.errors import HypervisorError, NotFound
from hosts.hypervisor.sentences import say
from hosts.models import Network
from hosts.operations.kind import InvalidArguments, Refused, Subject, Uncertain
from hosts.operations.network_base import NetworkKind, find_network, flag, tree_of
from hosts.operations.network_define import check_fields, define_command, tell_overlaps
from hosts.operations.storage_base import NotNow
from hosts.operations.task import Task


class NetworkEdit(NetworkKind):
    """Give the network other fields: all of its ``mode`` that are wanted, what is left out is taken away.

    ``base`` is the mark of the definition they were made from. Leases, ranges and DNS names change at once (``live``).
    """

    name = "network-edit"
    label = gettext_lazy("Edit network")
    verb = "network.edit"

    def clean(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        cleaned = network_fields.clean(self.name, arguments, ("base", "live"))
        base = arguments.get("base") or ""
        if not isinstance(base, str) or len(base) > 64:
            raise InvalidArguments("base", _("This is a text."))
        return cleaned | {"base": base, "live": flag(arguments, "live", True)}

    def check(self, subject: Subject, arguments: dict[str, Any]) -> None:
        super().check(subject, arguments)
        network: Network = subject.row
        if not network.persistent:
            raise Refused(_("%(name)s is forgotten when it stops.") % {"name": network.name})
        if arguments["base"] and arguments["base"] != mark(network.stored_definition):
            raise NotNow("base", _("It was changed meanwhile; look at it again before you change it."))
        if network_xml.mode_of(tree_of(network)) != arguments["mode"]:
            raise NotNow("mode", _("A network keeps its kind; delete it and make another."))
        check_fields(network.host, arguments, network)

    def virsh(self, subject: Subject, arguments: dict[str, Any]) -> str:
        return define_command(network_tree.text_of(network_xml.apply(tree_of(subject.row), arguments)))

    def run(self, task: Task) -> dict[str, Any]:
        from hosts.hypervisor import virtual_network

        wanted = task.arguments
        with task.looking():
            before = self._stored(self.network(task))
        if wanted["base"] and mark(before) != wanted["base"]:
            raise Refused(_("It was changed meanwhile; nothing was done."))
        tell_overlaps(task, wanted, find_network(task.operation))
        network = self.network(task)
        try:
            definition = network_tree.text_of(network_xml.apply(network_tree.parse(before), wanted))
            virtual_network.define(network.connection, definition)
            task.log(say("The definition is stored for the next start."))
            live = self._live(task, network) if wanted["live"] and network.facts()["active"] else 0
            lost = _lost(network_xml.read(network_tree.parse(self._stored(network))), wanted)
        finally:
            self.look_again(task)
        if lost:
            task.log(say("The host did not keep: %(names)s.", names=", ".join(lost)), "warning")
        return {"live": live, "lost": lost}

    def _stored(self, network: Any) -> str:
        return str(network.definition(next_start=network.facts()["active"]))

    def _live(self, task: Task, network: Any) -> int:
        """Change at once what can be; how many changes. What the host does not take waits for the next start."""
        root = network_tree.parse(network.definition())
        done = 0
        for change in network_updates.live_changes(root, network_xml.read(root), task.arguments):
            try:
                network.update(change.command, change.section, change.parent, change.element, live=True, stored=False)
                done += 1
            except NotFound:
                raise
            except HypervisorError as error:
                task.log(
                    say("This waits for the next start: %(element)s: %(text)s", element=change.element, text=error),
                    "warning",
                )
        if done:
            task.log(say("Changed at once: %(n)d.", n=done))
        return done

    def recover(self, task: Task) -> dict[str, Any]:
        network = self.network(task)
        self.look_again(task)
        if not _lost(network_xml.read(network_tree.parse(self._stored(network))), task.arguments):
            return {"live": 0, "lost": [], "recovered": True}
        raise Uncertain(
            _("kvmdash was interrupted while the network was being changed; look whether it is as you want it.")
        )


def mark(definition: str) -> str:
    """What tells one definition from another."""
    return hashlib.sha256(definition.encode()).hexdigest()[:32]


def _lost(now: Mapping[str, Any], wanted: Mapping[str, Any]) -> list[str]:
    """The fields that are not as they were wanted. A bridge that is left to libvirt has a name all the same."""
    fields = {name: value for name, value in wanted.items() if name not in ("base", "live", "mode")}
    differ = [name for name, value in fields.items() if now.get(name) != value]
    more = [name for name in now if name not in ("mode", "bridge") and name not in fields]
    return sorted([*differ, *more])
