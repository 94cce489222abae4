"""Changes as plain data, and what is said of the difference between two definitions."""

import json

import libvirt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree

from vms.definition.changes import apply, apply_to, diff, digest, lost
from vms.definition.domain import Definition
from vms.definition.nodes import UnknownProperty
from vms.definition.properties import InvalidValue
from vms.tests.definition.walking import CORPUS

PLAIN = """<domain type='test'>
  <name>one</name>
  <memory unit='MiB'>8</memory>
  <os><type>hvm</type></os>
  <devices>
    <disk type='file' device='disk'>
      <source file='/a'/>
      <target dev='vda' bus='virtio'/>
    </disk>
    <disk type='file' device='disk'>
      <source file='/b'/>
      <target dev='vdb' bus='virtio'/>
    </disk>
    <interface type='network'>
      <mac address='52:54:00:00:00:01'/>
      <source network='default'/>
    </interface>
  </devices>
</domain>"""


def test_changes_can_be_stored_and_are_made_in_their_order():
    stored = json.loads(
        json.dumps(
            [
                {"set": "devices.disks[vda].driver.cache", "to": "none"},
                {"add": "devices.disks", "with": {"target.dev": "vdc", "source.file": "/c"}},
                {"set": "devices.disks[vdc].readonly", "to": True},
                {"remove": "devices.disks[vdb]"},
                {"remove": "devices.interfaces[52:54:00:00:00:01].source"},
                {"remove": "memory"},
            ]
        )
    )
    definition = Definition.parse(apply(PLAIN, stored))
    assert [disk.key for disk in definition.devices.disks] == ["vda", "vdc"]
    assert definition.devices.disks["vda"].driver.cache == "none"
    assert definition.devices.disks["vdc"].readonly is True
    assert not definition.devices.interfaces[0].source.exists
    assert definition.memory is None


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"set": "devices.disks[vdz].readonly", "to": True}, UnknownProperty),
        ({"set": "devices.disks[vda].colour", "to": "red"}, UnknownProperty),
        ({"set": "devices.disks", "to": []}, UnknownProperty),
        ({"set": "", "to": 1}, UnknownProperty),
        ({"set": "devices.disks[vda", "to": 1}, UnknownProperty),
        ({"set": "__class__", "to": 1}, UnknownProperty),
        ({"set": "devices.__init__.x", "to": 1}, UnknownProperty),
        ({"set": "memory", "to": "much"}, InvalidValue),
        ({"add": "devices.disk", "with": {}}, UnknownProperty),
        ({"add": "memory"}, UnknownProperty),
        ({"add": "devices.disks", "with": {"target.dev": "x"}}, InvalidValue),
        ({"add": "devices.disks", "with": {"colour": "red"}}, UnknownProperty),
        ({"remove": "devices.disks[vdz]"}, UnknownProperty),
        ({"remove": "devices.disks"}, UnknownProperty),
        ({"remove": "name"}, InvalidValue),
        ({"rename": "x"}, UnknownProperty),
    ],
)
def test_a_change_that_cannot_be_made_is_refused_and_leaves_nothing_behind(change, error):
    with pytest.raises(error):
        apply(PLAIN, [{"set": "title", "to": "T"}, change])
    definition = Definition.parse(PLAIN)
    with pytest.raises(error):
        apply_to(definition, change)
    assert digest(definition.to_xml()) == digest(PLAIN)


def test_the_digest_knows_what_a_definition_means():
    same = PLAIN.replace("'", '"').replace("\n", "\n\n   ").replace("<name>one</name>", "<!-- x --><name> one </name>")
    assert digest(same) == digest(PLAIN)
    turned = PLAIN.replace("<name>one</name>", "").replace("</domain>", "<name><![CDATA[one]]></name></domain>")
    assert digest(turned) == digest(PLAIN)
    prefixed = "<domain xmlns:{0}='u'><metadata><{0}:x a='1' b='2'/></metadata></domain>"
    assert digest(prefixed.format("p")) == digest(prefixed.format("q").replace("a='1' b='2'", "b='2' a='1'"))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("<name>one", "<name>two"),
        ("unit='MiB'", "unit='GiB'"),
        ("<source file='/a'/>", "<source file='/a'/><readonly/>"),
        ("type='test'", "type='kvm'"),
        ("<name>", "<name x='1'>"),
        ("</devices>", "</devices><x/>"),
        ("dev='vda' bus='virtio'", "dev='vda'"),
    ],
)
def test_the_digest_moves_with_every_difference(old, new):
    assert digest(PLAIN.replace(old, new)) != digest(PLAIN)


def test_the_digest_knows_which_disk_is_first_and_what_is_inside_what():
    root = etree.fromstring(PLAIN)
    devices = root.find("devices")
    devices.append(devices[0])
    assert digest(etree.tostring(root, encoding="unicode")) != digest(PLAIN)
    assert digest("<domain><a><b/></a></domain>") != digest("<domain><a/><b/></domain>")
    assert digest("<domain><a>b</a></domain>") != digest("<domain><a b=''/></domain>")
    assert digest("<domain><metadata><a/><b/></metadata></domain>") != digest(
        "<domain><metadata><b/><a/></metadata></domain>"
    )


