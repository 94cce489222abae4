"""Files for virt-viewer: where they lead, who gets one, and what is never in them."""

from __future__ import annotations

import configparser

import pytest

from hosts.models import AuditEntry, Host
from vms.console import viewer_file
from vms.models import VirtualMachine
from vms.tests.making import browser, make_guest, make_host

pytestmark = pytest.mark.django_db
DOMAIN = "<domain type='kvm' id='1'><name>a</name><devices>{graphics}</devices></domain>"


def guest(graphics: str, uri: str = "qemu+tcp://kvm1.example/system", name: str = "alpha") -> VirtualMachine:
    host = make_host()
    Host.objects.update(uri=uri)
    vm = make_guest(host, name)
    vm.sightings.update(live_definition=DOMAIN.format(graphics=graphics))
    return VirtualMachine.objects.select_related("host").get(pk=vm.pk)


def only(vm: VirtualMachine) -> viewer_file.Screen:
    [screen] = viewer_file.screens_of(vm)
    return screen


@pytest.mark.parametrize(
    ("graphics", "uri", "host", "port", "tunnel"),
    [
        ("<graphics type='vnc' port='5901' listen='0.0.0.0'/>", "qemu+tcp://kvm1.example/system", "kvm1.example", 5901, ""),
        ("<graphics type='vnc' port='5901' listen='10.0.0.7'/>", "qemu+tls://kvm1/system", "10.0.0.7", 5901, ""),
        ("<graphics type='vnc' port='5901' listen='127.0.0.1'/>", "qemu+tcp://kvm1/system", "127.0.0.1", 15901,
         "ssh -N -L 15901:127.0.0.1:5901 kvm1"),
        ("<graphics type='vnc' port='5901' listen='::1'/>", "qemu+ssh://root@kvm1:2222/system", "127.0.0.1", 15901,
         "ssh -N -L '15901:[::1]:5901' -p 2222 root@kvm1"),
        ("<graphics type='spice' port='5902'><listen type='address' address='127.0.0.1'/></graphics>",
         "qemu+ssh://kvm1/system", "127.0.0.1", 15902, "ssh -N -L 15902:127.0.0.1:5902 kvm1"),
        ("<graphics type='vnc'><listen type='socket' socket='/run/a b.sock'/></graphics>", "qemu+tcp://kvm1/system",
         "127.0.0.1", 15900, "ssh -N -L '15900:/run/a b.sock' kvm1"),
        ("<graphics type='vnc' port='5901' listen='0.0.0.0'/>", "qemu:///system", "127.0.0.1", 15901,
         "ssh -N -L 15901:127.0.0.1:5901 HOST"),
    ],
)  # fmt: skip
def test_the_file_leads_to_where_the_screen_is_reached(graphics, uri, host, port, tunnel):
    screen = only(guest(graphics, uri))
    assert (screen.host, screen.port, screen.tunnel) == (host, port, tunnel)
    assert screen.is_direct is not bool(tunnel)


def test_spice_by_tls_names_the_tls_port():
    screen = only(guest("<graphics type='spice' port='-1' tlsPort='5903' listen='10.0.0.7'/>"))
    assert (screen.port, screen.tls_port) == (0, 5903)
    assert "tls-port=5903" in viewer_file.text_of(screen, "a") and "\nport=" not in viewer_file.text_of(screen, "a")


def test_a_hostile_name_stays_one_value_of_the_file():
    screen = only(guest("<graphics type='vnc' port='5901' listen='10.0.0.7'/>"))
    text = viewer_file.text_of(screen, "evil\nhost=6.6.6.6\r[x]\\n\u2028delete-this-file=0")
    read = configparser.RawConfigParser()
    read.read_string(text)
    assert read.sections() == ["virt-viewer"]
    assert read["virt-viewer"]["host"] == "10.0.0.7"
    assert read["virt-viewer"]["delete-this-file"] == "1"
    assert read["virt-viewer"]["type"] == "vnc"


def post(client, vm, kind="vnc"):
    return client.post(f"/vms/{vm.uuid}/console/viewer/", {"type": kind})


def test_the_file_is_one_for_virt_viewer_recorded_and_without_a_password(people):
    vm = guest("<graphics type='vnc' port='5901' listen='10.0.0.7' passwd='geheim'/>", name='a/b "c"')
    answer = post(browser(people["operator"]), vm)
    assert answer["Content-Type"] == "application/x-virt-viewer"
    assert answer["Content-Disposition"] == 'attachment; filename="a_b_c_-vnc.vv"'
    assert answer["Cache-Control"] == "no-store"
    assert b"geheim" not in answer.content and b"password" not in answer.content
    entry = AuditEntry.objects.get(action="console.viewer_file")
    assert (entry.actor_name, entry.subject) == ("operator", vm.name)


@pytest.mark.parametrize("role", ["viewer", "viewer-watching"])
def test_who_may_not_type_gets_no_file_because_nobody_would_keep_them_from_typing(people, role):
    vm = guest("<graphics type='vnc' port='5901' listen='10.0.0.7'/>")
    client = browser(people[role])
    for answer in (post(client, vm), client.get(f"/vms/{vm.uuid}/console/viewer/")):
        assert answer.status_code == 403
        assert b"10.0.0.7" not in answer.content
    assert not AuditEntry.objects.filter(action="console.viewer_file", result="done").exists()


def test_the_dialog_says_what_must_run_where_only_the_host_reaches_the_screen(people):
    vm = guest("<graphics type='vnc' port='5901' listen='127.0.0.1'/>")
    text = browser(people["operator"]).get(f"/vms/{vm.uuid}/console/viewer/").content.decode()
    assert "ssh -N -L 15901:127.0.0.1:5901 kvm1.example" in text
    assert "only its host reaches it" in text


@pytest.mark.parametrize(
    ("graphics", "state", "kind"),
    [
        ("<graphics type='vnc' port='5901'/>", "shutoff", "vnc"),
        ("<graphics type='vnc' port='-1'/>", "running", "vnc"),
        ("<graphics type='sdl'/>", "running", "vnc"),
        ("", "running", "vnc"),
        ("<graphics type='vnc' port='5901'/>", "running", "spice"),
        ("<graphics type='vnc' port='5901'/>", "running", "<x>"),
    ],
)
def test_what_there_is_no_screen_for_is_refused_with_the_reason(people, graphics, state, kind):
    vm = guest(graphics)
    VirtualMachine.objects.update(power_state=state)
    answer = post(browser(people["operator"]), vm, kind)
    assert answer.status_code == 409
    assert browser(people["operator"]).get(f"/vms/{vm.uuid}/console/viewer/").status_code == 200
