"""Verbs on one virtual network, and defining one that is not there yet."""

from __future__ import annotations

from concurrent.futures import Future
from typing import Any

import libvirt

from hosts.hypervisor.connection import Connection
from hosts.hypervisor.network import definition_of
from hosts.hypervisor.resource import Resource

COMMANDS = {
    "add": libvirt.VIR_NETWORK_UPDATE_COMMAND_ADD_LAST,
    "modify": libvirt.VIR_NETWORK_UPDATE_COMMAND_MODIFY,
    "delete": libvirt.VIR_NETWORK_UPDATE_COMMAND_DELETE,
}
SECTIONS = {
    "ip-dhcp-host": libvirt.VIR_NETWORK_SECTION_IP_DHCP_HOST,
    "ip-dhcp-range": libvirt.VIR_NETWORK_SECTION_IP_DHCP_RANGE,
    "dns-host": libvirt.VIR_NETWORK_SECTION_DNS_HOST,
    "dns-txt": libvirt.VIR_NETWORK_SECTION_DNS_TXT,
    "portgroup": libvirt.VIR_NETWORK_SECTION_PORTGROUP,
    "forward-interface": libvirt.VIR_NETWORK_SECTION_FORWARD_INTERFACE,
}


class VirtualNetwork(Resource):
    """A network on a live connection."""

    def _find(self, raw: libvirt.virConnect) -> Any:
        return raw.networkLookupByUUIDString(self.uuid)

    def definition(self, *, next_start: bool = False) -> str:
        """Its XML as it is now, or as it will be when it is started next."""
        return str(self._do(lambda network: definition_of(network, next_start=next_start)))

    def begin_start(self) -> Future[Any]:
        """Make its bridge, its firewall rules, its dnsmasq."""
        return self._begin(lambda network: network.create())

    def begin_stop(self) -> Future[Any]:
        """Take them down."""
        return self._begin(lambda network: network.destroy())

    def update(self, command: str, section: str, parent: int, element: str, *, live: bool, stored: bool) -> None:
        """Change one element (a word of :data:`COMMANDS`, one of :data:`SECTIONS`), now, for later starts, or both.

        ``parent`` is the number of the ``<ip>`` that it lies in; -1 where that does not matter.
        """
        flags = libvirt.VIR_NETWORK_UPDATE_AFFECT_LIVE if live else 0
        flags |= libvirt.VIR_NETWORK_UPDATE_AFFECT_CONFIG if stored else 0
        self._do(lambda network: network.update(COMMANDS[command], SECTIONS[section], parent, element, flags))


def uuid_of(connection: Connection, name: str) -> str:
    """The UUID of the network of that name. Raises NotFound."""
    return str(connection.call(lambda raw: raw.networkLookupByName(name).UUIDString()))


def define(connection: Connection, definition: str) -> None:
    """Store the definition of a network, once libvirt has checked it against its schema where it can."""
    connection.call(lambda raw: _define(raw, definition))


def _define(raw: libvirt.virConnect, definition: str) -> None:
    validate = getattr(libvirt, "VIR_NETWORK_DEFINE_VALIDATE", None)
    if validate is None:
        raw.networkDefineXML(definition)
        return
    try:
        raw.networkDefineXMLFlags(definition, validate)
    except libvirt.libvirtError as error:
        # A daemon that is older than the flag says so before it does anything.
        if error.get_error_code() not in (libvirt.VIR_ERR_INVALID_ARG, libvirt.VIR_ERR_NO_SUPPORT, libvirt.VIR_ERR_RPC):
            raise
        raw.networkDefineXML(definition)
