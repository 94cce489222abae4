"""Guests on a real Open vSwitch: a network of that kind, cards with and without VLANs of their own, changed while they run."""

from __future__ import annotations

import uuid

import pytest
from lxml import etree

from conftest import wait_until
from kvmdash.tests.test_lab_disks import output_of
from kvmdash.tests.test_lab_storage import done
from lab import LabError

pytestmark = [pytest.mark.lab, pytest.mark.timeout(600)]
HOST, NETWORK = "kvm1", "t-ovs"
GUESTS = {"ovs-1": "10.99.0.1", "ovs-2": "10.99.0.2"}


@pytest.fixture
def vsctl(lab_cluster):
    with lab_cluster.open_vswitch(HOST) as ask:
        yield ask


@pytest.fixture
def switched(program, lab_cluster, vsctl):
    """A network on the switch, in VLAN 42, and two guests without a card; all of it is gone afterwards."""
    done(program, f"hosts/{HOST}/network-define", mode="ovs", name=NETWORK, bridge="ovsbr0", vlans=[42], start=True)
    host = lab_cluster.host(HOST)
    # Any guest of the lab without a disk will do as a pattern.
    text = (lab_cluster.host("kvm3").directory / "define" / "cache-1.xml").read_bytes()
    for name in GUESTS:
        domain = etree.fromstring(text)
        domain.find("name").text, domain.find("uuid").text = name, str(uuid.uuid4())
        card = domain.find("devices/interface")
        card.getparent().remove(card)
        file = host.directory / f"{name}.xml"
        file.write_bytes(etree.tostring(domain))
        lab_cluster.virsh(HOST, "define", str(file))
    yield
    for name in GUESTS:
        host.virsh("destroy", name)
        host.virsh("undefine", name)
    host.virsh("net-destroy", NETWORK)
    host.virsh("net-undefine", NETWORK)


def plugged(program, name):
    """Its card, once that runs; the port of the switch is its target."""
    vm = program.get(f"vms/{program.vm(name)['uuid']}")
    return next((nic for nic in vm["nics"] if nic["target"]), None)


def reaches(lab, name, address):
    words = f"ping -c 1 -W 3 {address} > /dev/null && echo yes || echo no"
    return output_of(lab, name, "/bin/sh", "-c", words).strip() == "yes"


def change(program, name, card, **wanted):
    ended = program.do(name, "device-change", device=f"interfaces[{card['mac']}]", set=wanted)
    assert ended["state"] == "succeeded", ended
    return ended


def test_cards_are_ports_of_the_switch_in_their_vlan_and_change_it_while_the_guest_runs(
    program, lab_cluster, vsctl, switched
):
    cards = {}
    for name, address in GUESTS.items():
        wait_until(lambda name=name: program.get(f"vms?q={name}")["items"], 60, "the guest to be seen")
        card = {"type": "network", "source.network": NETWORK, "model": "virtio"}
        added = program.do(name, "device-add", type="interface", set=card)
        assert added["state"] == "succeeded", added
        program.running(name)
        cards[name] = wait_until(lambda name=name: plugged(program, name), 60, "its card to be seen")
        up = f"ip link set eth0 up; ip address add {address}/24 dev eth0"
        output_of(lab_cluster, name, "/bin/sh", "-c", up)
    first, second = (cards[name] for name in GUESTS)
    ports = vsctl("list-ports", "ovsbr0").split()
    assert sorted(ports) == sorted([first["target"], second["target"]])
    assert vsctl("get", "port", first["target"], "tag") == "42", "that of the network"
    assert first["mac"] in vsctl("get", "interface", first["target"], "external_ids")
    wait_until(lambda: reaches(lab_cluster, "ovs-1", GUESTS["ovs-2"]), 60, "the guests to reach each other")

    ended = change(program, "ovs-1", first, vlans="43")
    assert ended["result"]["live"], ended["result"]
    assert vsctl("get", "port", first["target"], "tag") == "43"
    assert not reaches(lab_cluster, "ovs-1", GUESTS["ovs-2"]), "they are in different VLANs"
    change(program, "ovs-2", second, vlans="43")
    wait_until(lambda: reaches(lab_cluster, "ovs-1", GUESTS["ovs-2"]), 60, "the guests to reach each other again")
    change(program, "ovs-2", second, vlans="43 44")
    assert vsctl("get", "port", second["target"], "trunks") == "[43, 44]"

    program.done("ovs-1", "destroy")
    assert vsctl("list-ports", "ovsbr0").split() == [second["target"]]
    program.done("ovs-1", "start")
    card = wait_until(lambda: plugged(program, "ovs-1"), 60, "its card to be seen")
    assert vsctl("get", "port", card["target"], "tag") == "43", "the definition keeps it"


def test_a_vlan_elsewhere_is_refused_because_libvirt_would_store_it_and_not_start_the_guest(program, lab_cluster):
    host = lab_cluster.host("kvm3")
    domain = etree.fromstring((host.directory / "define" / "cache-1.xml").read_bytes())
    domain.find("name").text, domain.find("uuid").text = "tagged", str(uuid.uuid4())
    card = domain.find("devices/interface")
    etree.SubElement(etree.SubElement(card, "vlan"), "tag", id="42")
    file = host.directory / "tagged.xml"
    file.write_bytes(etree.tostring(domain))
    lab_cluster.virsh("kvm3", "define", str(file))
    try:
        with pytest.raises(LabError, match="vlan"):
            lab_cluster.virsh("kvm3", "start", "tagged")
        vm = wait_until(lambda: program.get("vms?q=tagged")["items"], 60, "the guest to be seen")[0]
        body = {"device": f"interfaces[{card.find('mac').get('address')}]", "set": {"vlans": "43"}}
        status, answer = program.api(f"vms/{vm['uuid']}/device-change", body)
        assert status == 409 and "would not start" in str(answer), answer
    finally:
        lab_cluster.virsh("kvm3", "undefine", "tagged")
