"""One machine's page: its parts, who sees what on it, and that a push draws what the page drew."""

from __future__ import annotations

import re
import uuid

import pytest
from django.core.cache import cache
from django.utils import timezone

from hosts import fragments
from hosts.models import Host, Operation
from hosts.operations.kind import registry
from vms.models import MoveRecord, Sighting, VirtualMachine
from vms.operations.base import GuestKind
from vms.tests.making import browser, make_guest, make_host, sighted
from vms.views import actions
from vms.views.definition import changes, highlighted
from vms.views.looks import LOOKS

pytestmark = pytest.mark.django_db
#: what is offered beside what it is done to, on a tab of its own
ELSEWHERE = {"define", "media", "snapshot-delete", "snapshot-describe", "snapshot-revert"}
ELSEWHERE |= {"device-add", "device-change", "device-remove"}
ELSEWHERE |= {"block-copy", "block-resize", "fs-freeze", "fs-thaw", "fs-trim", "guest-info", "set-user-password"}
ELSEWHERE |= {"tidy"}
TABS = ("", "console/", "devices/", "agent/", "operations/", "definition/")


@pytest.fixture
def guest(db: None) -> VirtualMachine:
    return make_guest(make_host(), tags=("prod",), title="Front", description="two\nlines")


def body(client, vm: VirtualMachine, tab: str = "") -> str:
    page = client.get(f"/vms/{vm.uuid}/{tab}")
    assert page.status_code == 200
    return page.content.decode()


@pytest.mark.parametrize("tab", TABS)
def test_every_role_sees_every_tab_and_strangers_none(people, guest, tab: str) -> None:
    for role in ("administrator", "operator", "viewer", "viewer-watching"):
        text = body(browser(people[role]), guest, tab)
        assert f'data-live="vm-head:{guest.uuid}"' in text
        assert 'aria-current="page"' in text
    assert browser(None).get(f"/vms/{guest.uuid}/{tab}").status_code == 302


@pytest.mark.parametrize(
    "address", [f"/vms/{uuid.UUID(int=7)}/", "/vms/not-a-uuid/", f"/vms/{uuid.UUID(int=7)}/devices/"]
)
def test_a_machine_that_is_not_there_is_not_found(people, address: str) -> None:
    assert browser(people["viewer"]).get(address).status_code == 404


def test_a_tab_that_is_not_there_is_not_found(people, guest) -> None:
    assert browser(people["viewer"]).get(f"/vms/{guest.uuid}/secrets/").status_code == 404


def test_viewers_are_offered_no_verbs_and_operators_all_of_them(people, guest) -> None:
    assert f"/vms/{guest.uuid}/do/" not in body(browser(people["viewer"]), guest)
    text = body(browser(people["operator"]), guest)
    for kind in actions.guest_kinds():
        assert f"/vms/{guest.uuid}/do/{kind.name}/" in text or kind.name in ELSEWHERE, kind.name


def test_the_console_is_offered_by_right(people, guest) -> None:
    link = f'class="btn btn-primary" href="/vms/{guest.uuid}/console/"'
    assert link not in body(browser(people["viewer"]), guest)
    assert link in body(browser(people["viewer-watching"]), guest)
    assert link in body(browser(people["operator"]), guest)


def test_every_kind_that_acts_on_guests_has_a_line_that_teaches_and_a_label(guest, people) -> None:
    for kind in actions.guest_kinds():
        assert kind.name in LOOKS, f"say in LOOKS how {kind.name} looks"
        assert LOOKS[kind.name].hint


def test_a_kind_nobody_drew_yet_appears_by_itself(people, guest, monkeypatch) -> None:
    class Tickle(GuestKind):
        label = "Tickle it"
        verb = "vm.start"
        needs = ("running",)

        def virsh(self, subject, arguments):
            return f"virsh tickle {subject.name}"

        def run(self, task):
            return {}

        recover = run

    kind = Tickle()
    monkeypatch.setattr(Tickle, "name", "tickle")
    monkeypatch.setitem(registry, "tickle", kind)
    text = body(browser(people["operator"]), guest)
    assert "Tickle it" in text
    assert "virsh tickle web-1" in text


def test_buttons_that_make_no_sense_now_are_disabled_and_say_why(people, guest) -> None:
    found = actions.actions_of(guest, people["operator"])
    start = next(item for item in found["more"] if item.name == "start")
    assert "running" in start.reason
    assert [item.name for item in found["main"]] == ["shutdown", "migrate"]
    assert {item.name for item in found["danger"]} == {"destroy", "reset", "managed-save-remove", "undefine"}
    assert all(item.confirm_type == "web-1" for item in found["danger"] if not item.dialog)


