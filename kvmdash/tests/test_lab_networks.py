"""Networks on real libvirtd: bridges, dnsmasq and leases that are really there, changed here and checked with virsh and ip."""

from __future__ import annotations

import json

import pytest

from conftest import wait_until
from kvmdash.tests.test_lab_cluster import booted_on
from kvmdash.tests.test_lab_storage import do, done, inside

pytestmark = pytest.mark.lab
HOST = "52:54:00:00:00:01 10.77.0.10 web"
#: kind → what it is made of on a host that has neither Open vSwitch nor SR-IOV
KINDS = {
    "route": {"ipv4": "10.78.0.1/24"},
    "open": {"ipv6": "fd00:79::1/64"},
    "isolated": {},
    "bridge": {"bridge": "br0"},
    "ovs": {"bridge": "ovsbr0", "vlans": [42, 43]},
    "macvtap": {"macvtap_mode": "bridge", "devices": ["eth0"]},
}


@pytest.fixture
def clean(lab_cluster):
    """No network of the tests is left."""
    yield lab_cluster
    for name in lab_cluster.virsh("kvm1", "net-list", "--all", "--name").split():
        if name.startswith("t-"):
            if name in lab_cluster.virsh("kvm1", "net-list", "--name").split():
                lab_cluster.virsh("kvm1", "net-destroy", name)
            lab_cluster.virsh("kvm1", "net-undefine", name)


def network(program, name, until=lambda found: True):
    """The network once it is seen and ``until`` says so."""

    def look():
        status, found = program.api(f"networks/kvm1/{name}")
        return found if status == 200 and until(found) else None

    return wait_until(look, what=f"{name} to be seen so")


def addresses(lab, device):
    found = json.loads(inside(lab, "ip", "-j", "addr", "show", device))
    return {f"{one['local']}/{one['prefixlen']}" for one in found[0]["addr_info"] if one["scope"] == "global"}


def test_a_nat_network_from_the_first_to_the_last_step(program, clean):
    lab = clean
    done(
        program, "hosts/kvm1/network-define", mode="nat", name="t-nat", bridge="virbr77", ipv4="10.77.0.1/24",
        ipv4_ranges=["10.77.0.100-10.77.0.200"], ipv6="fd00:77::1/64", domain="guests.example.com", start=True, autostart=True,
    )  # fmt: skip
    facts = lab.virsh("kvm1", "net-info", "t-nat")
    assert "Active:         yes" in facts and "Autostart:      yes" in facts
    assert addresses(lab, "virbr77") == {"10.77.0.1/24", "fd00:77::1/64"}
    seen = network(program, "t-nat")
    assert seen["fields"]["ipv4_ranges"] == ["10.77.0.100-10.77.0.200"]

    done(program, "networks/kvm1/t-nat/update", section="ip-dhcp-host", command="add", lease=HOST)
    done(program, "networks/kvm1/t-nat/update", section="dns-host", command="add", record="10.77.0.10 web")
    for flags in ((), ("--inactive",)):
        text = lab.virsh("kvm1", "net-dumpxml", "t-nat", *flags)
        assert "10.77.0.10" in text and "<hostname>web</hostname>" in text
    assert "52:54:00:00:00:01" in inside(lab, "cat", "/var/lib/libvirt/dnsmasq/t-nat.hostsfile")

    seen = network(program, "t-nat", lambda found: found["fields"].get("dns_hosts"))
    wanted = seen["fields"] | {"ipv4_hosts": [HOST.replace("10.77.0.10", "10.77.0.11")], "mtu": 1400}
    ended = done(program, "networks/kvm1/t-nat/edit", base=seen["mark"], **wanted)
    assert ended["result"] == {"live": 2, "lost": []}
    assert "10.77.0.11" in lab.virsh("kvm1", "net-dumpxml", "t-nat"), "leases change at once"
    assert "1400" not in lab.virsh("kvm1", "net-dumpxml", "t-nat"), "the MTU waits"
    assert "1400" in lab.virsh("kvm1", "net-dumpxml", "t-nat", "--inactive")
    status, answer = program.api("networks/kvm1/t-nat/edit", {"base": seen["mark"], **seen["fields"]})
    assert status == 409 or program.ended(answer["id"])["state"] == "refused", "made from what is no more"

    done(program, "networks/kvm1/t-nat/stop")
    network(program, "t-nat", lambda found: not found["active"])
    done(program, "networks/kvm1/t-nat/start")
    assert '"mtu":1400' in inside(lab, "ip", "-j", "link", "show", "virbr77")
    network(program, "t-nat", lambda found: found["active"])
    done(program, "networks/kvm1/t-nat/delete")
    assert "t-nat" not in lab.virsh("kvm1", "net-list", "--all", "--name").split()
    assert program.api("networks/kvm1/t-nat")[0] == 404