def test_a_difference_is_told_by_place_with_before_and_after():
    changes = [
        {"set": "memory", "to": 16 * 2**20},
        {"set": "title", "to": "T"},
        {"set": "devices.disks[vdb].driver.cache", "to": "none"},
        {"set": "devices.disks[vdb].source.file", "to": None},
        {"remove": "devices.interfaces[#0]"},
        {"add": "devices.disks", "with": {"target.dev": "vdc"}},
    ]
    told = {difference.path: difference[1:] for difference in diff(PLAIN, apply(PLAIN, changes)).changes}
    assert told.pop("memory") == ("8", "16")
    assert told.pop("title") == (None, "<title>T</title>")
    assert told.pop("devices/disk[vdb]/driver") == (None, '<driver cache="none"/>')
    assert told.pop("devices/disk[vdb]/source") == ('<source file="/b"/>', None)
    before, after = told.pop("devices/interface[52:54:00:00:00:01]")
    assert "<mac" in before and after is None
    before, after = told.pop("devices/disk[vdc]")
    assert before is None and 'dev="vdc"' in after
    assert told == {}


def test_an_order_that_matters_is_told():
    definition = Definition.parse(PLAIN)
    devices = definition.devices.element
    devices.insert(2, devices[0])
    (difference,) = diff(PLAIN, definition.to_xml()).changes
    assert difference == ("devices/disk", "vda, vdb", "vdb, vda")


def test_the_unified_diff_shows_lines_and_not_how_they_were_written():
    crooked = PLAIN.replace("\n", "").replace("'", '"')
    assert diff(PLAIN, crooked) == ([], "")
    text = diff(PLAIN, apply(PLAIN, [{"set": "devices.disks[vda].source.file", "to": "/z"}])).text
    assert '-      <source file="/a"/>' in text and '+      <source file="/z"/>' in text


@settings(max_examples=40, deadline=None)
@given(st.sampled_from(sorted(CORPUS)), st.sampled_from(sorted(CORPUS)))
def test_two_definitions_differ_when_their_digests_do(one, other):
    assert bool(diff(CORPUS[one], CORPUS[other]).changes) == (digest(CORPUS[one]) != digest(CORPUS[other]))
    assert not lost(CORPUS[one], CORPUS[one])


def test_what_libvirt_dropped_is_told_and_what_it_only_wrote_otherwise_is_not():
    definition = Definition.parse(PLAIN)
    definition.devices.disks["vda"].driver.cache = "none"
    definition.devices.disks["vda"].alias = "ua-first"
    sent = definition.to_xml().replace("</devices>", "<frobnicator/></devices>")
    sent = sent.replace("<target dev='vdb'", "<target dev='vdb' colour='red'").replace(
        'dev="vdb"', 'dev="vdb" colour="red"'
    )
    sent = sent.replace("</os>", "<boot dev='hd'/></os><unheard_of><inner/></unheard_of>")
    got = _define(sent)
    assert [difference.path for difference in lost(sent, got)] == [
        "unheard_of",
        "devices/disk[vdb]/target@colour",
        "devices/frobnicator",
    ]
    assert diff(sent, got).changes  # libvirt says more than it was told


@pytest.mark.parametrize(
    "name", ["linux_server", "arm64", "minimal", "sev", "shared_folders", "test_driver", "comments_cdata"]
)
def test_nothing_of_a_definition_that_libvirt_knows_is_called_lost(name):
    definition = Definition.parse(CORPUS[name])
    definition.type, definition.name, definition.uuid = "test", f"kept-{name}", None
    sent = definition.to_xml()
    assert lost(sent, _define(sent)) == []


def _define(text):
    """What libvirt (its test driver) gives back."""
    connection = libvirt.open("test:///default")
    try:
        domain = connection.defineXML(text)
        flags = libvirt.VIR_DOMAIN_XML_INACTIVE | libvirt.VIR_DOMAIN_XML_SECURE
        return domain.XMLDesc(flags)
    finally:
        connection.close()


def test_what_belongs_to_one_run_is_not_lost():
    live = CORPUS["linux_server"]
    stored = Definition.parse(live)
    root = stored.element
    for path in ("alias", "address", "backingStore", "imagelabel", "label"):
        for element in list(root.iter(path)):
            if path != "address":
                element.getparent().remove(element)
    root.attrib.pop("id")
    root.find("devices/interface/target").getparent().remove(root.find("devices/interface/target"))
    assert lost(live, stored.to_xml()) == []
    root.find("devices/interface").remove(root.find("devices/interface/model"))
    (difference,) = lost(live, stored.to_xml())
    assert difference == ("devices/interface[52:54:00:6b:3c:58]/model", '<model type="virtio"/>', None)
