"""Where a screen listens, and how it is reached from here."""

from __future__ import annotations

import pytest

from hosts.models import Host
from vms.console.closing import Closing
from vms.console.line import Target, dial
from vms.console.targets import LibvirtTargets, reach, screen_of
from vms.tests.making import make_guest

pytestmark = pytest.mark.django_db


def definition(graphics: str) -> str:
    return f"<domain type='kvm'><name>a</name><devices>{graphics}</devices></domain>"


def host(uri: str) -> Host:
    Host.objects.create(name="kvm1", uri=uri, state="connected")
    return Host.objects.get()


def test_address_port_and_password_are_read_from_the_definition():
    screen = screen_of(definition("<graphics type='vnc' port='5901' listen='10.0.0.1' passwd='a&amp;b'/>"))
    assert (screen.address, screen.port, screen.password) == ("10.0.0.1", 5901, "a&b")
    screen = screen_of(
        definition("<graphics type='vnc' port='5902'><listen type='network' address='10.0.0.2'/></graphics>")
    )
    assert (screen.address, screen.port, screen.password) == ("10.0.0.2", 5902, "")
    screen = screen_of(definition("<graphics type='vnc'><listen type='socket' socket='/run/a.sock'/></graphics>"))
    assert screen.path == "/run/a.sock"


def test_a_password_is_in_no_representation():
    assert "s3cret" not in repr(Target("a", 1, password="s3cret"))


@pytest.mark.parametrize(
    ("graphics", "code"),
    [
        ("", 4404),
        ("<graphics type='spice' port='5900'/>", 4404),
        ("<graphics type='vnc' port='-1'/>", 4404),
        ("<graphics", 4502),
    ],
)
def test_a_definition_without_a_screen_is_told(graphics, code):
    with pytest.raises(Closing) as told:
        screen_of(definition(graphics))
    assert told.value.code == code


@pytest.mark.parametrize(
    ("uri", "listen", "address"),
    [
        ("qemu+tcp://kvm1.example/system", "0.0.0.0", "kvm1.example"),
        ("qemu+tls://kvm1.example/system", "", "kvm1.example"),
        ("qemu://kvm1.example/system", "::", "kvm1.example"),
        ("qemu+tcp://kvm1.example/system", "10.0.0.1", "10.0.0.1"),
        ("qemu+tcp://127.0.0.1/system", "127.0.0.1", "127.0.0.1"),
        ("qemu:///system", "0.0.0.0", "127.0.0.1"),
        ("qemu+unix:///system", "127.0.0.1", "127.0.0.1"),
    ],
)
def test_a_screen_is_dialled_where_it_listens(uri, listen, address):
    target = reach(host(uri), Target(listen, 5900))
    assert (target.address, target.port, target.ssh) == (address, 5900, ())


def test_a_screen_on_the_loopback_of_a_tcp_host_cannot_be_reached_and_the_remedy_is_named():
    with pytest.raises(Closing, match="over ssh"):
        reach(host("qemu+tcp://kvm1.example/system"), Target("127.0.0.1", 5900))


def test_a_screen_on_a_socket_file_is_reached_on_this_machine_only():
    assert reach(host("qemu:///system"), Target(path="/run/a.sock")).path == "/run/a.sock"
    Host.objects.all().delete()
    with pytest.raises(Closing):
        reach(host("qemu+ssh://kvm1.example/system"), Target(path="/run/a.sock"))


def test_an_ssh_host_is_reached_through_ssh_without_a_shell():
    target = reach(host("qemu+ssh://root@kvm1.example:2222/system?keyfile=/k"), Target("0.0.0.0", 5900, password="x"))
    assert (target.address, target.password) == ("127.0.0.1", "x")
    assert target.ssh[:2] == ("ssh", "-F")
    assert target.ssh[-4:] == ("-i", "/k", "-p", "2222")
    assert target.ssh_destination == ("--", "root@kvm1.example")


def test_what_ssh_says_reaches_the_browser(tmp_path):
    script = tmp_path / "ssh"
    script.write_text("#!/bin/sh\necho 'banner' >&2\necho 'Permission denied (publickey).' >&2\nexit 255\n")
    script.chmod(0o700)
    line = dial(Target("127.0.0.1", 5900, "", "", (str(script),), ("--", "x")), 5)
    line.set_deadline(10)
    with pytest.raises(Closing, match="Permission denied"):
        line.read(12)
    line.close()


def test_a_child_is_reaped_when_its_console_closes(tmp_path):
    script = tmp_path / "ssh"
    script.write_text("#!/bin/sh\nexec cat\n")
    script.chmod(0o700)
    line = dial(Target("::1", 5900, "", "", (str(script),), ("--", "x")), 5)
    line.set_deadline(10)
    line.write(b"hello")
    assert line.read(5) == b"hello"
    child = line._child
    line.close()
    assert child is not None and child.returncode is not None


def test_libvirt_is_asked_over_one_connection_and_its_answers_are_told_apart(test_host, settings):
    found = host(test_host.uri)
    targets = LibvirtTargets()
    try:
        with pytest.raises(Closing) as told:
            targets(make_guest(found))
        assert told.value.code == 4410
        first = targets.connections.get(found)
        assert targets.connections.get(found) is first
        first.close()
        assert targets.connections.get(found) is not first
    finally:
        targets.close()


def test_a_host_that_cannot_be_reached_is_told():
    down = host("qemu+tcp://127.0.0.1:1/system")
    targets = LibvirtTargets()
    with pytest.raises(Closing) as told:
        targets(make_guest(down))
    assert told.value.code == 4502
