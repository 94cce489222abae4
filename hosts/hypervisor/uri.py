"""libvirt URIs: taken apart, checked, put together (https://libvirt.org/uri.html).
A libvirt URI can name a program to run on this machine (transport ``ext``, parameters ``command``, ``netcat``), so only what is
listed here is let through.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, urlencode, urlsplit

from hosts.hypervisor.errors import InvalidUri
from hosts.hypervisor.sentences import say

DRIVERS = ("qemu", "test")
TRANSPORTS = ("", "unix", "ssh", "tls", "tcp")
PORTS = {"ssh": 22, "tls": 16514, "tcp": 16509}
PARAMETERS = ("socket", "keyfile", "pkipath", "proxy", "mode")
_HOST = re.compile(r"^[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?$|^[0-9A-Fa-f:.]+$")
_USER = re.compile(r"^[A-Za-z_][A-Za-z0-9_.-]{0,63}$")


@dataclass(frozen=True, slots=True)
class LibvirtUri:
    """The parts of a URI; ``transport`` is '' for a local connection."""

    driver: str = "qemu"
    transport: str = ""
    username: str = ""
    host: str = ""
    port: int | None = None
    path: str = "/system"
    parameters: dict[str, str] = field(default_factory=dict)

    @property
    def is_remote(self) -> bool:
        """Whether it leaves this machine through a libvirt transport."""
        return bool(self.host)

    @property
    def effective_port(self) -> int | None:
        """The TCP port that will be dialled; None for local ones."""
        return (self.port or PORTS.get(self.transport)) if self.is_remote else None

    def with_parameters(self, **more: str) -> LibvirtUri:
        """The same with parameters of our own added."""
        return LibvirtUri(
            self.driver, self.transport, self.username, self.host, self.port, self.path, {**self.parameters, **more}
        )

    def __str__(self) -> str:
        scheme = f"{self.driver}+{self.transport}" if self.transport else self.driver
        host = f"[{self.host}]" if ":" in self.host else self.host
        user = f"{self.username}@" if self.username else ""
        port = f":{self.port}" if self.port else ""
        query = f"?{urlencode(self.parameters, safe='/')}" if self.parameters else ""
        return f"{scheme}://{user}{host}{port}{self.path}{query}"


def parse(text: str, *, allow_test: bool = False) -> LibvirtUri:
    """Take ``text`` apart. Raises InvalidUri, saying which part is wrong and what would do."""
    if len(text) > 500 or any(ord(character) < 33 or ord(character) == 127 for character in text):
        raise InvalidUri(say("A URI has no spaces or control characters and at most 500 characters."))
    try:
        split = urlsplit(text)
        port = split.port
        host = split.hostname or ""
    except ValueError as error:
        raise InvalidUri(say("Not a URI: %(error)s.", error=error)) from error
    driver, _, transport = split.scheme.partition("+")
    uri = LibvirtUri(
        driver, transport, split.username or "", host, port, split.path,
        dict(parse_qsl(split.query, keep_blank_values=True)),
    )  # fmt: skip
    _check(uri, split.password, split.fragment, allow_test)
    return _with_default_transport(uri)


def _with_default_transport(uri: LibvirtUri) -> LibvirtUri:
    if not uri.host or uri.transport:
        return uri
    return LibvirtUri(uri.driver, "tls", uri.username, uri.host, uri.port, uri.path, uri.parameters)


def _check(uri: LibvirtUri, password: str | None, fragment: str, allow_test: bool) -> None:
    drivers = DRIVERS if allow_test else DRIVERS[:1]
    if uri.driver not in drivers:
        raise InvalidUri(
            say(
                "The URI begins with one of %(drivers)s, such as qemu+ssh://root@host/system.",
                drivers=", ".join(drivers),
            )
        )
    if uri.transport not in TRANSPORTS:
        raise InvalidUri(say("The transport is one of ssh, tls, tcp or unix."))
    if password is not None:
        raise InvalidUri(say("A password does not belong in the URI; give it in its own field."))
    if fragment:
        raise InvalidUri(say("A libvirt URI has no '#' part."))
    if uri.transport in PORTS and not uri.host:
        raise InvalidUri(say("The transport %(transport)s needs a host name.", transport=uri.transport))
    if uri.host and not _HOST.match(uri.host):
        raise InvalidUri(say("The host is a name or an address."))
    if uri.host and uri.transport == "unix":
        raise InvalidUri(say("The transport unix takes no host name."))
    if uri.username and not _USER.match(uri.username):
        raise InvalidUri(say("The user name has letters, digits, dots, dashes and underscores."))
    if uri.driver == "qemu" and uri.path not in ("/system", "/session"):
        raise InvalidUri(say("The path is /system (or /session for a user's own daemon)."))
    for name in uri.parameters:
        if name not in PARAMETERS:
            raise InvalidUri(
                say(
                    "The parameter %(name)s is not allowed; %(known)s are.",
                    name=repr(name),
                    known=", ".join(PARAMETERS),
                )
            )
