"""libvirt's schema has something against a definition, and a person is told what and where."""

import pytest

from vms.definition.schema import CannotCheck, findings
from vms.definition.xml import MalformedDefinition
from vms.tests.definition.walking import CORPUS, schema

PLAIN = """<domain type='kvm'>
  <name>one</name>
  <memory unit='MiB'>8</memory>
  <vcpu>1</vcpu>
  <os><type>hvm</type></os>
  <devices>
    <disk type='file' device='disk'>
      <driver name='qemu' cache='none'/>
      <source file='/a'/>
      <target dev='vda' bus='virtio'/>
    </disk>
  </devices>
</domain>"""


def test_nothing_is_found_in_what_is_valid():
    assert findings(schema(), PLAIN) == []
    assert findings(schema(), CORPUS["windows11"]) == []


@pytest.mark.parametrize(
    ("old", "new", "line", "path", "words"),
    [
        ("cache='none'", "cache='warm'", 8, "/domain/devices/disk/driver/@cache", "“warm” is not allowed for “cache” in <driver>."),
        ("bus='virtio'", "bus='steam'", 10, "/domain/devices/disk/target/@bus", "“steam” is not allowed for “bus” in <target>."),
        (">8<", ">eight<", 3, "/domain/memory", "“eight” is not allowed in <memory>."),
        ("<source file='/a'/>", "<sauce/>", 9, "/domain/devices/disk/sauce", "<sauce> is not allowed in <disk>."),
        ("type='kvm'", "type='quantum'", 1, "/domain/@type", "“quantum” is not a kind of hypervisor that libvirt knows."),
        ("<target dev='vda' bus='virtio'/>", "", 7, "/domain/devices/disk", "In <disk> something is missing"),
        ("<vcpu>", "<vcpu since='1'>", 4, "/domain/vcpu/@since", "“1” is not allowed for “since” in <vcpu>."),
        ("  <vcpu>1</vcpu>", "<frob><x/></frob>", 4, "/domain/frob", "In <frob> something is missing"),
    ],
)  # fmt: skip
def test_the_smallest_part_in_the_way_is_told(old, new, line, path, words):
    (finding,) = findings(schema(), PLAIN.replace(old, new))
    assert (finding.line, finding.path) == (line, path)
    assert finding.message.startswith(words)


def test_each_piece_that_is_wrong_is_told():
    text = PLAIN.replace(">8<", ">eight<").replace("warm", "none").replace("cache='none'", "cache='warm'")
    assert [finding.path for finding in findings(schema(), text)] == [
        "/domain/memory",
        "/domain/devices/disk/driver/@cache",
    ]


def test_each_feature_that_is_not_known_is_told():
    found = findings(
        schema(), PLAIN.replace("<devices>", "<features><acpi/><ras state='on'/><aia/></features><devices>")
    )
    assert [finding.path for finding in found] == ["/domain/features/ras", "/domain/features/aia"]


def test_pieces_that_only_do_not_go_together_are_told_in_the_validators_words():
    (first, *_rest) = findings(schema(), PLAIN.replace("<vcpu>1</vcpu>", "<vcpu>1</vcpu><vcpu>2</vcpu>"))
    assert first.message


def test_what_would_be_checked_for_minutes_is_not_checked():
    many = " ".join(f"a{number}='1'" for number in range(20))
    with pytest.raises(CannotCheck, match="<driver> in line 8 has too many attributes"):
        findings(schema(), PLAIN.replace("<driver ", f"<driver {many} "))


def test_what_is_no_definition_is_malformed():
    with pytest.raises(MalformedDefinition):
        findings(schema(), "<network/>")