def test_on_a_lost_host_nothing_can_be_asked_and_the_page_says_why(people) -> None:
    vm = make_guest(make_host(state="unreachable", state_text="No route to host."))
    found = actions.actions_of(vm, people["operator"])
    assert all("No route to host." in item.reason for group in found.values() for item in group)
    text = body(browser(people["operator"]), vm)
    assert "Unreachable" in text
    assert "when last seen" in text


def test_a_busy_guest_refuses_other_changes_and_names_what_holds_it(people, guest) -> None:
    Operation.objects.create(kind="managed-save", state="running", subject_uuid=guest.pk, exclusive=True)
    text = body(browser(people["operator"]), guest)
    assert "Busy: “Save” has not ended." in text


def test_what_people_wrote_is_text_and_never_markup(people) -> None:
    evil = '</pre><script>alert(1)</script>"><img src=x onerror=alert(1)>{{ 7 }}'
    vm = make_guest(
        make_host(), name=evil, title=evil, description=evil, folder=evil, tags=(evil[:40],), machine=evil,
        os_type=evil, disks=[{"device": evil, "source": evil, "target": evil}], power_reason=evil[:40],
        nics=[{"mac": evil, "source": evil}], devices=[{"kind": evil, "model": evil, "text": evil}],
        graphics=[{"type": evil, "listen": evil, "port": -1}],
        addresses=[{"mac": evil, "address": evil, "prefix": 0, "source": evil}],
    )  # fmt: skip
    Operation.objects.create(
        kind="start", state="failed", subject_uuid=vm.pk, subject_name=evil, virsh=evil, finished_at=timezone.now(),
        error={"message": evil, "detail": evil},
    )  # fmt: skip
    for tab in TABS:
        text = body(browser(people["operator"]), vm, tab)
        assert "<script>alert" not in text
        assert "<img src=x" not in text


def test_the_summary_shows_facts_figures_charts_and_notes(people, guest) -> None:
    cache.set(f"frame:{guest.host_id}", {f"vm:{guest.uuid}": {"cpu": 37.5, "rd": 2048}})
    text = body(browser(people["viewer"]), guest)
    for words in (str(guest.uuid), "10.0.0.7", "from the guest agent", "two\nlines", "37.5 %", "2 KiB/s", "256 MiB"):
        assert words in text, words
    assert text.count("data-chart=") == 4
    assert f'data-live="vm-picture:{guest.uuid}"' in text


@pytest.mark.parametrize(
    "name",
    ["vm-head", "vm-sightings", "vm-operation", "vm-facts", "vm-hardware", "vm-picture", "vm-devices", "vm-definition"],
)
def test_what_is_pushed_is_what_the_page_drew(people, guest, name: str) -> None:
    tab = {"vm-devices": "devices/", "vm-definition": "definition/"}.get(name, "")
    Operation.objects.create(kind="start", state="succeeded", subject_uuid=guest.pk, finished_at=timezone.now())
    for role in ("operator", "viewer"):
        pushed = fragments.render(f"{name}:{guest.uuid}", people[role], "en")
        assert pushed is not None
        assert squeezed(pushed) in squeezed(body(browser(people[role]), guest, tab))


def squeezed(text: str) -> str:
    without_ages = re.sub(r"(<time[^>]*>)[^<]*(</time>)", r"\1\2", text)
    return re.sub(r"\s+", " ", without_ages).strip()


def test_looking_at_a_machine_asks_for_pictures_and_a_garbled_key_asks_for_nothing(people, guest) -> None:
    body(browser(people["viewer"]), guest)
    assert cache.get(f"picture-wanted:{guest.uuid}")
    cache.delete(f"picture-wanted:{guest.uuid}")
    fragments.keep_alive([f"vm-picture:{guest.uuid}", "vm-picture:\n nonsense", f"vm-head:{guest.uuid}"])
    assert cache.get(f"picture-wanted:{guest.uuid}")


def test_the_picture_is_served_to_those_who_see_the_machine(people, guest) -> None:
    address = f"/vms/{guest.uuid}/screenshot.png"
    assert browser(people["viewer"]).get(address).status_code == 404
    cache.set(f"picture:{guest.uuid}", b"\x89PNG...")
    cache.set(f"picture-digest:{guest.uuid}", "abc")
    answer = browser(people["viewer"]).get(address, {"d": "abc"})
    assert (answer.status_code, answer["Content-Type"], answer.content) == (200, "image/png", b"\x89PNG...")
    assert "immutable" in answer["Cache-Control"]
    assert "no-store" in browser(people["viewer"]).get(address, {"d": "old"})["Cache-Control"]
    assert browser(None).get(address).status_code == 302


