"""The pages of definitions: the history, comparing, and the raw XML page; each role, and hostile input."""

from __future__ import annotations

import re
import uuid
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from hosts.hypervisor.records import GuestRecord
from hosts.models import Operation
from vms import history, schemas
from vms.inventory import guests_seen
from vms.models import TypedSecrets, VirtualMachine
from vms.tests.making import browser, make_host

pytestmark = pytest.mark.django_db
TEXT = (
    "<domain type='kvm'>\n  <name>g</name>\n  <uuid>{uuid}</uuid>\n  <title>{title}</title>\n"
    "  <memory unit='KiB'>65536</memory>\n  <os>\n    <type>hvm</type>\n  </os>\n</domain>\n"
)
KEY = uuid.UUID(int=1)


def see(host: Any, title: str) -> VirtualMachine:
    text = TEXT.format(uuid=KEY, title=title)
    facts = {"persistent": True, "autostart": False, "managed_save": False}
    guests_seen(
        host.pk,
        [GuestRecord(str(KEY), "g", -1, "shutoff", "", live_definition=text, inactive_definition=text, **facts)],
        complete=True,
    )
    return VirtualMachine.objects.get(pk=KEY)


@pytest.fixture
def host(db: None) -> Any:
    return make_host()


@pytest.fixture
def guest(host: Any) -> VirtualMachine:
    for title in ("one", "two", "<three>".replace("<", "&lt;").replace(">", "&gt;")):
        vm = see(host, title)
    return vm


def address(vm: VirtualMachine, rest: str = "") -> str:
    return f"/vms/{vm.pk}/definition/{rest}"


def numbers(vm: VirtualMachine) -> list[int]:
    return list(history.versions_of(vm.pk).values_list("pk", flat=True))


def sent(vm: VirtualMachine, change: tuple[str, str] = ("65536", "131072"), **more: str) -> dict[str, str]:
    sighting = history.sighting_of(vm)
    assert sighting is not None
    text = sighting.inactive_definition.replace(*change)
    return {"definition": text, "base": history.digest_now(sighting), "check_schema": "on", "keep_secrets": "on"} | more


def seen_mark(answer: Any) -> str:
    found = re.search(r'name="seen" value="(\w+)"', answer.content.decode())
    assert found is not None, answer.content.decode()
    return found[1]


@pytest.mark.parametrize("role", ["viewer", "operator", "administrator"])
def test_everybody_reads_the_history_and_only_administrators_are_offered_to_change_it(people, guest, role) -> None:
    client = browser(people[role])
    newest = numbers(guest)[0]
    for rest in ("", "versions/", f"versions/{newest}/", f"compare/?old={numbers(guest)[2]}&new=inactive"):
        answer = client.get(address(guest, rest))
        assert answer.status_code == 200, rest
    page = client.get(address(guest)).content.decode()
    assert "title: two → &lt;three&gt;" in page
    for offer in ("/definition/edit/", "/do/define/"):
        assert (offer in page) is (role == "administrator")
    assert client.get(address(guest, "edit/")).status_code == (200 if role == "administrator" else 403)
    assert client.post(address(guest, "edit/"), sent(guest)).status_code == (200 if role == "administrator" else 403)


def test_any_two_versions_are_compared_in_words_and_line_by_line(people, guest) -> None:
    new, _middle, old = numbers(guest)
    page = browser(people["viewer"]).get(address(guest, f"compare/?old={old}&new={new}")).content.decode()
    assert "title: one → &lt;three&gt;" in page
    assert '<span class="line removed">-  &lt;title&gt;one&lt;/title&gt;' in page
    same = browser(people["viewer"]).get(address(guest, f"compare/?old={new}&new=inactive")).content.decode()
    assert "both mean the same" in same


@pytest.mark.parametrize(
    "rest",
    [
        "compare/", "compare/?old=1&new=x", "compare/?old=-1&new=live", "compare/?old=9999&new=inactive",
        "versions/99999999999999999999/", "versions/0/", "edit/?version=7777777", "edit/?version=x",
    ],
)  # fmt: skip
def test_versions_that_are_not_there_are_not_found(people, guest, rest) -> None:
    assert browser(people["administrator"]).get(address(guest, rest)).status_code == 404


def test_the_number_of_queries_does_not_grow_with_the_history(people, host, guest) -> None:
    client = browser(people["administrator"])
    client.get(address(guest))
    counts = []
    for _round in range(2):
        with CaptureQueriesContext(connection) as queries:
            client.get(address(guest))
        counts.append(len(queries))
        for number in range(10):
            see(host, f"n{number}")
    assert counts[0] == counts[1]


def test_an_edit_is_previewed_then_saved(people, guest) -> None:
    client = browser(people["administrator"])
    assert "65536" in client.get(address(guest, "edit/")).content.decode()
    answer = client.post(address(guest, "edit/"), sent(guest, do="save"))
    page = answer.content.decode()
    assert "memory: 64.0 MiB → 128.0 MiB" in page and not Operation.objects.exists(), "it was saved unseen"
    answer = client.post(address(guest, "edit/"), sent(guest, do="save", seen=seen_mark(answer)))
    operation = Operation.objects.get()
    assert answer.status_code == 302 and answer["Location"] == operation.get_absolute_url()
    assert "131072" in operation.arguments["definition"] and operation.arguments["keep_secrets"] is True


