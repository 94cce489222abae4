"""Which addresses volumes may be fetched from: the public internet, and what the settings name. Nothing else.

A name is resolved once and the connection goes to an address that was looked at: a name that changes its mind in between (DNS
rebinding) gains nothing. Proxies of the environment are not used.
"""

from __future__ import annotations

import http.client
import ipaddress
import socket
import ssl

from django.conf import settings

from hosts.hypervisor.sentences import say

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
_NAT64 = ipaddress.ip_network("64:ff9b::/96")


class Forbidden(Exception):
    """Nothing may be fetched from there; the message says why."""


def is_public(address: Address) -> bool:
    """Whether it is on the public internet, also where it only wraps an address of IPv4."""
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour or (address.teredo[1] if address.teredo else None)
        if inner is None and address in _NAT64:
            inner = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        if inner is not None:
            return is_public(inner)
        if address.is_site_local:
            return False
    return address.is_global and not (address.is_multicast or address.is_reserved or address.is_unspecified)


def is_allowed(host: str, address: Address) -> bool:
    """Whether ``address``, as ``host`` resolved to it, may be connected to."""
    if is_public(address):
        return True
    for entry in settings.FETCH_FROM:
        if entry.lower().rstrip(".") == host.lower().rstrip("."):
            return True
        try:
            if address in ipaddress.ip_network(entry, strict=False):
                return True
        except ValueError:
            continue  # It is a name.
    return False


def addresses_of(host: str, port: int) -> list[str]:
    """Where ``host`` may be reached. Raises Forbidden, or OSError when it cannot be resolved."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    texts = list(dict.fromkeys(str(entry[4][0]).partition("%")[0] for entry in found))
    allowed = [text for text in texts if is_allowed(host, ipaddress.ip_address(text))]
    if not allowed:
        raise Forbidden(
            say(
                "%(host)s is on a private network (%(addresses)s); an administrator can allow it with KVMDASH_FETCH_FROM.",
                host=host,
                addresses=", ".join(texts[:3]),
            )
        )
    return allowed


def literal_is_forbidden(host: str) -> bool:
    """Whether ``host`` is an address, and one that may not be connected to."""
    try:
        return not is_allowed(host, ipaddress.ip_address(host))
    except ValueError:
        return False


def _connect(host: str, port: int, seconds: float | None) -> socket.socket:
    """To the first address that answers."""
    trouble: OSError = OSError("no address")
    for address in addresses_of(host, port):
        try:
            return socket.create_connection((address, port), timeout=seconds)
        except OSError as error:
            trouble = error
    raise trouble


class GuardedConnection(http.client.HTTPConnection):
    """HTTP to addresses that were looked at."""

    def connect(self) -> None:
        self.sock = _connect(self.host, self.port, self.timeout)


class GuardedTlsConnection(http.client.HTTPSConnection):
    """HTTPS to addresses that were looked at; the certificate must be the name's."""

    def __init__(self, host: str, port: int, *, timeout: float) -> None:
        self._tls = ssl.create_default_context()
        super().__init__(host, port, timeout=timeout, context=self._tls)

    def connect(self) -> None:
        raw = _connect(self.host, self.port, self.timeout)
        try:
            self.sock = self._tls.wrap_socket(raw, server_hostname=self.host)
        except BaseException:
            raw.close()
            raise
