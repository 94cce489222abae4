"""Network filters on real libvirtd: defined, changed under a running guest, refused while in use, checked with virsh."""

from __future__ import annotations

import pytest

from conftest import wait_until
from kvmdash.tests.test_lab_cluster import booted_on
from kvmdash.tests.test_lab_storage import do, done

pytestmark = pytest.mark.lab
TEXT = """<filter name='t-mine' chain='root'>
  <filterref filter='no-mac-spoofing'/>
  <rule action='accept' direction='in' priority='500'><tcp dstportstart='22'/></rule>
</filter>"""


@pytest.fixture
def clean(lab_cluster):
    """No filter of the tests is left."""
    yield lab_cluster
    for line in lab_cluster.virsh("kvm1", "nwfilter-list").splitlines():
        if (name := line.split()[-1:]) and name[0].startswith("t-"):
            lab_cluster.virsh("kvm1", "nwfilter-undefine", name[0])


def seen(program, name, until=lambda found: True):
    """The filter once it is seen and ``until`` says so."""

    def look():
        status, found = program.api(f"filters/kvm1/{name}")
        return found if status == 200 and until(found) else None

    return wait_until(look, what=f"{name} to be seen so")


def test_a_filter_is_defined_changed_and_deleted(program, clean):
    done(program, "hosts/kvm1/filter-define", definition=TEXT)
    assert "dstportstart='22'" in clean.virsh("kvm1", "nwfilter-dumpxml", "t-mine")
    first = seen(program, "t-mine")
    assert first["references"] == ["no-mac-spoofing"] and first["chain"] == "root"
    wanted = first["definition"].replace("'22'", "'443'")
    ended = done(program, "filters/kvm1/t-mine/edit", definition=wanted, base=first["mark"])
    assert ended["result"]["changed"] and "443" in str(ended["log"])
    assert "dstportstart='443'" in clean.virsh("kvm1", "nwfilter-dumpxml", "t-mine")
    # Who began before that overwrites nothing, whether it was seen already or not.
    status, answer = program.api("filters/kvm1/t-mine/edit", {"definition": TEXT, "base": first["mark"]})
    assert status == 409 or program.ended(answer["id"])["state"] == "refused"
    assert "dstportstart='443'" in clean.virsh("kvm1", "nwfilter-dumpxml", "t-mine")
    seen(program, "t-mine", lambda found: found["mark"] != first["mark"])
    done(program, "filters/kvm1/t-mine/delete")
    assert "t-mine" not in clean.virsh("kvm1", "nwfilter-list")
    assert program.api("filters/kvm1/t-mine")[0] == 404


def test_what_libvirt_does_not_take_is_said_in_its_words(program, clean):
    text = "<filter name='t-wrong'><rule action='explode' direction='in'/></filter>"
    ended = do(program, "hosts/kvm1/filter-define", definition=text)
    assert ended["state"] == "failed" and "validate" in ended["error"]["detail"]
    assert "t-wrong" not in clean.virsh("kvm1", "nwfilter-list")


def test_a_filter_that_others_take_in_is_not_deleted(program, lab_cluster):
    used = seen(program, "no-mac-spoofing")
    assert "clean-traffic" in used["taken_in_by"]
    status, answer = program.api("filters/kvm1/no-mac-spoofing/delete", {})
    assert status == 409 and "clean-traffic" in answer["detail"]
    assert "no-mac-spoofing" in lab_cluster.virsh("kvm1", "nwfilter-list")


def test_a_filter_is_given_to_a_guest_that_runs_and_then_not_deleted(program, clean):
    done(program, "hosts/kvm1/filter-define", definition=TEXT)
    name = booted_on(program, "kvm1")
    cards = wait_until(lambda: [card for card in program.get("networks/kvm1/default")["cards"] if card["name"] == name])
    mac = cards[0]["mac"]

    def give(what):
        ended = program.do(name, "device-change", device=f"interfaces[{mac}]", set={"filter": what})
        assert ended["state"] == "succeeded", ended

    give("t-mine")
    for flags in ((), ("--inactive",)):
        assert "filter='t-mine'" in clean.virsh("kvm1", "dumpxml", name, *flags)
    assert "t-mine" in clean.virsh("kvm1", "nwfilter-binding-list")
    values = {"filter_parameters": "PORT=22 IP=10.9.9.8 IP=10.9.9.7"}
    ended = program.do(name, "device-change", device=f"interfaces[{mac}]", set=values)
    assert ended["state"] == "succeeded", ended
    for flags in ((), ("--inactive",)):
        told = clean.virsh("kvm1", "dumpxml", name, *flags)
        assert told.index("value='10.9.9.8'") < told.index("value='10.9.9.7'") < told.index("name='PORT' value='22'")
    identity = program.vm(name)["uuid"]
    wait_until(
        lambda: program.get(f"vms/{identity}")["nics"][0]["filter_values"] == "IP=10.9.9.8 IP=10.9.9.7 PORT=22", 30
    )
    found = seen(program, "t-mine", lambda found: found["cards"])
    assert [(card["name"], card["running"], card["mac"]) for card in found["cards"]] == [(name, True, mac)]
    status, answer = program.api("filters/kvm1/t-mine/delete", {})
    assert status == 409 and name in answer["detail"]
    done(program, "filters/kvm1/t-mine/edit", definition=TEXT.replace("'22'", "'80'"), base=found["mark"])
    give(None)
    seen(program, "t-mine", lambda found: not found["cards"])
    done(program, "filters/kvm1/t-mine/delete")
    assert "t-mine" not in clean.virsh("kvm1", "nwfilter-list")
