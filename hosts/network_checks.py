"""Whether the fields of a network go together: addresses within the network, ranges apart, one lease for each. Plain data only."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from django.utils.translation import gettext as _

from hosts.network_modes import MODES

Fields = Mapping[str, Any]
Trouble = tuple[str, str]
Interface = ipaddress.IPv4Interface | ipaddress.IPv6Interface
Address = ipaddress.IPv4Address | ipaddress.IPv6Address
#: libvirt takes no larger range
MOST_IN_RANGE = 2**16
FAMILIES = ("ipv4", "ipv6")


def troubles(fields: Fields) -> Iterator[Trouble]:
    """(field, what is wrong) of fields that are right each by itself."""
    mode = MODES[fields["mode"]]
    if mode.needs_address and not (fields.get("ipv4") or fields.get("ipv6")):
        yield "ipv4", _("libvirt forwards only what has an address: name the host's own in this network.")
    for family in FAMILIES:
        yield from _of_family(fields, family)
    yield from _of_nat(fields)
    yield from _of_qos(fields)
    yield from _twice("dns_hosts", [f"{line}" for line in fields.get("dns_hosts", [])])
    yield from _twice("vlans", [str(tag) for tag in fields.get("vlans", [])])
    if mode.name == "sriov":
        if bool(fields.get("pf")) == bool(fields.get("pci")):
            yield (
                "pf",
                _("Either the physical function, whose virtual functions are all taken, or the addresses of some."),
            )
        if len(fields.get("vlans", [])) > 1:
            yield "vlans", _("A virtual function has one VLAN.")
    if fields.get("dns") is False and (fields.get("dns_hosts") or fields.get("dns_forwarders")):
        yield "dns", _("Without DNS there are neither names nor forwarders.")


def _of_family(fields: Fields, family: str) -> Iterator[Trouble]:
    ranges, hosts = fields.get(f"{family}_ranges", []), fields.get(f"{family}_hosts", [])
    if not fields.get(family):
        if ranges or hosts:
            yield family, _("DHCP needs the host's own address in the network.")
        return
    own = ipaddress.ip_interface(fields[family])
    yield from _of_address(family, own)
    yield from _of_ranges(f"{family}_ranges", own, ranges)
    yield from _of_hosts(f"{family}_hosts", own, hosts)
    if family == "ipv6" and not ranges and own.network.prefixlen != 64:
        yield (
            family,
            _("Without a DHCP range guests make their addresses themselves, which needs a prefix of exactly 64."),
        )


def _of_address(field: str, own: Interface) -> Iterator[Trouble]:
    where = own.ip
    if where.is_loopback or where.is_multicast or where.is_unspecified or where.is_link_local:
        yield field, _("%(address)s is no address for a network.") % {"address": where}
    elif where in _edges(own):
        yield (
            field,
            _("%(address)s is the network's own first or last address; the host needs another.") % {"address": where},
        )


def _edges(own: Interface) -> tuple[Address, ...]:
    """Addresses of the network that nobody can have."""
    network = own.network
    return (network.network_address, network.broadcast_address) if own.version == 4 else (network.network_address,)


def _of_ranges(field: str, own: Interface, texts: Iterable[str]) -> Iterator[Trouble]:
    before: list[tuple[int, int, str]] = []
    for text in texts:
        first, last = (ipaddress.ip_address(part) for part in text.split("-"))
        wrong = _outside(own, first) or _outside(own, last)
        if wrong:
            yield field, wrong
            continue
        if int(last) < int(first):
            yield field, _("%(range)s ends before it begins.") % {"range": text}
        elif int(last) - int(first) >= MOST_IN_RANGE:
            yield field, _("%(range)s has more than %(most)d addresses, which libvirt does not take.") % {
                "range": text, "most": MOST_IN_RANGE,
            }  # fmt: skip
        elif int(first) <= int(own.ip) <= int(last):
            yield field, _("The host's own address %(address)s is in %(range)s.") % {"address": own.ip, "range": text}
        for low, high, other in before:
            if int(first) <= high and low <= int(last):
                yield field, _("%(range)s and %(other)s overlap.") % {"range": text, "other": other}
        before.append((int(first), int(last), text))


def _of_hosts(field: str, own: Interface, texts: Iterable[str]) -> Iterator[Trouble]:
    who: list[str] = []
    where: list[str] = []
    for text in texts:
        words = text.split(" ")
        name, place = (words[0], words[1])
        who.append(name)
        where.append(place)
        wrong = _outside(own, ipaddress.ip_address(place))
        if wrong:
            yield field, wrong
        elif ipaddress.ip_address(place) == own.ip:
            yield field, _("%(address)s is the host's own address.") % {"address": place}
    yield from _twice(field, who)
    yield from _twice(field, where)


def _outside(own: Interface, address: Address) -> str:
    """Why a guest cannot have the address; '' when it can."""
    network = own.network
    if address.version != own.version or address not in network:
        return _("%(address)s is not in %(network)s.") % {"address": address, "network": network}
    if address in _edges(own):
        return _("%(address)s is the first or last address of %(network)s, which no guest can have.") % {
            "address": address, "network": network,
        }  # fmt: skip
    return ""


def _of_nat(fields: Fields) -> Iterator[Trouble]:
    first, last = fields.get("nat_start"), fields.get("nat_end")
    if bool(first) != bool(last):
        yield "nat_end" if first else "nat_start", _("The first and the last address go together.")
    elif first and last and int(ipaddress.ip_address(last)) < int(ipaddress.ip_address(first)):
        yield "nat_end", _("%(range)s ends before it begins.") % {"range": f"{first}-{last}"}
    if fields.get("nat_ipv6") and not fields.get("ipv6"):
        yield "nat_ipv6", _("This network has no IPv6 address.")


def _of_qos(fields: Fields) -> Iterator[Trouble]:
    for way in ("inbound", "outbound"):
        average, peak = fields.get(f"{way}_average"), fields.get(f"{way}_peak")
        if not average and (peak or fields.get(f"{way}_burst")):
            yield f"{way}_average", _("Peak and burst are limits above an average: name that, too.")
        elif average and peak and peak < average:
            yield f"{way}_peak", _("The peak is not below the average.")


def _twice(field: str, values: Iterable[str]) -> Iterator[Trouble]:
    seen: set[str] = set()
    for value in values:
        if value.lower() in seen:
            yield field, _("%(value)s stands there twice.") % {"value": value}
        seen.add(value.lower())


def overlaps(fields: Fields, others: Iterable[tuple[str, str]]) -> list[tuple[str, str, str]]:
    """(own network, who, their network) for each of ``others`` (who, address/prefix) that has addresses of this one's."""
    found = []
    for family in FAMILIES:
        if not fields.get(family):
            continue
        own = ipaddress.ip_interface(fields[family]).network
        for who, text in others:
            try:
                theirs = ipaddress.ip_interface(text).network
            except ValueError:
                continue
            if own.version == theirs.version and own.overlaps(theirs):
                found.append((str(own), who, str(theirs)))
    return found
