"""Network filters: their XML and what is wrong with it, the mirror, who may change them, and the page that edits them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from django.test import Client

from hosts import access, filter_inventory, filter_xml
from hosts.audit import Actor
from hosts.hypervisor.records import FilterRecord
from hosts.models import NetworkFilter, Operation
from hosts.operations import queue
from hosts.operations.filter_base import find_filter
from hosts.operations.kind import InvalidArguments, Refused, registry
from hosts.operations.storage_base import NotNow
from hosts.tests.network_making import make_card, make_network
from hosts.tests.storage_making import make_host
from hosts.tests.test_pages_storage import HTMX, browser, words

pytestmark = pytest.mark.django_db(databases=["default", "metrics"])
UUID = "433ab6cb-3188-4389-ad4d-2abdda73b01f"
OTHER = "11111111-3188-4389-ad4d-2abdda73b01f"
TEXT = f"""<filter name='mine' chain='root'>
  <uuid>{UUID}</uuid>
  <filterref filter='no-mac-spoofing'/>
  <rule action='accept' direction='in' priority='500'>
    <tcp dstportstart='22'/>
  </rule>
</filter>
"""
CHANGED = TEXT.replace("'22'", "'443'")
DEFINE = "/hosts/networks/filters/define/"
needs_schema = pytest.mark.skipif(
    not Path("/usr/share/libvirt/schemas/nwfilter.rng").exists(), reason="libvirt's schemas are not installed"
)


@pytest.fixture
def host() -> Any:
    return make_host()


@pytest.fixture
def row(host) -> NetworkFilter:
    other = (
        TEXT.replace("mine", "no-mac-spoofing")
        .replace(UUID, OTHER)
        .replace("<filterref filter='no-mac-spoofing'/>", "")
    )
    filter_inventory.filters_seen(
        host.pk, [FilterRecord(UUID, "mine", TEXT), FilterRecord(OTHER, "no-mac-spoofing", other)]
    )
    return NetworkFilter.objects.select_related("host").get(name="mine")


@pytest.fixture
def actor(people: dict[str, Any]) -> Actor:
    return Actor(people["administrator"], "192.0.2.1")


@pytest.fixture
def admin(people: dict[str, Any]) -> Client:
    return browser(people["administrator"])


# --- the XML


BOMB = "<!DOCTYPE f [" + "".join(
    f"<!ENTITY {one} '{f'&{before};' * 10}'>" for before, one in zip("abcdefgh", "bcdefghi", strict=True)
) + "]><filter name='x'>&i;</filter>"  # fmt: skip


@pytest.mark.parametrize(
    ("text", "line", "column", "message"),
    [
        ("<filter name='x'>\n  <rule\n</filter>", 3, 1, "error parsing attribute name"),
        (BOMB, 1, 1, "document type"),
        ("<filter name='x'>\n<!ENTITY a 'b'></filter>", 2, 1, "document type"),
        ("<domain/>", 1, 1, "root element"),
        ("<filter/>", 1, 1, "name"),
        ("<filter name='a b'/>", 1, 1, "name"),
        ("<filter name='x'>\n <a>\ud800</a></filter>", 2, 5, "character"),
        ("<filter name='x'>" + " " * filter_xml.MOST + "</filter>", 0, 0, "At most"),
        ("<filter name='x'>" + "<a/>" * filter_xml.MOST_ELEMENTS + "</filter>", 0, 0, "At most"),
    ],
)
def test_what_is_no_filter_is_said_with_the_place(text: str, line: int, column: int, message: str) -> None:
    with pytest.raises(filter_xml.Malformed, match=message) as caught:
        filter_xml.parse(text)
    assert (caught.value.line, caught.value.column) == (line, column)


@needs_schema
@pytest.mark.parametrize(
    ("before", "after", "found"),
    [
        ("action='accept'", "action='explode'", [(4, 3, "“explode” is not allowed for “action” in <rule>.")]),
        ("dstportstart='22'", "dstportstart='many'", [(5, 5, "“many” is not allowed for “dstportstart” in <tcp>.")]),
        ("dstportstart='22'", "colour='red'", [(5, 5, "“red” is not allowed for “colour” in <tcp>.")]),
        ("<tcp dstportstart='22'/>", "<ftp/>", [(5, 5, "<ftp> is not allowed in <rule>.")]),
        ("<filterref filter='no-mac-spoofing'/>", "<rules/>", [(3, 3, "<rules> is not allowed so.")]),
        ("direction='in' priority", "priority", [(4, 3, "<rule> is not allowed so.")]),
    ],
)
def test_what_the_schema_does_not_allow_is_said_with_the_place(before: str, after: str, found: list[Any]) -> None:
    assert filter_xml.findings(TEXT) == []
    assert [tuple(one) for one in filter_xml.findings(TEXT.replace(before, after)) or ()] == found


@needs_schema
def test_each_of_several_faults_is_said() -> None:
    text = TEXT.replace("'22'", "'many'").replace("</filter>", "  <rule action='no' direction='in'/>\n</filter>")
    assert [one.line for one in filter_xml.findings(text) or ()] == [5, 7]


def test_only_what_means_something_differs() -> None:
    assert filter_xml.diff(TEXT, TEXT.replace("\n", "").replace("  ", "")) == []
    assert [line for line in filter_xml.diff(TEXT, CHANGED) if line[0] in "+-"] == [
        '-    <tcp dstportstart="22"/>', '+    <tcp dstportstart="443"/>',
    ]  # fmt: skip
    assert filter_xml.uuid_of(filter_xml.parse(filter_xml.with_uuid("<filter name='x'/>", UUID))) == UUID
    assert filter_xml.with_uuid(TEXT, OTHER) == TEXT


# --- the mirror


def test_filters_come_change_and_go(host, row) -> None:
    assert (row.chain, row.references, row.absent_since) == ("root", ["no-mac-spoofing"], None)
    filter_inventory.filters_seen(host.pk, [FilterRecord(UUID, "mine", CHANGED)])
    row.refresh_from_db()
    assert "443" in row.definition and row.absent_since is None
    assert NetworkFilter.objects.get(uuid=OTHER).absent_since is not None
    filter_inventory.filters_seen(host.pk, [FilterRecord(UUID, "mine", "<filter name='mine'><oops></filter>")])
    row.refresh_from_db()
    assert (row.chain, row.references) == ("", []), "what cannot be read is shown all the same"


def test_a_host_without_filters_is_mirrored_all_the_same(host) -> None:
    import libvirt

    from hosts.hypervisor.filters import _read_filters

    assert _read_filters(libvirt.open("test:///default")) == []
    filter_inventory.filters_seen(host.pk, [])
    assert not NetworkFilter.objects.exists()


# --- the kinds


@pytest.mark.parametrize(
    ("definition", "message"),
    [
        ("", "needed"),
        (BOMB, "document type"),
        ("<filter name='x'>\n<", "line 2"),
        ("<filter name='x'><uuid>no</uuid></filter>", "no UUID"),
        (7, "needed"),
    ],
)
def test_what_is_no_filter_is_not_asked_for(host, actor, definition, message) -> None:
    with pytest.raises(InvalidArguments, match=message) as caught:
        queue.enqueue("filter-define", host, {"definition": definition}, actor)
    assert caught.value.field == "definition"


def test_a_new_filter_has_a_name_that_is_free_and_a_uuid_that_is_known_before(host, row, actor) -> None:
    with pytest.raises(NotNow, match="of that name"):
        queue.enqueue("filter-define", host, {"definition": TEXT}, actor)
    asked = queue.enqueue("filter-define", host, {"definition": "<filter name='fresh'/>"}, actor)
    assert filter_xml.uuid_of(filter_xml.parse(asked.arguments["definition"]))
    assert asked.virsh.startswith("virsh nwfilter-define /dev/stdin")


def test_an_edited_filter_keeps_its_name_and_its_uuid_and_is_made_from_what_is_now(row, actor) -> None:
    base = filter_xml.mark(row.definition)
    for definition, given, message in (
        (TEXT.replace("'mine'", "'yours'"), base, "keeps its name"),
        (TEXT.replace(UUID, OTHER), base, "keep the filter's UUID"),
        (CHANGED, "0" * 32, "changed meanwhile"),
    ):
        with pytest.raises(NotNow, match=message):
            queue.enqueue("filter-edit", row, {"definition": definition, "base": given}, actor)
    with pytest.raises(InvalidArguments):
        queue.enqueue("filter-edit", row, {"definition": CHANGED}, actor)
    asked = queue.enqueue("filter-edit", row, {"definition": CHANGED, "base": base}, actor)
    assert find_filter(asked) == row
    with pytest.raises(Refused, match="busy"):
        queue.enqueue("filter-delete", row, {}, actor)


def test_a_filter_in_use_is_not_deleted(host, row, actor) -> None:
    taken = NetworkFilter.objects.get(uuid=OTHER)
    with pytest.raises(Refused, match="mine"):
        queue.enqueue("filter-delete", taken, {}, actor)
    card = make_card(make_network(host), "web", filter="mine")
    with pytest.raises(Refused, match="web"):
        queue.enqueue("filter-delete", row, {}, actor)
    card.delete()
    assert queue.enqueue("filter-delete", row, {}, actor).virsh == "virsh nwfilter-undefine mine"


@pytest.mark.parametrize("role", ["viewer", "operator"])
def test_filters_are_an_administrators(people, host, row, role) -> None:
    client = browser(people[role])
    asked: tuple[tuple[str, Any, dict[str, Any]], ...] = (
        ("filter-delete", row, {}), ("filter-define", host, {"definition": "<filter name='x'/>"}),
        ("filter-edit", row, {"definition": CHANGED, "base": filter_xml.mark(TEXT)}),
    )  # fmt: skip
    for kind, one, arguments in asked:
        with pytest.raises(access.Denied):
            queue.enqueue(kind, one, arguments, Actor(people[role]))
    page = words(client.get(row.get_absolute_url()))
    assert "no-mac-spoofing" in page and "/edit/" not in page and "do/filter-delete" not in page
    for address in (DEFINE, f"{row.get_absolute_url()}edit/"):
        assert client.get(address).status_code == client.post(address, {"definition": TEXT}).status_code == 403
    assert client.post(f"{row.get_absolute_url()}do/filter-delete/", headers=HTMX).status_code == 403
    assert not Operation.objects.exists() and registry["filter-edit"].verb == "filter.edit"


# --- the pages


def test_filters_are_listed_with_who_uses_them(admin, host, row) -> None:
    make_card(make_network(host), "web <1>", filter="mine", active=True)
    listed = words(admin.get("/hosts/networks/filters/"))
    assert row.get_absolute_url() in listed and "no-mac-spoofing" in listed and '<td class="num">1</td>' in listed
    assert (
        "no-mac-spoofing"
        not in words(admin.get("/hosts/networks/filters/?q=min", headers={"HX-Target": "x"})).split("mine")[0]
    )
    page = words(admin.get(row.get_absolute_url()))
    for text in ("web &lt;1&gt;", "dstportstart=&#x27;22&#x27;", f"/{OTHER}/", "Delete filter"):
        assert text in page, text
    taken = words(admin.get(NetworkFilter.objects.get(uuid=OTHER).get_absolute_url()))
    assert row.get_absolute_url() in taken and "Other filters take it in" in taken
    assert admin.get(f"/hosts/networks/filters/kvm9/{UUID}/").status_code == 404


def test_an_edit_is_looked_at_before_it_is_saved(admin, row) -> None:
    address, base = f"{row.get_absolute_url()}edit/", filter_xml.mark(TEXT)
    assert "dstportstart" in words(admin.get(address))
    sent = {"definition": CHANGED.replace("\n", "\r\n"), "base": base}
    assert "Save" in words(admin.post(address, sent | {"do": "save", "seen": "x"})), "nothing unseen is saved"
    assert not Operation.objects.exists()
    shown = admin.post(address, sent)
    page = words(shown)
    assert "+    &lt;tcp dstportstart=&quot;443&quot;/&gt;" in page and shown.status_code == 200
    seen = page.split('name="seen" value="')[1].split('"')[0]
    assert admin.post(address, sent | {"do": "save", "seen": seen}).status_code == 302
    assert Operation.objects.get().arguments == {"definition": CHANGED, "base": base}


@needs_schema
def test_what_is_wrong_is_shown_with_a_way_to_the_place(admin, row) -> None:
    address, base = f"{row.get_absolute_url()}edit/", filter_xml.mark(TEXT)
    wrong = admin.post(address, {"definition": "<filter name='mine'>\n<", "base": base, "do": "save"})
    assert wrong.status_code == 422 and 'data-go-to-line="2"' in words(wrong)
    bomb = admin.post(address, {"definition": BOMB, "base": base})
    assert bomb.status_code == 422 and "document type" in words(bomb)
    against = words(admin.post(address, {"definition": TEXT.replace("'22'", "'many'"), "base": base}))
    assert 'data-go-to-line="5"' in against and "dstportstart" in against
    assert not Operation.objects.exists()


def test_the_second_of_two_editors_sees_how_the_two_differ(admin, host, row) -> None:
    address, base = f"{row.get_absolute_url()}edit/", filter_xml.mark(TEXT)
    filter_inventory.filters_seen(host.pk, [FilterRecord(UUID, "mine", TEXT.replace("'22'", "'8080'"))])
    page = words(admin.post(address, {"definition": CHANGED, "base": base}))
    assert "Somebody else changed this filter" in page and 'name="seen"' not in page
    assert "-    &lt;tcp dstportstart=&quot;8080&quot;/&gt;" in page and "443" in page
    now = page.split('name="base" value="')[2].split('"')[0]
    assert now == filter_xml.mark(TEXT.replace("'22'", "'8080'"))
    assert 'name="seen"' in words(admin.post(address, {"definition": CHANGED, "base": now}))


def test_a_new_filter_is_asked_for(admin, host) -> None:
    assert "no-mac-spoofing" in words(admin.get(DEFINE))
    text = "<filter name='fresh'/>"
    page = words(admin.post(DEFINE, {"definition": text, "on": "kvm1"}))
    seen = page.split('name="seen" value="')[1].split('"')[0]
    assert admin.post(DEFINE, {"definition": text, "on": "kvm1", "do": "save", "seen": seen}).status_code == 302
    assert Operation.objects.get().kind == "filter-define"
    assert admin.post(DEFINE, {"definition": text, "on": "kvm9"}).status_code == 404
