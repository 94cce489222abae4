"""Network filters (nwfilter): all of a host as facts, and verbs on one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import libvirt

from hosts.hypervisor import errors
from hosts.hypervisor.connection import Connection
from hosts.hypervisor.records import FilterRecord
from hosts.hypervisor.translate import translate

Work = Callable[[libvirt.virNWFilter], Any]


def read_filters(connection: Connection) -> list[FilterRecord]:
    """All filters of the host; none where it has no driver for them."""
    return connection.call(_read_filters, seconds=60)


def _read_filters(raw: libvirt.virConnect) -> list[FilterRecord]:
    try:
        filters = raw.listAllNWFilters(0)
    except libvirt.libvirtError as error:
        if error.get_error_code() == libvirt.VIR_ERR_NO_SUPPORT:
            return []
        raise
    return [record for one in filters if (record := _record(one)) is not None]


def _record(one: libvirt.virNWFilter) -> FilterRecord | None:
    """One filter; None when it went while it was read."""
    try:
        return FilterRecord(uuid=one.UUIDString(), name=one.name(), definition=one.XMLDesc(0))
    except libvirt.libvirtError as error:
        if isinstance(translate(error), errors.NotFound):
            return None
        raise


class Filter:
    """A filter on a live connection, by name."""

    def __init__(self, connection: Connection, name: str) -> None:
        self.connection = connection
        self.name = name

    def _do(self, work: Work) -> Any:
        return self.connection.call(lambda raw: work(raw.nwfilterLookupByName(self.name)))

    def definition(self) -> str:
        """Its XML. Raises NotFound."""
        return str(self._do(lambda one: one.XMLDesc(0)))

    def exists(self) -> bool:
        """Whether the host has it."""
        try:
            self.definition()
        except errors.NotFound:
            return False
        return True

    def define(self, definition: str) -> None:
        """Store its XML, new or again; guests that run with it have the new rules at once."""
        self.connection.call(lambda raw: _define(raw, definition))

    def undefine(self) -> None:
        """Forget it. Raises Conflict while a guest that runs, or another filter, uses it."""
        self._do(lambda one: one.undefine())


def _define(raw: libvirt.virConnect, definition: str) -> None:
    validate = getattr(libvirt, "VIR_NWFILTER_DEFINE_VALIDATE", None)
    if validate is None:
        raw.nwfilterDefineXML(definition)
        return
    try:
        raw.nwfilterDefineXMLFlags(definition, validate)
    except libvirt.libvirtError as error:
        # A daemon that is older than the call says so before it does anything.
        if error.get_error_code() not in (libvirt.VIR_ERR_NO_SUPPORT, libvirt.VIR_ERR_RPC):
            raise
        raw.nwfilterDefineXML(definition)
