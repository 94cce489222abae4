"""Where a guest's screen listens, asked of libvirt at the moment somebody connects. Only the gateway imports this."""

from __future__ import annotations

import ipaddress
import threading
import time
from collections.abc import Callable

from django.conf import settings
from lxml import etree

from hosts.hypervisor import errors
from hosts.hypervisor.connection import Connection
from hosts.hypervisor.console import ConsoleStream, send_break
from hosts.hypervisor.guest import Guest
from hosts.hypervisor.uri import LibvirtUri, parse
from hosts.models import Host
from hosts.secrets import SecretUnreadable
from hosts.targets import configuration_of, ssh_config_of, target_of
from hosts.transfer.desk import open_connection
from vms.console.closing import MOVED, NO_SCREEN, UNREACHABLE, Closing
from vms.console.line import Target
from vms.definition.xml import MalformedDefinition
from vms.definition.xml import parse as parse_definition
from vms.models import VirtualMachine

_ANYWHERE = ("", "0.0.0.0", "::")  # noqa: S104 - recognized, not bound
#: how long a failure to connect speaks for those who waited for the same host
_REMEMBER_SECONDS = 2.0


class HostConnections:
    """One cached libvirt connection per host, apart from those of the other roles."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._locks: dict[int, threading.Lock] = {}
        self._open: dict[int, tuple[str, Connection]] = {}
        self._failed: dict[int, tuple[float, errors.HypervisorError]] = {}

    def get(self, host: Host) -> Connection:
        """The live connection, opened when there is none or the host's settings changed. Raises HypervisorError."""
        with self._lock:
            lock = self._locks.setdefault(host.pk, threading.Lock())
        with lock:
            wanted = configuration_of(host)
            configuration, connection = self._open.get(host.pk, ("", None))
            if connection is not None and connection.is_alive and configuration == wanted:
                return connection
            if connection is not None:
                del self._open[host.pk]
                connection.close()
            return self._connect(host, wanted)

    def _connect(self, host: Host, configuration: str) -> Connection:
        when, error = self._failed.get(host.pk, (0.0, None))
        if error is not None and time.monotonic() - when < _REMEMBER_SECONDS:
            raise error
        try:
            connection = Connection.open(
                target_of(host),
                seconds=settings.CONNECT_SECONDS,
                call_seconds=settings.CONNECT_SECONDS,
                keepalive=(settings.KEEPALIVE_SECONDS, settings.KEEPALIVE_COUNT),
                workers=4,
            )
        except errors.HypervisorError as failure:
            self._failed[host.pk] = (time.monotonic(), failure)
            raise
        self._failed.pop(host.pk, None)
        self._open[host.pk] = (configuration, connection)
        return connection

    def close(self) -> None:
        """Close them all."""
        with self._lock:
            opened, self._open = self._open, {}
        for _configuration, connection in opened.values():
            connection.close()


class LibvirtTargets:
    """Finds targets; call it with a guest's row."""

    def __init__(self) -> None:
        self.connections = HostConnections()

    def __call__(self, vm: VirtualMachine) -> Target:
        """Where the guest's screen is now, with its password. Raises Closing."""
        host = vm.host
        if host is None:
            raise Closing(NO_SCREEN, "The guest is on no host.")
        try:
            definition = Guest(self.connections.get(host), str(vm.uuid)).definition(secure=True)
        except errors.NotFound as error:
            raise Closing(MOVED, "The guest is not on this host any more.") from error
        except (errors.HypervisorError, errors.InvalidUri, SecretUnreadable) as error:
            raise Closing(UNREACHABLE, str(error)) from error
        return reach(host, screen_of(definition))

    def open_serial(
        self,
        vm: VirtualMachine,
        device: str,
        heard: Callable[[bytes], None],
        ended: Callable[[], None],
        *,
        force: bool,
    ) -> ConsoleStream:
        """A text console on the guest's host, on a connection of its own. Raises Closing or a HypervisorError."""
        if vm.host is None:
            raise Closing(NO_SCREEN, "The guest is on no host.")
        connection = open_connection(vm.host)
        try:
            return ConsoleStream(connection, str(vm.uuid), device, heard, ended, force=force)
        except BaseException:
            connection.close()
            raise

    def send_break(self, vm: VirtualMachine, device: str) -> None:
        """Have the guest see a break. Raises Closing or a HypervisorError."""
        if vm.host is None:
            raise Closing(NO_SCREEN, "The guest is on no host.")
        try:
            send_break(self.connections.get(vm.host), str(vm.uuid), device)
        except (errors.InvalidUri, SecretUnreadable) as error:
            raise Closing(UNREACHABLE, str(error)) from error

    def close(self) -> None:
        """Let go of the hosts."""
        self.connections.close()


def screen_of(definition: str) -> Target:
    """The VNC server in a live definition, as QEMU's host knows it. Raises Closing when there is none."""
    try:
        domain = parse_definition(definition)
    except MalformedDefinition as error:
        raise Closing(UNREACHABLE, "The guest's definition cannot be read.") from error
    graphics = domain.find("devices/graphics[@type='vnc']")
    if graphics is None:
        raise Closing(NO_SCREEN, "The guest has no VNC screen.")
    password = graphics.get("passwd", "")
    path = _socket_of(graphics)
    if path:
        return Target(path=path, password=password)
    port = int(graphics.get("port") or -1)
    if port <= 0:
        raise Closing(NO_SCREEN, "The guest is not running, or its screen listens nowhere.")
    listen = graphics.find("listen")
    address = graphics.get("listen") or (listen.get("address") if listen is not None else None)
    return Target(address=address or "", port=port, password=password)


def _socket_of(graphics: etree._Element) -> str:
    listen = graphics.find("listen[@type='socket']")
    return graphics.get("socket") or (listen.get("socket") if listen is not None else None) or ""


def reach(host: Host, screen: Target) -> Target:
    """The same screen as this machine reaches it. Raises Closing when there is no road."""
    uri = parse(host.uri, allow_test=settings.TEST_URI_ALLOWED)
    if screen.path and uri.is_remote:
        raise Closing(
            UNREACHABLE, "The screen listens on a socket file of its host, which cannot be reached from here."
        )
    if screen.path:
        return screen
    if uri.transport == "ssh":
        address = "127.0.0.1" if screen.address in _ANYWHERE else screen.address
        return Target(address, screen.port, "", screen.password, *_ssh_to(host, uri))
    return Target(_direct(uri, screen.address), screen.port, "", screen.password)


def _direct(uri: LibvirtUri, listen: str) -> str:
    if not uri.is_remote:
        return "127.0.0.1" if listen in _ANYWHERE else listen
    if listen in _ANYWHERE:
        return uri.host
    if is_loopback(listen) and not is_loopback(uri.host):
        raise Closing(
            UNREACHABLE,
            "The screen listens on its host's loopback only. Reach the host over ssh, or let VNC listen wider.",
        )
    return listen


def is_loopback(address: str) -> bool:
    """Whether this is the machine itself."""
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return address == "localhost"


def _ssh_to(host: Host, uri: LibvirtUri) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The ssh command, and its destination; arguments only, no shell reads them."""
    command = ["ssh", "-F", str(ssh_config_of(host)), "-o", "LogLevel=ERROR", "-o", "ControlMaster=no"]
    if uri.parameters.get("keyfile"):
        command += ["-i", uri.parameters["keyfile"]]
    if uri.port:
        command += ["-p", str(uri.port)]
    name = f"{uri.username}@{uri.host}" if uri.username else uri.host
    return tuple(command), ("--", name)
