"""Bridges and network devices of hosts: what libvirt tells of each, what is kept, and where it is shown."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import libvirt
import pytest

from hosts import interface_inventory
from hosts.hypervisor.interfaces import _device, _read, _trouble, record_of
from hosts.hypervisor.records import InterfaceLook, InterfaceRecord
from hosts.models import HostInterfaces
from hosts.tests.network_making import make_card, make_network
from hosts.tests.storage_making import make_host
from hosts.tests.test_pages_storage import browser, words

pytestmark = pytest.mark.django_db(databases=["default", "metrics"])
BRIDGE = """<interface type='bridge' name='br0'><mtu size='9000'/>
  <protocol family='ipv4'><ip address='192.0.2.7' prefix='24'/></protocol>
  <protocol family='ipv6'><ip address='2001:db8::7' prefix='64'/><ip address='nonsense'/></protocol>
  <bridge stp='on' delay='200'><interface type='ethernet' name='eth0'><link speed='10000' state='up'/></interface>
  <interface type='vlan' name='bond0.42'/></bridge></interface>"""
VLAN = "<interface type='vlan' name='bond0.42'><vlan tag='42'><interface name='bond0'/></vlan></interface>"
CARD = """<device><name>net_eth0_x</name><parent>pci_0000_3b_00_0</parent><capability type='net'>
  <interface>eth0</interface><address>52:54:00:00:00:01</address><link speed='25000' state='up'/></capability></device>"""


def test_a_bridge_tells_what_is_plugged_in_and_a_vlan_what_carries_it() -> None:
    assert record_of(BRIDGE, True) == InterfaceRecord(
        "br0", "bridge", True, mtu=9000, addresses=["192.0.2.7/24", "2001:db8::7/64"], members=["eth0", "bond0.42"]
    )
    vlan = record_of(VLAN, False)
    assert (vlan.kind, vlan.tag, vlan.members, vlan.active) == ("vlan", 42, ["bond0"], False)


def test_a_network_card_tells_its_speed_and_where_it_is_plugged_in() -> None:
    card = _device("pci_0000_3b_00_0", CARD)
    assert card is not None
    assert (card.name, card.speed, card.link, card.active, card.parent) == (
        "eth0",
        25000,
        "up",
        True,
        "pci_0000_3b_00_0",
    )
    assert _device("computer", "<device><capability type='pci'/></device>") is None


def test_a_host_is_asked_by_libvirts_interface_driver() -> None:
    look = _read(libvirt.open("test:///default"))
    assert look == InterfaceLook(
        [InterfaceRecord("eth1", "ethernet", True, mac="aa:bb:cc:dd:ee:ff", mtu=1492, addresses=["192.168.0.5/24"])]
    )


def test_a_host_without_that_driver_says_why_and_one_that_is_lost_is_no_such_host(make_test_host) -> None:
    host = make_test_host()
    raw = libvirt.open(host.uri)
    # The test driver has no filters: the error is the one of a host without an interface driver.
    with pytest.raises(libvirt.libvirtError) as caught:
        raw.listAllNWFilters(0)
    assert "not supported by the connection driver" in _trouble(raw, caught.value)
    host.kill()
    with pytest.raises(libvirt.libvirtError) as lost:
        raw.listAllInterfaces(0)
    with pytest.raises(libvirt.libvirtError):
        _trouble(raw, lost.value)


def test_what_was_told_is_kept_and_shown_with_who_uses_it(people, api_of_hosts) -> None:
    host = make_host()
    bridge = record_of(BRIDGE, True)
    interface_inventory.interfaces_seen(host.pk, InterfaceLook([bridge]))
    interface_inventory.interfaces_seen(host.pk, InterfaceLook([replace(bridge, link="down")]))
    assert HostInterfaces.objects.get().interfaces[0]["link"] == "down"
    network = make_network(host, "plugged", mode="bridge", bridge="br0")
    make_card(network, "web", type="bridge", source="br0")
    page = words(browser(people["viewer"]).get("/hosts/kvm1/networks/"))
    for text in ("br0", "2001:db8::7/64", "bond0.42", "plugged", "9000"):
        assert text in page, text
    told = api_of_hosts.get("/api/v1/hosts/kvm1/interfaces").json()
    one = told["interfaces"][0]
    assert (one["name"], one["networks"], one["cards"], told["trouble"]) == ("br0", ["plugged"], 1, "")


def test_a_host_that_cannot_tell_says_so_plainly(people) -> None:
    host = make_host()
    client = browser(people["viewer"])
    assert "was not asked yet" in words(client.get("/hosts/kvm1/networks/"))
    interface_inventory.interfaces_seen(host.pk, InterfaceLook([], "this function is <not> supported"))
    page = words(client.get("/hosts/kvm1/networks/"))
    assert "no working interface driver" in page and "&lt;not&gt; supported" in page


@pytest.fixture
def api_of_hosts(people: dict[str, Any]) -> Any:
    return browser(people["viewer"])
