"""Every libvirt event, turned into 'look again at that object'."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import libvirt

from hosts.hypervisor.connection import Connection
from hosts.hypervisor.records import Event

Handler = Callable[[Event], None]

_DOMAIN_EVENTS = {
    name.removeprefix("VIR_DOMAIN_EVENT_ID_").lower(): getattr(libvirt, name)
    for name in dir(libvirt)
    if name.startswith("VIR_DOMAIN_EVENT_ID_")
}
# The first two exist twice; the newer one carries a reason. The others change nothing that the mirror keeps: what a move's steps
# change of a guest, its states tell.
_SKIPPED = {"io_error", "block_job", "block_threshold", "migration_iteration", "job_completed", "last"}

LIFECYCLE = ("defined", "undefined", "started", "suspended", "resumed", "stopped", "shutdown", "pmsuspended", "crashed")


def subscribe(connection: Connection, handler: Handler) -> None:
    """Register for every event this libvirt and this host's driver know, until the connection is closed.

    ``handler`` runs on the event-loop thread: be brief.
    """
    connection.call(lambda raw: _subscribe(connection, raw, handler))


def _subscribe(connection: Connection, raw: libvirt.virConnect, handler: Handler) -> None:
    for name, number in _DOMAIN_EVENTS.items():
        if name not in _SKIPPED:
            of_domain = _domain_handler(name, handler)
            _register(connection, raw.domainEventRegisterAny, raw.domainEventDeregisterAny, number, of_domain)
    of_pool, of_network = _object_handler("pool", handler), _object_handler("network", handler)
    for number in _numbers("VIR_STORAGE_POOL_EVENT_ID_"):
        _register(connection, raw.storagePoolEventRegisterAny, raw.storagePoolEventDeregisterAny, number, of_pool)
    for number in _numbers("VIR_NETWORK_EVENT_ID_"):
        _register(connection, raw.networkEventRegisterAny, raw.networkEventDeregisterAny, number, of_network)
    for number in _numbers("VIR_SECRET_EVENT_ID_"):
        of_secret = _secret_handler(handler)
        _register(connection, raw.secretEventRegisterAny, raw.secretEventDeregisterAny, number, of_secret)


def _register(
    connection: Connection,
    register: Callable[..., int],
    deregister: Callable[[int], Any],
    number: int,
    handler: Callable[..., None],
) -> None:
    """An older daemon or another driver does not know every event; reconciling on a timer covers what it cannot tell."""
    try:
        callback = register(None, number, handler, None)
    except libvirt.libvirtError as error:
        if error.get_error_code() not in _NOT_KNOWN_THERE:
            raise
        return
    connection.at_close(lambda: deregister(callback))


_NOT_KNOWN_THERE = (
    libvirt.VIR_ERR_NO_SUPPORT,
    libvirt.VIR_ERR_INVALID_ARG,
    libvirt.VIR_ERR_OPERATION_UNSUPPORTED,
    libvirt.VIR_ERR_RPC,
)


def _numbers(prefix: str) -> list[int]:
    """The event numbers that the installed library has under that prefix."""
    return [getattr(libvirt, name) for name in dir(libvirt) if name.startswith(prefix) and not name.endswith("_LAST")]


def _domain_handler(name: str, handler: Handler) -> Callable[..., None]:
    def on_event(_raw: Any, domain: libvirt.virDomain, *rest: Any) -> None:
        if name == "lifecycle":
            kind = LIFECYCLE[rest[0]] if rest[0] < len(LIFECYCLE) else "lifecycle"
            handler(Event(kind, domain.UUIDString(), domain.name(), (rest[1],)))
            return
        handler(Event(name, domain.UUIDString(), domain.name(), tuple(rest[:-1])))

    return on_event


def _secret_handler(handler: Handler) -> Callable[..., None]:
    def on_event(_raw: Any, secret: Any, *_rest: Any) -> None:
        handler(Event("secret", secret.UUIDString()))

    return on_event


def _object_handler(kind: str, handler: Handler) -> Callable[..., None]:
    def on_event(_raw: Any, thing: Any, *_rest: Any) -> None:
        handler(Event(kind, thing.UUIDString(), thing.name()))

    return on_event