@pytest.mark.django_db(databases=["default", "metrics"])
@pytest.mark.parametrize(
    ("reach", "status"), [("1h", 200), ("14d", 200), ("", 200), ("1y", 400), ("1h;", 400), ("%00", 400)]
)
def test_the_history_of_figures_is_read_in_the_ranges_that_are_kept(people, guest, reach: str, status: int) -> None:
    answer = browser(people["viewer"]).get(f"/vms/{guest.uuid}/history.json?range={reach}")
    assert answer.status_code == status
    if status == 200:
        assert {"t", "series", "step"} <= answer.json().keys()


def test_a_definition_left_behind_on_another_host_is_pointed_out(people, guest) -> None:
    client = browser(people["viewer"])
    assert "Another host holds a definition" not in body(client, guest)
    sighted(guest, make_host("kvm2"), "shutoff")
    text = body(client, guest)
    assert "Another host holds a definition" in text
    assert "kvm2" in text


def test_a_guest_that_runs_twice_raises_its_voice(people, guest) -> None:
    sighted(guest, make_host("kvm2"), "running")
    VirtualMachine.objects.filter(pk=guest.pk).update(suspected_at=timezone.now())
    assert "It runs on more than one host." in body(browser(people["viewer"]), guest)


def test_a_copy_that_is_arriving_is_no_alarm(people, guest) -> None:
    sighted(guest, make_host("kvm2"), "paused", power_reason="migration")
    text = body(browser(people["viewer"]), guest)
    assert "It is being moved." in text
    assert "more than one host" not in text


def test_a_copy_that_can_never_take_over_is_told_from_one_that_arrives(people, guest) -> None:
    copy = sighted(guest, make_host("kvm2"), "paused", power_reason="migration")
    Sighting.objects.filter(vm=guest).exclude(pk=copy.pk).update(power_state="shutoff")
    assert "A move ended in the middle." in body(browser(people["viewer"]), guest)
    Host.objects.exclude(pk=copy.host_id).update(state="silent")
    assert "It is being moved." in body(browser(people["viewer"]), guest)


