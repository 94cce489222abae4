"""What the fields of networks are called, and one line on what each does."""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext_lazy as _

LABELS: dict[str, tuple[Any, Any]] = {
    "mode": (_("Kind"), ""),
    "bridge": (_("Bridge"), _("The bridge on the host. Left empty, libvirt chooses a name (virbr0, virbr1 …).")),
    "mtu": (_("MTU"), _("The largest packet, in bytes. Left empty, the usual 1500.")),
    "domain": (_("DNS domain"), _("What is put behind the guests' names, such as guests.example.com.")),
    "forward_dev": (_("Only through device"), _("Forward through this device alone. Left empty, wherever routes lead.")),
    "nat_start": (_("First outside address"), _("Hide guests behind these addresses of the host instead of its usual one.")),
    "nat_end": (_("Last outside address"), ""),
    "nat_ipv6": (_("NAT for IPv6, too"), _("Without it IPv6 is routed.")),
    "ipv4": (_("IPv4 address of the host"), _("Its own address in this network, and the length of the prefix: 192.168.100.1/24.")),
    "ipv4_ranges": (_("IPv4 DHCP ranges"), _("One range a line: 192.168.100.100-192.168.100.200. None: no DHCP.")),
    "ipv4_hosts": (_("IPv4 static leases"), _("One a line, the name if wanted: 52:54:00:00:00:01 192.168.100.10 web.")),
    "ipv6": (_("IPv6 address of the host"), _("With a prefix of 64, as guests make addresses of their own: fd00:100::1/64.")),
    "ipv6_ranges": (_("IPv6 DHCP ranges"), _("One range a line: fd00:100::100-fd00:100::1ff. None: guests choose.")),
    "ipv6_hosts": (_("IPv6 static leases"), _("One a line: the guest's name and an address: web fd00:100::10.")),
    "dns": (_("Answer DNS"), _("libvirt answers for the guests' names and passes on what it does not know.")),
    "dns_forwarders": (_("DNS servers to ask"), _("One address a line. None: those that the host asks.")),
    "dns_hosts": (_("DNS names"), _("One a line: an address and its names: 192.168.100.10 web web.example.com.")),
    "inbound_average": (_("Inbound average"), _("KiB a second that all guests together receive, over time.")),
    "inbound_peak": (_("Inbound peak"), _("KiB a second, at most, for a short while.")),
    "inbound_burst": (_("Inbound burst"), _("KiB that may come at the peak's speed.")),
    "outbound_average": (_("Outbound average"), _("KiB a second that all guests together send, over time.")),
    "outbound_peak": (_("Outbound peak"), _("KiB a second, at most, for a short while.")),
    "outbound_burst": (_("Outbound burst"), _("KiB that may go at the peak's speed.")),
    "vlans": (_("VLANs"), _("Numbers from 1 to 4094, with commas between them; several make a trunk. None: untagged.")),
    "macvtap_mode": (_("How guests share it"), _("bridge: guests reach each other; vepa: by the switch; private: not at all.")),
    "devices": (_("Devices"), _("Network devices of the host, one a line.")),
    "pf": (_("Physical function"), _("The card, such as ens1f0: all its virtual functions are in the pool.")),
    "pci": (_("Virtual functions"), _("Instead of the card: PCI addresses of the functions, one a line: 0000:3b:02.1.")),
    "lease": (_("Lease"), _("MAC, address, and a name if wanted; for IPv6 the guest's name and an address.")),
    "range": (_("Range"), _("First and last address with a dash between them.")),
    "record": (_("DNS name"), _("An address and its names: 192.168.100.10 web web.example.com.")),
    "txt": (_("Name"), _("The name that has the text.")),
    "value": (_("Text"), ""),
    "portgroup": (_("Port group"), _("A name that guests' network cards choose their settings by.")),
    "default": (_("For cards that name none"), ""),
    "device": (_("Device"), _("A network device of the host.")),
}  # fmt: skip


def label_of(name: str) -> Any:
    """What the field is called."""
    return LABELS[name][0] if name in LABELS else name
