"""XML of networks: what libvirt's own schema allows, read back as it was written, and edited in place."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from lxml import etree

from hosts import network_checks, network_tree, network_updates, network_xml
from hosts.network_modes import MODES
from hosts.operations.kind import InvalidArguments, registry
from hosts.operations.network_define import definition_of
from hosts.tests.network_making import LEAST, WHOLE
from hosts.tests.test_storage_types import valid

SCHEMA = Path("/usr/share/libvirt/schemas/network.rng")
UNKNOWN = """
<network xmlns:dnsmasq='http://libvirt.org/schemas/network/dnsmasq/1.0'>
  <name>lan</name><uuid>00000000-0000-0000-0000-000000000001</uuid>
  <metadata><mine:note xmlns:mine='urn:mine'>kept</mine:note></metadata>
  <forward mode='nat'><nat><port start='1024' end='65535'/></nat></forward>
  <bridge name='virbr1' stp='on' delay='0'/>
  <mac address='52:54:00:11:22:33'/>
  <dns><forwarder domain='corp.example' addr='10.0.0.53'/><srv service='ldap' protocol='tcp'/>
    <host ip='10.1.0.9'><hostname>a</hostname></host></dns>
  <ip address='10.1.0.1' netmask='255.255.255.0' localPtr='yes'>
    <tftp root='/srv/tftp'/>
    <dhcp><range start='10.1.0.10' end='10.1.0.20'><lease expiry='2' unit='hours'/></range><bootp file='pxe.0'/></dhcp>
  </ip>
  <ip address='10.2.0.1' prefix='24'/>
  <route address='10.9.0.0' prefix='16' gateway='10.1.0.7'/>
  <dnsmasq:options><dnsmasq:option value='log-dhcp'/></dnsmasq:options>
