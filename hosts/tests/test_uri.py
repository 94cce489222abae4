"""URIs: what is let through, and what is said of the rest."""

import pytest

from hosts.hypervisor.errors import InvalidUri
from hosts.hypervisor.uri import parse


@pytest.mark.parametrize(
    "text",
    [
        "qemu:///system",
        "qemu:///session",
        "qemu+ssh://root@kvm1.example.com/system",
        "qemu+ssh://root@kvm1:2222/system",
        "qemu+tls://10.0.0.1/system",
        "qemu+tcp://[2001:db8::1]:16510/system",
        "qemu+unix:///system?socket=/run/libvirt/libvirt-sock",
        "qemu+ssh://root@kvm1/system?keyfile=/etc/kvmdash/key",
    ],
)
def test_ordinary_uris_come_back_as_they_went_in(text):
    assert str(parse(text)) == text


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "begins with"),
        ("xen:///", "begins with"),
        ("test:///default", "begins with"),
        ("http://host/system", "begins with"),
        ("qemu+ext:///system", "transport"),
        ("qemu+ssh:///system", "needs a host"),
        ("qemu+ssh://root:secret@kvm1/system", "password"),
        ("qemu+ssh://kvm1/system?command=/bin/evil", "not allowed"),
        ("qemu+ssh://kvm1/system?netcat=/bin/evil", "not allowed"),
        ("qemu+tls://kvm1/system?no_verify=1", "not allowed"),
        ("qemu+ssh://kvm1/etc/passwd", "path"),
        ("qemu+tcp://kvm1:99999/system", "Not a URI"),
        ("qemu+tcp://kvm1:x/system", "Not a URI"),
        ("qemu+tcp://kv m1/system", "spaces"),
        ("qemu+tcp://kvm1/system\n", "control"),
        ("qemu+tcp://-oProxyCommand=x/system", "host"),
        ("qemu+ssh://-l@kvm1/system", "user name"),
        ("qemu+tcp://kvm1/system#x", "#"),
        ("qemu+tcp://" + "a" * 600 + "/system", "500"),
    ],
)
def test_anything_else_is_refused_with_the_reason(text, says):
    with pytest.raises(InvalidUri, match=says):
        parse(text)


def test_a_remote_uri_without_transport_means_tls_as_for_libvirt():
    assert parse("qemu://kvm1/system").transport == "tls"
    assert parse("qemu://kvm1/system").effective_port == 16514