def test_a_move_under_way_shows_its_figures_and_can_be_steered(people, guest) -> None:
    operation = Operation.objects.create(
        kind="migrate", state="running", exclusive=True, subject_uuid=guest.pk,
        arguments={"host": "kvm2", "bandwidth": 7},
        progress={"percent": 40, "remaining": 3 * 2**20, "total": 5 * 2**20, "processed": 2**21, "rate": 2**20,
                  "dirty_rate": 2**22, "iteration": 3, "elapsed": 12, "estimate": None},
        virsh="virsh migrate web-1 qemu+tcp://kvm2/system",
    )  # fmt: skip
    points = [[t, 5 * 2**20 - t, t, 5 * 2**20, 2**20, 2**22, 1 + t // 5] for t in range(11)]
    steered = [{"t": 4, "who": "eva", "what": "downtime", "value": 900, "done": True}]
    MoveRecord.objects.create(operation=operation, points=points, steered=steered)
    text = body(browser(people["operator"]), guest)
    for words in (
        "3 MiB",
        "5 MiB",
        "1 MiB/s",
        "4 MiB/s",
        "12 s",
        "virsh migrate web-1",
        "to kvm2",
        "Will not converge: the guest dirties",
        "Allow a pause of 1200 ms",
        "longest pause 900 ms",
        "eva",
    ):
        assert words in text, words
    assert f"/vms/{guest.uuid}/steer/bandwidth/" in text
    seen = body(browser(people["viewer"]), guest)
    assert "Will not converge" in seen and f"/vms/{guest.uuid}/steer/" not in seen
    record = browser(people["viewer"]).get(f"/vms/{guest.uuid}/moves/{operation.pk}/").content.decode()
    assert "<polyline" in record and "longest pause 900 ms" in record
    assert browser(people["viewer"]).get(f"/vms/{uuid.uuid4()}/moves/{operation.pk}/").status_code == 404
    assert browser(None).get(f"/vms/{guest.uuid}/moves/{operation.pk}/").status_code == 302


def test_the_end_of_a_move_tells_total_time_and_downtime(people, guest) -> None:
    Operation.objects.create(
        kind="migrate", state="succeeded", subject_uuid=guest.pk, finished_at=timezone.now(),
        result={"host": "kvm2", "total_ms": 7830, "downtime_ms": 51},
    )  # fmt: skip
    assert "to kvm2 in 7.80 s, stopped for 51 ms of it" in body(browser(people["viewer"]), guest)


def test_a_failure_is_told_with_libvirts_words_and_an_unheard_shutdown_offers_force(people, guest) -> None:
    Operation.objects.create(
        kind="shutdown", state="failed", subject_uuid=guest.pk, finished_at=timezone.now(),
        error={"message": "The guest did not shut down.", "detail": "libvirt: timeout"},
    )  # fmt: skip
    text = body(browser(people["operator"]), guest)
    part = text[text.index('id="vm-operation"') :]
    assert "The guest did not shut down." in part
    assert "libvirt: timeout" in part
    assert f"/vms/{guest.uuid}/do/destroy/" in part
    assert "do/destroy/" not in body(browser(people["viewer"]), guest)


def test_the_operations_tab_lists_only_this_machines_and_pages_are_checked(people, guest) -> None:
    Operation.objects.create(kind="start", state="failed", subject_uuid=guest.pk, error={"message": "No disk."})
    Operation.objects.create(kind="reset", state="succeeded", subject_uuid=uuid.uuid4(), actor_name="somebody-else")
    client = browser(people["viewer"])
    text = body(client, guest, "operations/")
    text = text[text.index('id="vm-operations"') : text.index('id="drawer"')]
    assert "No disk." in text
    assert "somebody-else" not in text
    for page in ("0", "x", "-3", "9" * 30):
        assert client.get(f"/vms/{guest.uuid}/operations/", {"page": page}).status_code == 400
    assert client.get(f"/vms/{guest.uuid}/operations/", {"page": "500"}).status_code == 200


def test_the_tabs_say_how_many_there_are_and_a_push_says_the_same(people, guest) -> None:
    page = body(browser(people["viewer"]), guest)
    for name in ("devices", "snapshots"):
        key = f"vm-{name}-count:{guest.uuid}"
        assert (fragments.render(key, people["viewer"], "en") or "?").strip() in page


def test_the_copy_at_the_target_of_a_move_is_no_reason_to_warn(people) -> None:
    one, two = make_host("kvm1"), make_host("kvm2")
    vm = make_guest(one)
    sighted(vm, two, "paused", power_reason="starting up")
    client = browser(people["viewer"])
    assert "Another host holds a definition" in body(client, vm)
    move = Operation.objects.create(kind="migrate", state="running", subject_uuid=vm.pk, host=one, exclusive=True)
    assert "It is being moved." in body(client, vm)
    move.delete()
    vm.power_state = "migrating"
    vm.save()
    assert "It is being moved." in body(client, vm)


def test_definitions_are_coloured_escaped_compared_and_downloaded(people, guest) -> None:
    client = browser(people["viewer"])
    text = body(client, guest, "definition/")
    assert '<span class="x-tag">&lt;domain</span>' in text
    assert "As it will be after the next boot" in text
    assert re.search(r'class="line added">\+ .*custom', text)
    answer = client.get(f"/vms/{guest.uuid}/definition/live.xml")
    assert answer.status_code == 200
    assert answer["Content-Disposition"].startswith("attachment")
    assert client.get(f"/vms/{guest.uuid}/definition/secret.xml").status_code == 404


def test_a_guest_that_is_off_has_one_definition(people) -> None:
    vm = make_guest(make_host(), power_state="shutoff")
    assert "after the next boot" not in body(browser(people["viewer"]), vm, "definition/")


def test_colouring_loses_nothing_and_lets_nothing_through() -> None:
    for text in (
        "<a b='1' c=\"&lt;\"/>",
        "<!-- <b> -->",
        "a > b",
        "<",
        "<a",
        "<a b=c>'\"</a>",
        "<?xml version='1.0'?>",
    ):
        html = str(highlighted(text))
        assert "<a" not in html
        plain = re.sub(r"</?span[^>]*>", "", html)
        for code, sign in (("&lt;", "<"), ("&gt;", ">"), ("&quot;", '"'), ("&#x27;", "'"), ("&amp;", "&")):
            plain = plain.replace(code, sign)
        if "<" in text and ">" in text:
            assert plain == text


def test_what_libvirt_adds_to_a_running_guest_is_no_change() -> None:
    live = """<domain type='kvm' id='7'><name>a</name><resource><partition>/machine</partition></resource><devices>
      <interface type='network'><source network='n' portid='p' bridge='virbr0'/><target dev='vnet3'/>
      <alias name='net0'/></interface><graphics type='vnc' port='5901' autoport='yes'/></devices>
      <seclabel type='dynamic' model='dac'/></domain>"""
    inactive = """<domain type='kvm'><name>a</name><devices><interface type='network'><source network='n'/></interface>
      <graphics type='vnc' port='-1' autoport='yes'/></devices></domain>"""
    assert changes(live, inactive) == []
    more = changes(live, inactive.replace("network='n'", "network='m'"))
    assert [line["css"] for line in more if line["css"] != "place"].count("added") == 1
    assert changes("not xml", inactive) == []
