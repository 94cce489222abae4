"""One element of a virtual network added, changed or taken away while it is on: leases, ranges, names, port groups, devices."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from hosts import (
    network_checks,
    network_fields,
    network_names,
    network_tree,
    network_updates,
    network_xml,
    storage_names,
)
from hosts.models import Network
from hosts.network_updates import SECTIONS, Change
from hosts.operations.kind import InvalidArguments, Subject, Uncertain, no_argument
from hosts.operations.network_base import NetworkKind, flag, tree_of
from hosts.operations.storage_base import NotNow
from hosts.operations.task import Task

LONGEST_TEXT = 200


def _lease(text: str) -> str:
    """A lease of either family."""
    first = text.strip().split(" ")[0]
    return network_names.ipv4_host(text) if first.count(":") == 5 else network_names.ipv6_host(text)


def _range(text: str) -> str:
    return network_names.ipv6_range(text) if ":" in text else network_names.ipv4_range(text)


def _value(text: str) -> str:
    if len(text) > LONGEST_TEXT or not text.isprintable():
        raise ValueError(_("At most %(most)d characters that can be seen.") % {"most": LONGEST_TEXT})
    return text


CHECKS: dict[str, Callable[[str], str]] = {
    "lease": _lease, "range": _range, "record": network_names.dns_host, "txt": network_names.domain, "value": _value,
    "portgroup": storage_names.name, "device": network_names.device,
}  # fmt: skip


class NetworkUpdate(NetworkKind):
    """``command`` (add, modify, delete) one element of a ``section``; what else is needed depends on the section.

    It is stored for later starts too, and needs none to take effect.
    """

    name = "network-update"
    label = gettext_lazy("Change network at once")
    verb = "network.update"

    def clean(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        section = SECTIONS.get(str(arguments.get("section", "")))
        if section is None:
            raise InvalidArguments("section", _("One of %(words)s.") % {"words": ", ".join(SECTIONS)})
        command = arguments.get("command")
        if command not in section.commands:
            raise InvalidArguments("command", _("One of %(words)s.") % {"words": ", ".join(section.commands)})
        for name in arguments:
            if name not in ("section", "command", *section.fields):
                raise InvalidArguments(name, no_argument(f"{self.name} ({section.name})", name))
        fields = {name: self._field(name, arguments) for name in section.fields}
        if fields[section.key] is None:
            raise InvalidArguments(section.key, _("This is needed."))
        found = {name: value for name, value in fields.items() if value not in (None, False, [])}
        return {"section": section.name, "command": command} | found

    def _field(self, name: str, arguments: Mapping[str, Any]) -> Any:
        given = arguments.get(name)
        if given in (None, "", []):
            return None
        if name == "default":
            return flag(arguments, name)
        if name in CHECKS:
            return network_fields.text(name, given, CHECKS[name])
        if name == "vlans":
            tags = network_fields.listed(name, given)
            return [network_fields.number(name, tag, network_fields.LEAST_TAG, network_fields.MOST_TAG) for tag in tags]
        return network_fields.number(name, given, *network_fields.NUMBERS[name])

    def check(self, subject: Subject, arguments: dict[str, Any]) -> None:
        super().check(subject, arguments)
        network: Network = subject.row
        root, section = tree_of(network), SECTIONS[arguments["section"]]
        there = network_updates.known(root, arguments)
        if arguments["command"] == "add" and there:
            raise NotNow(section.key, _("It is there already."))
        if arguments["command"] != "add" and not there:
            raise NotNow(section.key, _("There is none like that."))
        fields = network_xml.read(root)
        if arguments["command"] == "delete" or not fields["mode"]:
            return
        if section.name == "portgroup":
            fields = {"mode": "bridge"} | arguments
        for _field, message in network_checks.troubles(network_updates.fields_after(fields, arguments)):
            raise NotNow(section.key, message)

    def virsh(self, subject: Subject, arguments: dict[str, Any]) -> str:
        network: Network = subject.row
        change = network_updates.change(tree_of(network), arguments)
        return network_updates.virsh(network.name, change, live=network.active, stored=network.persistent)

    def run(self, task: Task) -> dict[str, Any]:
        with task.looking():
            facts = self.network(task).facts()
            change = self._change(task, facts)
        network = self.network(task)
        try:
            network.update(
                change.command, change.section, change.parent, change.element,
                live=facts["active"], stored=facts["persistent"],
            )  # fmt: skip
        finally:
            self.look_again(task)
        return {"live": facts["active"], "stored": facts["persistent"]}

    def _change(self, task: Task, facts: Mapping[str, bool]) -> Change:
        text = self.network(task).definition(next_start=facts["active"] and facts["persistent"])
        return network_updates.change(network_tree.parse(text), task.arguments)

    def recover(self, task: Task) -> dict[str, Any]:
        network = self.network(task)
        self.look_again(task)
        facts = network.facts()
        root = network_tree.parse(network.definition(next_start=facts["active"] and facts["persistent"]))
        arguments = task.arguments
        done = network_updates.known(root, arguments) is (arguments["command"] == "add")
        if done and arguments["command"] != "modify":
            return {"live": facts["active"], "stored": facts["persistent"], "recovered": True}
        raise Uncertain(
            _("kvmdash was interrupted while the network was being changed; look whether it is as you want it.")
        )
