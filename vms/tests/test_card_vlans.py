"""VLANs of a card are refused where libvirt would store them and then not start the guest."""

import pytest

from hosts.models import Network
from hosts.operations.storage_base import NotNow
from hosts.tests.storage_making import make_host
from vms.definition.domain import Definition
from vms.hardware import vlans
from vms.operations.devices import refuse_vlans
from vms.tests.test_mirror import there  # noqa: F401
from vms.tests.test_operations import do, guest, operator  # noqa: F401

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "metrics"])
MAC = "52:54:00:00:00:01"
CARD = f"interfaces[{MAC}]"
TAGGED = """<domain type='kvm'><devices><interface type='{type}'><mac address='{mac}'/>{inside}<vlan><tag id='42'/></vlan>
</interface></devices></domain>"""
NETWORKS = {
    "nat": "<forward/>",
    "isolated": "",
    "on-bridge": "<forward mode='bridge'/><bridge name='br0'/>",
    "macvtap": "<forward mode='bridge' dev='eth0'/>",
    "passed": "<forward mode='passthrough' dev='eth0'/>",
    "ovs": "<forward mode='bridge'/><bridge name='ovs0'/><virtualport type='openvswitch'/>",
    "grouped": "<forward mode='bridge'/><bridge name='ovs0'/><portgroup name='a'><virtualport type='openvswitch'/></portgroup>",
    "sriov": "<forward mode='hostdev' managed='yes'><pf dev='eth1'/></forward>",
}


@pytest.fixture
def host():
    host = make_host("kvm1")
    host.libvirt_version = "9.0.0"
    host.save()
    for number, (name, inside) in enumerate(NETWORKS.items()):
        text = f"<network><name>{name}</name>{inside}</network>"
        Network.objects.create(host=host, name=name, uuid=f"00000000-0000-4000-8000-{number:012}", definition=text)
    return host


def card(type_, inside=""):
    return Definition.parse(TAGGED.format(type=type_, mac=MAC, inside=inside)).devices.interfaces[MAC]


@pytest.mark.parametrize(
    ("type_", "inside", "fits"),
    [
        *[
            ("network", f"<source network='{name}'/>", name in ("passed", "ovs", "grouped", "sriov"))
            for name in NETWORKS
        ],
        ("network", "<source network='nobody-knows-it'/>", True),
        ("bridge", "<source bridge='br0'/>", False),
        ("bridge", "<source bridge='ovs0'/><virtualport type='openvswitch'/>", True),
        ("direct", "<source dev='eth0' mode='bridge'/>", False),
        ("direct", "<source dev='eth0' mode='passthrough'/>", True),
        ("hostdev", "<source><address type='pci' domain='0' bus='1' slot='0' function='1'/></source>", True),
        ("user", "", False),
    ],
)
def test_where_a_card_can_be_in_a_vlan(host, type_, inside, fits):
    assert (vlans.why_not(card(type_, inside), host) == "") is fits


@pytest.mark.parametrize(("version", "fits"), [("10.10.0", False), ("11.0.0", True), ("12.1.0", True), ("", True)])
def test_the_kernels_own_bridges_have_vlans_from_libvirt_11_on(host, version, fits):
    host.libvirt_version = version
    for type_, inside in (("bridge", "<source bridge='br0'/>"), ("network", "<source network='nat'/>")):
        assert (vlans.why_not(card(type_, inside), host) == "") is fits
    assert vlans.why_not(card("user"), host)


def test_what_was_there_before_is_no_reason_to_refuse_another_change(host):
    class Vm:
        pass

    vm = Vm()
    vm.host = host
    text = TAGGED.format(type="network", mac=MAC, inside="<source network='nat'/>")
    refuse_vlans(vm, text, CARD, {"link": "down"})
    for changed in ({"vlans": "42"}, {"source.network": "nat"}):
        with pytest.raises(NotNow, match="would not start"):
            refuse_vlans(vm, text, CARD, changed)


def test_a_card_with_a_vlan_is_neither_added_nor_made_where_it_would_keep_the_guest_from_starting(
    there, guest, operator, eventually  # noqa: F811
):  # fmt: skip
    values = {"type": "network", "source.network": "default", "mac": MAC.replace("01", "02")}
    with pytest.raises(NotNow, match="Open vSwitch and SR-IOV only"):
        do(eventually, "device-add", guest, operator, type="interface", set=values | {"vlans": "42"})
    assert do(eventually, "device-add", guest, operator, type="interface", set=values).state == "succeeded"
    with pytest.raises(NotNow, match="Open vSwitch and SR-IOV only"):
        do(eventually, "device-change", guest, operator, device=CARD, set={"vlans": "42"})
