"""Define a virtual network of any kind, and where that is wanted start it."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from hosts import network_checks, network_fields, network_tree, network_xml, storage_names
from hosts.hypervisor.errors import Failed, HypervisorError, NotFound
from hosts.hypervisor.sentences import say
from hosts.models import Host, Network, Operation, User
from hosts.network_modes import MODES
from hosts.operations.kind import Refused, Subject, Uncertain
from hosts.operations.network_base import flag, look_again
from hosts.operations.seen import until_seen
from hosts.operations.storage_base import NotNow, ResourceKind, follow
from hosts.operations.storage_base import virsh as virsh_line
from hosts.operations.task import Task


class NetworkDefine(ResourceKind):
    """Define a network of a ``mode`` under a ``name``; what else is needed depends on the mode."""

    name = "network-define"
    label = gettext_lazy("Add network")
    verb = "network.define"
    role = User.Role.ADMINISTRATOR
    exclusive = False
    many = False

    def subject(self, row: Host) -> Subject:
        return Subject(host=row, name=row.name, row=row)

    def page(self, operation: Operation) -> str:
        row = Network.objects.filter(host=operation.host, uuid=operation.arguments.get("uuid")).first()
        return row.get_absolute_url() if row is not None else ""

    def clean(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        cleaned = network_fields.clean(self.name, arguments, ("name", "start", "autostart"))
        cleaned["name"] = network_fields.text("name", arguments.get("name"), storage_names.name)
        cleaned["uuid"] = str(uuid.uuid4())
        return cleaned | {name: flag(arguments, name) for name in ("start", "autostart")}

    def check(self, subject: Subject, arguments: dict[str, Any]) -> None:
        host: Host = subject.row
        self.require_host(host)
        if Network.objects.filter(host=host, name=arguments["name"], absent_since=None).exists():
            raise NotNow("name", _("%(host)s has a network of that name.") % {"host": host.name})
        check_fields(host, arguments)

    def virsh(self, subject: Subject, arguments: dict[str, Any]) -> str:
        name = arguments["name"]
        lines = [define_command(definition_of(arguments))]
        lines += [virsh_line("net-start", name)] if arguments["start"] else []
        lines += [virsh_line("net-autostart", name)] if arguments["autostart"] else []
        return "\n".join(lines)

    def run(self, task: Task) -> dict[str, Any]:
        from hosts.hypervisor import virtual_network

        arguments = task.arguments
        with task.looking():
            try:
                virtual_network.uuid_of(task.connection, arguments["name"])
            except NotFound:
                pass
            else:
                raise Refused(_("There is a network of that name by now; nothing was done."))
        tell_overlaps(task, arguments)
        network = virtual_network.VirtualNetwork(task.connection, arguments["uuid"])
        try:
            self._make(task, network)
        except HypervisorError:
            _take_back(task, network)
            raise
        finally:
            look_again(task)
        there = Network.objects.filter(host=task.host, uuid=arguments["uuid"], absent_since=None)
        until_seen(task, there.filter(active=arguments["start"], autostart=arguments["autostart"]))
        return {"network": arguments["uuid"], "active": arguments["start"]}

    def _make(self, task: Task, network: Any) -> None:
        from hosts.hypervisor import virtual_network

        virtual_network.define(network.connection, definition_of(task.arguments))
        task.log(say("The network is defined."))
        if task.arguments["start"]:
            follow(task, network.connection, network.begin_start())
            task.log(say("The network is started."))
        if task.arguments["autostart"]:
            network.set_autostart(True)

    def recover(self, task: Task) -> dict[str, Any]:
        from hosts.hypervisor.virtual_network import VirtualNetwork

        network, arguments = VirtualNetwork(task.connection, task.arguments["uuid"]), task.arguments
        look_again(task)
        if not network.exists():
            raise Failed(say("kvmdash was interrupted before the network was defined; nothing of it is there."))
        facts = network.facts()
        if facts["active"] is arguments["start"] and facts["autostart"] is arguments["autostart"]:
            return {"network": arguments["uuid"], "active": facts["active"], "recovered": True}
        raise Uncertain(
            _("kvmdash was interrupted: the network is defined, but not started or set up as asked. Look at it.")
        )


def definition_of(arguments: Mapping[str, Any]) -> str:
    """``<network>`` from the arguments of a network-define."""
    root = network_xml.new(arguments["name"], arguments["uuid"])
    return network_tree.text_of(network_xml.apply(root, arguments))


def define_command(definition: str) -> str:
    """The command that stores a definition."""
    return f"virsh net-define /dev/stdin <<'XML'\n{definition.rstrip()}\nXML"


def check_fields(host: Host, fields: Mapping[str, Any], own: Network | None = None) -> None:
    """Refuse fields that do not go together, and a bridge that is another network's."""
    for field, message in network_checks.troubles(fields):
        raise NotNow(field, message)
    if not MODES[fields["mode"]].served or not fields.get("bridge"):
        return
    others = Network.objects.filter(host=host, bridge=fields["bridge"], absent_since=None)
    if own is not None:
        others = others.exclude(pk=own.pk)
    if (other := others.first()) is not None:
        raise NotNow("bridge", _("That is the bridge of the network %(name)s.") % {"name": other.name})


def overlaps_of(host: Host, fields: Mapping[str, Any], own: Network | None = None) -> list[tuple[str, str, str]]:
    """(own network, who, their network) of what has the same addresses on the host: libvirt then may not start it."""
    others = Network.objects.filter(host=host, absent_since=None)
    if own is not None:
        others = others.exclude(pk=own.pk)
    rows = others.values_list("name", "addresses")
    return network_checks.overlaps(fields, [(name, text) for name, texts in rows for text in texts])


def tell_overlaps(task: Task, fields: Mapping[str, Any], own: Network | None = None) -> None:
    """Write into the log who has the same addresses."""
    for mine, who, theirs in overlaps_of(task.host, fields, own):
        words = say(
            "%(own)s overlaps %(theirs)s of %(who)s: the two cannot be on at once.", own=mine, theirs=theirs, who=who
        )
        task.log(words, "warning")


def _take_back(task: Task, network: Any) -> None:
    """Leave nothing half made; libvirt's words say what failed."""
    try:
        if network.exists():
            if network.facts()["active"]:
                follow(task, network.connection, network.begin_stop())
            network.undefine()
            task.log(say("The definition was taken back."), "warning")
    except HypervisorError as error:
        task.log(say("The definition could not be taken back: %(text)s", text=error), "error")
