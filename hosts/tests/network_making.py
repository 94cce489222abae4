"""Networks for tests: rows as the mirror writes them, and what each kind of network can be made of."""

from __future__ import annotations

import itertools
import uuid
from typing import Any

from django.utils import timezone

from hosts import network_tree, network_xml
from hosts.models import Host, Network, NetworkClaim

NUMBERS = itertools.count(5000)
QOS = {"inbound_average": 1000, "inbound_peak": 5000, "inbound_burst": 5120, "outbound_average": 128, "outbound_peak": 256,
       "outbound_burst": 256}  # fmt: skip
ADDRESSES = {
    "domain": "guests.example.com", "ipv4": "192.168.100.1/24",
    "ipv4_ranges": ["192.168.100.100-192.168.100.200", "192.168.100.220-192.168.100.230"],
    "ipv4_hosts": ["52:54:00:00:00:01 192.168.100.10 web", "52:54:00:00:00:02 192.168.100.11"],
    "ipv6": "fd00:100::1/64", "ipv6_ranges": ["fd00:100::100-fd00:100::1ff"], "ipv6_hosts": ["web fd00:100::10"],
    "dns_forwarders": ["9.9.9.9", "2620:fe::fe"], "dns_hosts": ["192.168.100.10 web web.example.com"],
}  # fmt: skip
SERVED = {"bridge": "virbr7", "mtu": 9000, **ADDRESSES, **QOS}
#: for each kind all that it takes
WHOLE: dict[str, dict[str, Any]] = {
    "nat": {"forward_dev": "eth0", "nat_start": "203.0.113.10", "nat_end": "203.0.113.20", "nat_ipv6": True, **SERVED},
    "route": {"forward_dev": "eth0", **SERVED},
    "open": SERVED,
    "isolated": {**{name: SERVED[name] for name in SERVED if not name.startswith("dns_")}, "dns": False},
    "bridge": {"bridge": "br0"},
    "ovs": {"bridge": "ovsbr0", "vlans": [42, 43]},
    "macvtap": {"macvtap_mode": "vepa", "devices": ["eth1", "eth2"]},
    "sriov": {"pci": ["0000:3b:02.0", "0000:3b:02.1"], "vlans": [42]},
}
#: and the least
LEAST: dict[str, dict[str, Any]] = {
    "nat": {"ipv4": "10.1.0.1/24"}, "route": {"ipv6": "fd00:1::1/64"}, "open": {"ipv4": "10.1.0.1/24"}, "isolated": {},
    "bridge": {"bridge": "br0"}, "ovs": {"bridge": "ovsbr0"}, "macvtap": {"macvtap_mode": "bridge", "devices": ["eth1"]},
    "sriov": {"pf": "ens1f0"},
}  # fmt: skip


def definition(name: str = "lan", mode: str = "nat", **fields: Any) -> str:
    """A network's XML, of fields as network-define takes them."""
    whole = {"mode": mode} | (fields or {"bridge": "virbr1", "ipv4": "10.1.0.1/24"})
    root = network_xml.new(name, str(uuid.UUID(int=next(NUMBERS))))
    return network_tree.text_of(network_xml.apply(root, whole))


def make_network(host: Host, name: str = "lan", mode: str = "nat", **columns: Any) -> Network:
    facts: dict[str, Any] = {
        "uuid": uuid.UUID(int=next(NUMBERS)), "bridge": "virbr1", "forward": mode, "addresses": ["10.1.0.1/24"],
        "active": True, "seen_at": timezone.now(), "definition": definition(name, mode),
    }  # fmt: skip
    return Network.objects.create(host=host, name=name, **facts | columns)


def make_card(network: Network, owner_name: str, **columns: Any) -> NetworkClaim:
    facts: dict[str, Any] = {
        "owner": uuid.UUID(int=next(NUMBERS)), "type": "network", "source": network.name, "mac": "52:54:00:00:00:aa",
        "model": "virtio",
    }  # fmt: skip
    return NetworkClaim.objects.create(host=network.host, owner_name=owner_name, **facts | columns)
