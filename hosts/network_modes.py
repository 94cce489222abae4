"""The kinds of virtual networks: what each asks for. Plain data only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext_lazy as _


@dataclass(frozen=True, slots=True)
class Mode:
    """One kind of network. ``fields`` are asked for; those in ``required`` cannot be left out."""

    name: str
    label: Any
    hint: Any
    fields: tuple[str, ...]
    required: tuple[str, ...] = ()
    #: whether libvirt gives the bridge addresses, and runs dnsmasq on it
    served: bool = False
    #: whether an address is needed for what it forwards
    needs_address: bool = False


ADDRESSES = (
    "ipv4", "ipv4_ranges", "ipv4_hosts", "ipv6", "ipv6_ranges", "ipv6_hosts", "dns", "domain", "dns_forwarders", "dns_hosts",
)  # fmt: skip
QOS = ("inbound_average", "inbound_peak", "inbound_burst", "outbound_average", "outbound_peak", "outbound_burst")
SERVED = ("bridge", "mtu", *ADDRESSES, *QOS)
MACVTAP_MODES = ("bridge", "vepa", "private", "passthrough")

MODES: dict[str, Mode] = {
    one.name: one
    for one in (
        Mode(
            "nat", _("NAT"), _("Guests reach the world outside behind the host's own address; nobody outside reaches them."),
            ("forward_dev", "nat_start", "nat_end", "nat_ipv6", *SERVED), served=True, needs_address=True,
        ),
        Mode(
            "route", _("Routed"), _("Guests keep their own addresses; the routers around must know that this host leads to them."),
            ("forward_dev", *SERVED), served=True, needs_address=True,
        ),
        Mode(
            "open", _("Open"), _("Like routed, and libvirt makes no firewall rules: what passes is your firewall's business."),
            SERVED, served=True, needs_address=True,
        ),
        Mode(
            "isolated", _("Isolated"), _("Guests reach each other and the host, and nothing else."), SERVED, served=True,
        ),
        Mode(
            "bridge", _("Bridge of the host"), _("Guests are plugged into a bridge that the host has already."),
            ("bridge",), ("bridge",),
        ),
        Mode(
            "ovs", _("Open vSwitch"), _("Guests are plugged into an Open vSwitch bridge of the host, in a VLAN if wanted."),
            ("bridge", "vlans"), ("bridge",),
        ),
        Mode(
            "macvtap", _("Directly on a device (macvtap)"),
            _("Guests share a network device of the host without a bridge; the host itself does not reach them."),
            ("macvtap_mode", "devices"), ("macvtap_mode", "devices"),
        ),
        Mode(
            "sriov", _("Pool of SR-IOV functions"), _("Each guest gets a virtual function of a network card to itself."),
            ("pf", "pci", "vlans"),
        ),
    )
}  # fmt: skip


def mode_of(name: str) -> Mode:
    """The mode; one that has no form can be looked at and nothing more."""
    return MODES.get(name) or Mode(name, name, "", ())
