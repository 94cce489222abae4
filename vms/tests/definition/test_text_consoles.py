"""Text consoles as a definition tells them."""

from __future__ import annotations

from vms.definition.serial import text_consoles
from vms.definition.xml import parse
from vms.tests.console.texts import SERIAL


def aliases(devices: str) -> list[tuple[str, str, str]]:
    domain = parse(f"<domain type='kvm'><name>a</name><devices>{devices}</devices></domain>")
    return [(one.alias, one.kind, one.type) for one in text_consoles(domain)]


def test_each_is_told_once_although_libvirt_shows_the_first_serial_line_twice():
    found = [(one.alias, one.kind, one.is_openable) for one in text_consoles(parse(SERIAL))]
    assert found == [("serial0", "serial", True), ("serial1", "serial", False), ("console1", "virtio", True)]


def test_one_that_is_off_is_told_by_the_names_that_it_will_get():
    first = "<serial type='pty'><target port='0'/></serial><serial type='pty'><target port='1'/></serial>"
    again = "<console type='pty'><target type='serial' port='0'/></console>"
    virtio = "<console type='pty'><target type='virtio' port='1'/></console>"
    assert [alias for alias, *_ in aliases(first + again + virtio)] == ["serial0", "serial1", "console1"]


def test_a_name_that_somebody_gave_stays():
    assert aliases("<serial type='pty'><alias name='ua-mine'/></serial>") == [("ua-mine", "serial", "pty")]


def test_a_console_without_a_serial_line_is_told():
    assert aliases("<console type='pty'><target type='serial' port='0'/></console>") == [("console0", "serial", "pty")]
    assert aliases("<console type='pty'><target type='sclp'/></console>") == [("console0", "sclp", "pty")]
    assert aliases("") == []