@pytest.mark.parametrize("mode", sorted(KINDS))
def test_every_kind_is_taken_and_told_by_libvirt_as_it_was_asked_for(program, clean, mode):
    done(program, "hosts/kvm1/network-define", mode=mode, name=f"t-{mode}", start=True, **KINDS[mode])
    assert f"t-{mode}" in clean.virsh("kvm1", "net-list", "--name").split()
    fields = network(program, f"t-{mode}", lambda found: found["active"])["fields"]
    assert {name: fields[name] for name in KINDS[mode]} == KINDS[mode] and fields["mode"] == mode


def test_what_libvirt_does_not_start_is_taken_back_and_said_in_its_words(program, clean):
    inside(clean, "ip", "link", "add", "taken0", "type", "bridge")
    inside(clean, "ip", "addr", "add", "10.88.0.1/24", "dev", "taken0")
    inside(clean, "ip", "link", "set", "taken0", "up")
    body = {"mode": "nat", "name": "t-twice", "ipv4": "10.88.0.1/24", "start": True}
    ended = do(program, "hosts/kvm1/network-define", **body)
    inside(clean, "ip", "link", "del", "taken0")
    assert ended["state"] == "failed" and "already in use" in ended["error"]["detail"]
    assert "t-twice" not in clean.virsh("kvm1", "net-list", "--all", "--name").split()
    sriov = do(program, "hosts/kvm1/network-define", mode="sriov", name="t-vf", pci=["0000:3b:02.1"], start=True)
    assert sriov["state"] == "failed" and "Virtual Function" in sriov["error"]["detail"]


def test_leases_and_the_guests_that_are_connected_are_told(program, lab_cluster):
    name = booted_on(program, "kvm1")
    found = wait_until(
        lambda: [lease for lease in program.get("networks/kvm1/default")["leases"] if lease["hostname"] == name],
        60,
        "its lease",
    )
    assert found[0]["expires_at"] and found[0]["mac"] in lab_cluster.virsh("kvm1", "net-dhcp-leases", "default")
    card = wait_until(lambda: running_card(program, name), 30, "its card")
    assert card["target"].startswith("vnet") and card["mac"] == found[0]["mac"]
    status, answer = program.api("networks/kvm1/default/stop", {})
    assert status == 409 and name in answer["detail"]
    assert "default" in lab_cluster.virsh("kvm1", "net-list", "--name").split()


def running_card(program, name):
    cards = program.get("networks/kvm1/default")["cards"]
    return next((card for card in cards if card["name"] == name and card["running"] and card["target"]), None)


def test_what_virsh_does_is_seen_by_its_events(program, clean):
    text = "<network><name>t-virsh</name><bridge name='virbr66'/><ip address='10.66.0.1' prefix='24'/></network>"
    inside(clean, "sh", "-c", f'echo "{text}" > /tmp/t-virsh.xml')
    clean.virsh("kvm1", "net-define", "/tmp/t-virsh.xml")
    network(program, "t-virsh", lambda found: not found["active"])
    clean.virsh("kvm1", "net-start", "t-virsh")
    network(program, "t-virsh", lambda found: found["active"])
    clean.virsh("kvm1", "net-destroy", "t-virsh")
    network(program, "t-virsh", lambda found: not found["active"])
    clean.virsh("kvm1", "net-undefine", "t-virsh")
    wait_until(lambda: program.api("networks/kvm1/t-virsh")[0] == 404)


def test_bridges_and_devices_of_the_host_are_told(program, clean):
    def told():
        return {one["name"]: one for one in program.get("hosts/kvm1/interfaces")["interfaces"]}

    found = told()
    link = json.loads(inside(clean, "ip", "-j", "link", "show", "eth0"))[0]
    assert (found["eth0"]["mac"], found["eth0"]["mtu"]) == (link["address"], link["mtu"])
    assert found["virbr0"]["kind"] == "bridge" and found["virbr0"]["networks"] == ["default"]
    assert not [name for name in found if name.startswith("vnet")], "guests' own are told with the guests"
    inside(clean, "ip", "link", "add", "br-t0", "type", "bridge")
    done(program, "hosts/kvm1/refresh")
    wait_until(lambda: told().get("br-t0"), what="the new bridge")
    inside(clean, "ip", "link", "del", "br-t0")
    done(program, "hosts/kvm1/refresh")
    wait_until(lambda: "br-t0" not in told(), what="it to be gone")