def test_what_was_changed_after_the_preview_is_previewed_again(people, guest) -> None:
    client = browser(people["administrator"])
    seen = seen_mark(client.post(address(guest, "edit/"), sent(guest)))
    answer = client.post(address(guest, "edit/"), sent(guest, ("65536", "99999"), do="save", seen=seen))
    assert "99999" in answer.content.decode() and not Operation.objects.exists()


def test_of_two_editors_the_second_sees_what_the_first_did_and_overwrites_nothing(people, host, guest) -> None:
    client, mine = browser(people["administrator"]), sent(guest)
    seen = seen_mark(client.post(address(guest, "edit/"), mine))
    see(host, "theirs")
    answer = client.post(address(guest, "edit/"), mine | {"do": "save", "seen": seen})
    page = answer.content.decode()
    assert "title: &lt;three&gt; → theirs" in page and not Operation.objects.exists()
    assert "title: theirs → &lt;three&gt;" in page, "what saving would undo"
    assert 'name="seen"' not in page and "I have seen it" in page


def test_the_place_of_an_error_is_told(people, guest) -> None:
    client = browser(people["administrator"])
    answer = client.post(address(guest, "edit/"), sent(guest, ("</title>", "</titel>")))
    assert answer.status_code == 422 and "Line 4, column" in answer.content.decode()
    assert 'data-go-to-line="4"' in answer.content.decode()


@pytest.mark.skipif(schemas.check("<domain/>") is None, reason="libvirt's schemas are not installed")
def test_what_the_schema_has_against_it_is_told_with_its_place(people, guest) -> None:
    client = browser(people["administrator"])
    assert "schema has this" not in client.post(address(guest, "edit/"), sent(guest)).content.decode()
    page = client.post(address(guest, "edit/"), sent(guest, ("unit='KiB'", "unit='Kelvin'"))).content.decode()
    assert "line 5, column 3" in page and "<code>@unit</code>" in page


def test_several_errors_in_devices_are_each_found() -> None:
    text = TEXT.format(uuid=KEY, title="t").replace(
        "</domain>", "<devices>\n<disk type='file'><target dev='vda' bus='virtoi'/></disk>\n<bogus/>\n"
        "<disk type='file'><target dev='vdb' bus='virtio'/></disk>\n</devices></domain>"
    )  # fmt: skip
    assert [(found.line, found.message) for found in schemas.check(text) or []] == [(10, "@bus"), (11, "<bogus>")]


def test_without_a_schema_the_page_says_so_and_goes_on(people, guest, monkeypatch) -> None:
    monkeypatch.setattr(schemas, "FOLDERS", ("/nowhere",))
    schemas._rules.cache_clear()
    try:
        page = browser(people["administrator"]).post(address(guest, "edit/"), sent(guest)).content.decode()
    finally:
        schemas._rules.cache_clear()
    assert "is not installed beside kvmdash" in page and 'name="seen"' in page


@pytest.mark.parametrize(
    "text",
    [
        "", "\0", "<domain>", "x" * 1_500_000, "<!DOCTYPE d [<!ENTITY a 'b'>]><domain>&a;</domain>", "<domain>" * 4000, "&#0;",
        "<domain><name>\x1b</name></domain>", "</textarea><script>alert(1)</script>",
    ],
)  # fmt: skip
def test_hostile_texts_are_told_to_be_wrong_and_shown_escaped(people, guest, text) -> None:
    answer = browser(people["administrator"]).post(address(guest, "edit/"), sent(guest) | {"definition": text})
    assert answer.status_code == 422
    assert "<script>alert" not in answer.content.decode()


def test_more_than_is_taken_is_refused_unread(people, guest) -> None:
    answer = browser(people["administrator"]).post(
        address(guest, "edit/"), sent(guest) | {"definition": "x" * 3_000_000}
    )
    assert answer.status_code in (400, 413)


def test_a_password_that_is_typed_is_in_no_operation_and_no_diff(people, guest) -> None:
    client = browser(people["administrator"])
    change = ("</domain>", "<devices><graphics type='vnc' passwd='geheim'/></devices></domain>")
    answer = client.post(address(guest, "edit/"), sent(guest, change))
    page = answer.content.decode()
    assert "and 1 secret that you typed" in page and page.count("geheim") == 1, "once, in the text"
    client.post(address(guest, "edit/"), sent(guest, change, do="save", seen=seen_mark(answer)))
    assert "geheim" not in str(Operation.objects.values())
    assert "geheim" in TypedSecrets.objects.get().sealed.open()


def test_what_libvirt_dropped_is_told_while_that_definition_is_there(people, host, guest) -> None:
    sighting = history.sighting_of(guest)
    assert sighting is not None
    Operation.objects.create(
        kind="define", state="succeeded", subject_uuid=guest.pk, subject_name="g", host=host,
        result={"digest": history.digest_now(sighting), "lost": [["devices/teleporter", "<teleporter/>"]]},
    )  # fmt: skip
    client = browser(people["viewer"])
    assert "&lt;teleporter/&gt;" in client.get(address(guest)).content.decode()
    see(host, "another")
    assert "teleporter" not in client.get(address(guest)).content.decode()


def test_without_a_host_there_is_a_history_and_nothing_to_edit(people, guest) -> None:
    VirtualMachine.objects.update(host=None)
    client = browser(people["administrator"])
    assert "title: one → two" in client.get(address(guest)).content.decode()
    assert client.get(address(guest, "edit/")).status_code == 404
