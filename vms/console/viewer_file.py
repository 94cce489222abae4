"""Connection files for virt-viewer (remote-viewer), by the rows: where a guest's screen listens and how one gets there.

No password is in them: one that is there lasts longer than the right of whoever fetched it, and past the gateway nobody looks at
rights. virt-viewer asks for it.
"""

from __future__ import annotations

import ipaddress
import re
import shlex
from dataclasses import dataclass

from django.utils.translation import gettext as _
from lxml import etree

from hosts import access, audit
from hosts.audit import Actor
from hosts.hypervisor.errors import InvalidUri
from hosts.hypervisor.uri import LibvirtUri, parse
from hosts.operations.kind import Refused
from vms.console.access import LIVE, live_definition_of
from vms.models import VirtualMachine

CONTENT_TYPE = "application/x-virt-viewer"
TYPES = ("vnc", "spice")
_ANYWHERE = ("", "0.0.0.0", "::")  # noqa: S104 - recognized, not bound
#: what is proposed for our end of a tunnel: beside the ports that a QEMU of this machine may have
_TUNNEL_PORT = 15900


@dataclass(frozen=True, slots=True)
class Screen:
    """A screen as somebody's virt-viewer reaches it. ``tunnel`` is the command that must run before, '' when none must."""

    type: str
    host: str
    port: int
    tls_port: int
    tunnel: str
    where: str

    @property
    def is_direct(self) -> bool:
        """Whether the file can be used as it is."""
        return not self.tunnel


def screens_of(vm: VirtualMachine) -> list[Screen]:
    """The VNC and SPICE screens of a running guest. Raises Refused saying why there is none now."""
    if vm.absent_since is not None or vm.host is None:
        raise Refused(_("%(name)s is on no host.") % {"name": vm.name})
    if vm.power_state not in LIVE:
        raise Refused(_("%(name)s is not running.") % {"name": vm.name})
    try:
        uri = parse(vm.host.uri, allow_test=True)
    except InvalidUri as error:
        raise Refused(str(error)) from error
    domain = live_definition_of(vm)
    graphics = domain.findall("devices/graphics") if domain is not None else []
    found = [screen for one in graphics if (screen := _screen(one, uri)) is not None]
    if not found:
        raise Refused(_("%(name)s has no VNC or SPICE screen that listens anywhere.") % {"name": vm.name})
    return found


def _screen(graphics: etree._Element, uri: LibvirtUri) -> Screen | None:
    kind = graphics.get("type", "")
    if kind not in TYPES:
        return None
    listen = graphics.find("listen")
    socket = graphics.get("socket") or (listen.get("socket") if listen is not None else None) or ""
    port, tls_port = _port(graphics.get("port")), _port(graphics.get("tlsPort"))
    if socket:
        return _through(kind, socket, socket, _TUNNEL_PORT, uri)
    if not port and not tls_port:
        return None
    address = graphics.get("listen") or (listen.get("address") if listen is not None else None) or ""
    where = f"{address or '*'}:{port or tls_port}"
    if address in _ANYWHERE and uri.host:
        return Screen(kind, uri.host, port, tls_port, "", where)
    if address in _ANYWHERE or _is_loopback(address):
        inner = "127.0.0.1" if address in _ANYWHERE else address
        inner = f"[{inner}]" if ":" in inner else inner
        return _through(
            kind, f"{inner}:{port or tls_port}", where, _TUNNEL_PORT + (port or tls_port) % 100, uri, bool(port)
        )
    return Screen(kind, address, port, tls_port, "", where)


def _through(kind: str, inner: str, where: str, ours: int, uri: LibvirtUri, plain: bool = True) -> Screen:
    """By way of ssh to the host, from the machine of whoever uses the file."""
    name = uri.host or _("HOST")
    name = f"{uri.username}@{name}" if uri.username and uri.transport == "ssh" else name
    port = ["-p", str(uri.port)] if uri.port and uri.transport == "ssh" else []
    tunnel = shlex.join(["ssh", "-N", "-L", f"{ours}:{inner}", *port, name])
    return Screen(kind, "127.0.0.1", ours if plain else 0, 0 if plain else ours, tunnel, where)


def _port(text: str | None) -> int:
    return int(text) if text is not None and text.isascii() and text.isdigit() and len(text) < 6 else 0


def _is_loopback(address: str) -> bool:
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return address == "localhost"


def fetch(vm: VirtualMachine, kind: str, actor: Actor) -> tuple[Screen, str]:
    """The screen of that kind and its file, recorded. Raises access.Denied, or Refused.

    Past the gateway nothing keeps a watcher from typing, so that it takes the right to type.
    """
    if actor.user is None:
        raise access.Denied
    access.require(actor.user, "vm.console", vm)
    screen = next((one for one in screens_of(vm) if one.type == kind), None)
    if screen is None:
        raise Refused(_("%(name)s has no such screen.") % {"name": vm.name})
    audit.record(actor, "console.viewer_file", vm, subject_uuid=vm.uuid, type=kind, direct=screen.is_direct)
    return screen, text_of(screen, vm.name)


def text_of(screen: Screen, title: str) -> str:
    """The file."""
    lines = ["[virt-viewer]", f"type={screen.type}", f"host={_value(screen.host)}"]
    lines += [f"port={screen.port}"] if screen.port else []
    lines += [f"tls-port={screen.tls_port}"] if screen.tls_port else []
    lines += [f"title={_value(title)}", "delete-this-file=1"]
    return "\n".join(lines) + "\n"


def _value(text: str) -> str:
    """A name may hold anything; a value of such a file is one line, in which a backslash begins an escape."""
    return re.sub(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]", "", text).replace("\\", "\\\\").strip()


def file_name(vm: VirtualMachine, kind: str) -> str:
    """Of plain characters, whatever the guest is called."""
    return f"{re.sub(r'[^A-Za-z0-9_.-]+', '_', vm.name)[:100]}-{kind}.vv"
