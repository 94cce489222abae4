"""Names and addresses that people type for networks: each is checked by itself, and what is wrong is said. Raises ValueError."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable

from django.utils.translation import gettext as _

#: the patterns stand in the API's description, too: nothing in them that some regular expressions lack
OCTET = r"(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])"
IPV4 = rf"(?:{OCTET}\.){{3}}{OCTET}"
_H = r"[0-9A-Fa-f]{1,4}"
_IPV6_FORMS = [f"(?:{_H}:){{7}}{_H}", f"(?:{_H}:){{1,7}}:"]
_IPV6_FORMS += [f"(?:{_H}:){{1,{7 - n}}}(?::{_H}){{1,{n}}}" for n in range(1, 7)]
IPV6 = "(?:" + "|".join([*_IPV6_FORMS, f":(?:(?::{_H}){{1,7}}|:)"]) + ")"
DEVICE = r"[A-Za-z0-9][A-Za-z0-9_.\-]{0,14}"
MAC = r"[0-9A-Fa-f][02468ACEace](?::[0-9A-Fa-f]{2}){5}"
LABEL = r"[A-Za-z0-9_](?:[A-Za-z0-9_\-]{0,61}[A-Za-z0-9_])?"
DOMAIN = rf"{LABEL}(?:\.{LABEL}){{0,20}}"
PCI = r"[0-9A-Fa-f]{4}:[0-9A-Fa-f]{2}:[01][0-9A-Fa-f]\.[0-7]"
PATTERNS: dict[str, str] = {
    "device": DEVICE,
    "domain": DOMAIN,
    "mac": MAC,
    "pci": PCI,
    "ipv4": IPV4,
    "ipv4_network": rf"{IPV4}/(?:[89]|[12][0-9]|30)",
    "ipv4_range": rf"{IPV4}-{IPV4}",
    "ipv4_host": rf"(?:{MAC} {IPV4}(?: {LABEL})?)",
    "ipv6": IPV6,
    "ipv6_network": rf"{IPV6}/(?:6[4-9]|[7-9][0-9]|1[01][0-9]|12[0-6])",
    "ipv6_range": rf"{IPV6}-{IPV6}",
    "ipv6_host": rf"(?:{LABEL} {IPV6})",
    "address": rf"(?:{IPV4}|{IPV6})",
    "dns_host": rf"(?:(?:{IPV4}|{IPV6})(?: {DOMAIN}){{1,20}})",
}
_COMPILED = {name: re.compile(rf"{pattern}\Z") for name, pattern in PATTERNS.items()}


def device(text: str) -> str:
    """A bridge or network device of the host."""
    return _like("device", text, _("A device's name has at most 15 letters, digits and . _ -."))


def domain(text: str) -> str:
    """A DNS domain."""
    return _like("domain", text, _("A domain is a name such as guests.example.com."))


def label(text: str) -> str:
    """A host's name without its domain."""
    if "." in text:
        raise ValueError(_("A name without its domain: no dots."))
    return domain(text)


def mac(text: str) -> str:
    """A MAC address, in small letters."""
    return _like("mac", text, _("Six pairs of hexadecimal digits, and the first one even.")).lower()


def pci(text: str) -> str:
    """A PCI address."""
    return _like("pci", text, _("An address such as 0000:3b:02.1.")).lower()


def ipv4(text: str) -> str:
    """An IPv4 address."""
    return _like("ipv4", text, _("An address such as 192.168.100.1."))


def ipv6(text: str) -> str:
    """An IPv6 address, as it is usually written."""
    return str(ipaddress.IPv6Address(_like("ipv6", text, _("An address such as fd00:100::1."))))


def address(text: str) -> str:
    """An address of either family."""
    return ipv6(text) if ":" in text else ipv4(text)


def ipv4_network(text: str) -> str:
    """The host's own address in a network, with the length of its prefix."""
    return _like(
        "ipv4_network", text, _("The host's address and the length of the prefix, 8 to 30, such as 192.168.100.1/24.")
    )


def ipv6_network(text: str) -> str:
    """As :func:`ipv4_network`."""
    found = _like("ipv6_network", text, _("The host's address and the length of the prefix, such as fd00:100::1/64."))
    return str(ipaddress.IPv6Interface(found))


def ipv4_range(text: str) -> str:
    """Two addresses with a dash between them."""
    return _range("ipv4_range", text, ipv4)


def ipv6_range(text: str) -> str:
    """As :func:`ipv4_range`."""
    return _range("ipv6_range", text, ipv6)


def _range(name: str, text: str, one: Callable[[str], str]) -> str:
    tidy = re.sub(r"\s*-\s*", "-", text.strip())
    _like(name, tidy, _("Two addresses with a dash between them: the first and the last."))
    return "-".join(one(part) for part in tidy.split("-"))


def ipv4_host(text: str) -> str:
    """A lease that is always the same: MAC, address, and a name where one is wanted."""
    words = " ".join(text.split())
    _like(
        "ipv4_host",
        words,
        _("A MAC address, an address and perhaps a name, such as 52:54:00:00:00:01 192.168.100.10 web."),
    )
    first, *rest = words.split(" ")
    return " ".join([first.lower(), *rest])


def ipv6_host(text: str) -> str:
    """A lease that is always the same: the name the guest calls itself, and an address."""
    words = " ".join(text.split())
    _like("ipv6_host", words, _("The guest's name and an address, such as web fd00:100::10."))
    name, _space, where = words.partition(" ")
    return f"{name} {ipv6(where)}"


def dns_host(text: str) -> str:
    """An address and its names."""
    words = " ".join(text.split())
    _like("dns_host", words, _("An address and its names, such as 192.168.100.10 web web.example.com."))
    where, _space, names = words.partition(" ")
    return f"{address(where)} {names}"


def _like(name: str, text: str, message: str) -> str:
    if _COMPILED[name].match(text) is None or len(text) > 2000:
        raise ValueError(message)
    return text