</network>
"""


def cleaned(mode: str, fields: dict[str, Any]) -> dict[str, Any]:
    return registry["network-define"].clean({"mode": mode, "name": f"my {mode}", **fields})


def test_every_kind_of_network_is_tried() -> None:
    assert set(WHOLE) == set(LEAST) == set(MODES)
    for name, mode in MODES.items():
        assert set(mode.fields) - set(WHOLE[name]) <= {"dns", "pf", "dns_forwarders", "dns_hosts"}


@pytest.mark.parametrize("mode", sorted(WHOLE))
def test_a_network_of_each_kind_is_valid_and_reads_back_as_it_was_asked_for(mode: str) -> None:
    for fields in (WHOLE[mode], LEAST[mode]):
        arguments = cleaned(mode, fields)
        assert not list(network_checks.troubles(arguments))
        text = definition_of(arguments)
        valid(text, SCHEMA)
        assert network_xml.read(network_tree.parse(text)) == {"mode": mode, **fields}


@pytest.mark.parametrize("mode", sorted(WHOLE))
def test_all_fields_can_be_taken_away_again_and_put_back(mode: str) -> None:
    full = network_tree.parse(definition_of(cleaned(mode, WHOLE[mode])))
    less = network_xml.apply(full, cleaned(mode, LEAST[mode]))
    valid(network_tree.text_of(less), SCHEMA)
    assert network_xml.read(less) == {"mode": mode, **LEAST[mode]}
    again = network_xml.apply(less, cleaned(mode, WHOLE[mode]))
    valid(network_tree.text_of(again), SCHEMA)
    assert network_xml.read(again) == {"mode": mode, **WHOLE[mode]}


def test_what_no_field_knows_stays_as_it_is() -> None:
    root = network_tree.parse(UNKNOWN)
    fields = network_xml.read(root)
    assert fields == {
        "mode": "nat", "bridge": "virbr1", "ipv4": "10.1.0.1/24", "ipv4_ranges": ["10.1.0.10-10.1.0.20"],
        "dns_hosts": ["10.1.0.9 a"],
    }  # fmt: skip
    before = network_tree.text_of(root)
    assert network_tree.text_of(network_xml.apply(root, fields)) == before
    wanted = fields | {"ipv4_ranges": [*fields["ipv4_ranges"], "10.1.0.30-10.1.0.40"], "dns_forwarders": ["9.9.9.9"]}
    changed = network_tree.text_of(network_xml.apply(root, wanted))
    lines = set(before.splitlines())
    more = [line.strip() for line in changed.splitlines() if line not in lines]
    assert more == ['<forwarder addr="9.9.9.9"/>', '<range start="10.1.0.30" end="10.1.0.40"/>']
    assert not lines - set(changed.splitlines())


def test_another_address_drops_the_netmask_it_had() -> None:
    root = network_xml.apply(network_tree.parse(UNKNOWN), {"mode": "nat", "ipv4": "10.1.0.1/16"})
    ip = root.find("ip")
    assert ip is not None and dict(ip.attrib) == {"address": "10.1.0.1", "prefix": "16", "localPtr": "yes"}


def test_a_bomb_of_entities_is_no_network() -> None:
    bomb = '<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;">]><network><name>&b;</name></network>'
    with pytest.raises(network_tree.Malformed):
        network_tree.parse(bomb)
    with pytest.raises(network_tree.Malformed):
        network_tree.parse("<domain/>")


NAT: dict[str, Any] = {"ipv4": "10.1.0.1/24"}


@pytest.mark.parametrize(
    ("mode", "fields", "field"),
    [
        ("nothing", {}, "mode"),
        ("nat", {"ipv4": "10.1.0.1"}, "ipv4"),
        ("nat", {"ipv4": "10.1.0.300/24"}, "ipv4"),
        ("nat", {"ipv4": "10.1.0.1/31"}, "ipv4"),
        ("nat", {"ipv6": "fd00::1/63"}, "ipv6"),
        ("nat", NAT | {"bridge": "a-name-that-is-too-long"}, "bridge"),
        ("nat", NAT | {"bridge": "br 0"}, "bridge"),
        ("nat", NAT | {"ipv4_ranges": ["10.1.0.5"]}, "ipv4_ranges"),
        ("nat", NAT | {"ipv4_ranges": "10.1.0.5-10.1.0.6"}, "ipv4_ranges"),
        ("nat", NAT | {"ipv4_hosts": ["53:54:00:00:00:01 10.1.0.5"]}, "ipv4_hosts"),
        ("nat", NAT | {"dns_hosts": ["10.1.0.5"]}, "dns_hosts"),
        ("nat", NAT | {"domain": "-x"}, "domain"),
        ("nat", NAT | {"mtu": 67}, "mtu"),
        ("nat", NAT | {"mtu": "1500"}, "mtu"),
        ("nat", NAT | {"inbound_average": 0}, "inbound_average"),
        ("nat", NAT | {"dns": "no"}, "dns"),
        ("nat", NAT | {"vlans": [1]}, "vlans"),
        ("bridge", {}, "bridge"),
        ("ovs", {"bridge": "ovsbr0", "vlans": [4095]}, "vlans"),
        ("macvtap", {"macvtap_mode": "bridge", "devices": []}, "devices"),
        ("macvtap", {"macvtap_mode": "nonsense", "devices": ["eth0"]}, "macvtap_mode"),
        ("sriov", {"pci": ["3b:02.0"]}, "pci"),
        ("nat", NAT | {"name": "a/b"}, "name"),
        ("nat", NAT | {"start": "maybe"}, "start"),
    ],
)
def test_what_is_wrong_in_itself_is_said_at_its_field(mode: str, fields: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidArguments) as caught:
        cleaned(mode, fields)
    assert caught.value.field == field


@pytest.mark.parametrize(
    ("mode", "fields", "field"),
    [
        ("nat", {}, "ipv4"),
        ("nat", {"ipv4": "10.1.0.0/24"}, "ipv4"),
        ("nat", {"ipv4": "10.1.0.255/24"}, "ipv4"),
        ("nat", {"ipv4": "127.0.0.1/24"}, "ipv4"),
        ("nat", {"ipv6": "fe80::1/64"}, "ipv6"),
        ("nat", {"ipv6": "fd00::1/80"}, "ipv6"),
        ("isolated", {"ipv4_ranges": ["10.1.0.5-10.1.0.9"]}, "ipv4"),
        ("nat", NAT | {"ipv4_ranges": ["10.1.0.9-10.1.0.5"]}, "ipv4_ranges"),
        ("nat", NAT | {"ipv4_ranges": ["10.1.0.200-10.1.1.5"]}, "ipv4_ranges"),
        ("nat", NAT | {"ipv4_ranges": ["10.1.0.1-10.1.0.9"]}, "ipv4_ranges"),
        ("nat", NAT | {"ipv4_ranges": ["10.1.0.5-10.1.0.9", "10.1.0.8-10.1.0.12"]}, "ipv4_ranges"),
        ("nat", {"ipv4": "10.0.0.1/8", "ipv4_ranges": ["10.1.0.0-10.2.0.0"]}, "ipv4_ranges"),
        ("nat", NAT | {"ipv4_hosts": ["52:54:00:00:00:01 10.2.0.5"]}, "ipv4_hosts"),
        ("nat", NAT | {"ipv4_hosts": ["52:54:00:00:00:01 10.1.0.1"]}, "ipv4_hosts"),
        ("nat", NAT | {"ipv4_hosts": ["52:54:00:00:00:01 10.1.0.5", "52:54:00:00:00:01 10.1.0.6"]}, "ipv4_hosts"),
        ("nat", NAT | {"ipv4_hosts": ["52:54:00:00:00:01 10.1.0.5", "52:54:00:00:00:02 10.1.0.5"]}, "ipv4_hosts"),
        ("nat", NAT | {"nat_start": "203.0.113.1"}, "nat_end"),
        ("nat", NAT | {"nat_start": "203.0.113.9", "nat_end": "203.0.113.1"}, "nat_end"),
        ("nat", NAT | {"nat_ipv6": True}, "nat_ipv6"),
        ("nat", NAT | {"inbound_peak": 5}, "inbound_average"),
        ("nat", NAT | {"inbound_average": 9, "inbound_peak": 5}, "inbound_peak"),
        ("nat", NAT | {"dns": False, "dns_forwarders": ["9.9.9.9"]}, "dns"),
        ("ovs", {"bridge": "ovsbr0", "vlans": [4, 4]}, "vlans"),
        ("sriov", {}, "pf"),
        ("sriov", {"pf": "ens1f0", "pci": ["0000:3b:02.0"]}, "pf"),
        ("sriov", {"pf": "ens1f0", "vlans": [4, 5]}, "vlans"),
    ],
)
def test_what_does_not_go_together_is_said_at_its_field(mode: str, fields: dict[str, Any], field: str) -> None:
    assert field in [name for name, _message in network_checks.troubles(cleaned(mode, fields))]


def test_networks_with_the_same_addresses_are_named() -> None:
    others = [("a", "10.1.0.1/16"), ("b", "10.2.0.1/24"), ("c", "fd00:1::1/64"), ("d", "nonsense")]
    fields = {"mode": "nat", "ipv4": "10.1.4.1/24", "ipv6": "fd00:1::1/64"}
    found = network_checks.overlaps(fields, others)
    assert [(own, who) for own, who, _theirs in found] == [("10.1.4.0/24", "a"), ("fd00:1::/64", "c")]


# --- what changes at once


def of_update(**arguments: Any) -> dict[str, Any]:
    return registry["network-update"].clean(arguments)


def test_a_change_names_the_address_that_its_lease_lies_in() -> None:
    root = network_tree.parse(UNKNOWN)
    lease = of_update(section="ip-dhcp-host", command="add", lease="52:54:00:00:00:01 10.2.0.9 web")
    change = network_updates.change(root, lease)
    assert (change.parent, change.element) == (1, '<host mac="52:54:00:00:00:01" name="web" ip="10.2.0.9"/>')
    assert network_updates.virsh("lan", change, live=True, stored=True) == (
        "virsh net-update lan add-last ip-dhcp-host "
        '\'<host mac="52:54:00:00:00:01" name="web" ip="10.2.0.9"/>\' --parent-index 1 --live --config'
    )


@pytest.mark.parametrize(
    ("arguments", "element"),
    [
        ({"section": "ip-dhcp-range", "range": "10.1.0.30 - 10.1.0.40"}, '<range start="10.1.0.30" end="10.1.0.40"/>'),
        (
            {"section": "dns-host", "record": "10.1.0.9 a b"},
            '<host ip="10.1.0.9"><hostname>a</hostname><hostname>b</hostname></host>',
        ),
        ({"section": "dns-txt", "txt": "example", "value": "v=1 <&"}, '<txt name="example" value="v=1 &lt;&amp;"/>'),
        ({"section": "forward-interface", "device": "eth1"}, '<interface dev="eth1"/>'),
        (
            {"section": "portgroup", "portgroup": "dmz", "default": True, "vlans": [4, 5], "inbound_average": 9},
            '<portgroup name="dmz" default="yes"><vlan trunk="yes"><tag id="4"/><tag id="5"/></vlan>'
            '<bandwidth><inbound average="9"/></bandwidth></portgroup>',
        ),
    ],
)
def test_each_section_makes_its_element(arguments: dict[str, Any], element: str) -> None:
    made = network_updates.element(arguments["section"], of_update(command="add", **arguments))
    assert etree.tostring(made, encoding="unicode") == element


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        ({"section": "nothing", "command": "add"}, "section"),
        ({"section": "dns-host", "command": "modify", "record": "10.1.0.9 a"}, "command"),
        ({"section": "ip-dhcp-host", "command": "add"}, "lease"),
        ({"section": "ip-dhcp-host", "command": "add", "lease": "web"}, "lease"),
        ({"section": "ip-dhcp-host", "command": "add", "lease": "web fd00::1", "range": "x"}, "range"),
        ({"section": "portgroup", "command": "add", "portgroup": "p", "vlans": [0]}, "vlans"),
        ({"section": "dns-txt", "command": "add", "txt": "a", "value": "x\n"}, "value"),
    ],
)
def test_a_change_that_is_wrong_in_itself_is_said_at_its_field(arguments: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidArguments) as caught:
        of_update(**arguments)
    assert caught.value.field == field


def test_a_running_network_comes_nearer_by_what_is_taken_away_first() -> None:
    root = network_tree.parse(UNKNOWN)
    now = network_xml.read(root)
    wanted = now | {"ipv4_ranges": ["10.1.0.50-10.1.0.60"], "ipv4_hosts": ["52:54:00:00:00:01 10.1.0.9"]}
    changes = list(network_updates.live_changes(root, now, wanted))
    assert [(change.command, change.section) for change in changes] == [
        ("delete", "ip-dhcp-range"), ("add", "ip-dhcp-range"), ("add", "ip-dhcp-host"),
    ]  # fmt: skip
    moved = wanted | {"ipv4": "10.7.0.1/24"}
    assert not list(network_updates.live_changes(root, now, moved)), "another address waits, and its leases with it"
