"""The list of guests: what it shows, to whom, and at what cost."""

from __future__ import annotations

import re
import uuid

import pytest
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from hosts import fragments
from hosts.models import Operation
from vms.models import VirtualMachine
from vms.tests.making import browser, make_guest, make_host

pytestmark = pytest.mark.django_db
LIST = "/vms/"


def test_every_role_sees_the_list_and_a_stranger_is_sent_to_the_login(people) -> None:
    make_guest(make_host())
    for role in ("administrator", "operator", "viewer"):
        page = browser(people[role]).get(LIST)
        assert page.status_code == 200
        assert "web-1" in page.content.decode()
    stranger = browser(None).get(LIST)
    assert stranger.status_code == 302
    assert stranger.url.startswith("/account/login/")


def test_a_viewer_is_offered_no_changes(people) -> None:
    make_guest(make_host())
    bar = browser(people["viewer"]).get(LIST).content.decode()
    assert 'hx-post="/vms/bulk/confirm/"' not in bar
    assert 'name="ids"' not in bar
    assert 'hx-post="/vms/bulk/confirm/"' in browser(people["operator"]).get(LIST).content.decode()


def test_a_row_shows_state_host_address_tags_and_what_is_being_done(people) -> None:
    host = make_host()
    vm = make_guest(host, tags=("prod",), folder="shop/front", title="Front", cpu_percent=12.5)
    Operation.objects.create(
        kind="migrate", state="running", subject_uuid=vm.pk, host=host, exclusive=True, progress={"percent": 43}
    )
    text = browser(people["viewer"]).get(LIST).content.decode()
    row = re.search(rf'<tr id="vm-row-{vm.uuid}".*?</tr>', text, re.DOTALL)[0]
    for words in (
        "Running",
        "kvm1",
        "10.0.0.7",
        "prod",
        "shop/front",
        "Front",
        "12.5 %",
        "256 MiB",
        "Migrate",
        "43.0 %",
    ):
        assert words in row, words


def test_names_titles_tags_and_folders_are_text_and_never_markup(people) -> None:
    evil = '<script>alert(1)</script>"><img src=x onerror=alert(1)>'
    make_guest(make_host(), name=evil, title=evil, folder=evil, tags=(evil[:40],), os_type=evil)
    client = browser(people["operator"])
    for address in (LIST, f"{LIST}?q=script", f"{LIST}?tag=<script>alert(1)</script>", f"{LIST}?state=<script>"):
        text = client.get(address).content.decode()
        assert "<script>alert" not in text
        assert "<img src=x" not in text


def test_guests_of_a_lost_host_stay_and_say_when_they_were_last_seen(people) -> None:
    vm = make_guest(make_host(state="unreachable"))
    text = browser(people["viewer"]).get(LIST).content.decode()
    row = re.search(rf'<tr id="vm-row-{vm.uuid}".*?</tr>', text, re.DOTALL)[0]
    assert "is-unseen" in row
    assert "Unreachable" in row
    assert "last seen" in row


def test_guests_that_are_gone_are_shown_only_when_asked_for(people) -> None:
    make_guest(None, name="lost-soul", absent_since=timezone.now())
    client = browser(people["viewer"])
    assert "lost-soul" not in client.get(LIST).content.decode()
    assert "lost-soul" in client.get(LIST, {"seen": "gone"}).content.decode()


@pytest.mark.parametrize(
    "query",
    [
        "page=0", "page=-1", "page=abc", "page=1e9", "page=99999999999999999999", "page=%00", "page=٣", "size=7",
        "size=1000000", "size=x", "sort=host__ssh_key", "sort=", "state=nope", "seen=x", "q=%00", "console=maybe",
        f"q={'a' * 300}", f"q={'a+' * 40}", "tag=%0a", "sort=--name", "q=" + "%25" * 190,
    ],
)  # fmt: skip
def test_hostile_addresses_get_a_clear_message_and_no_crash(people, query: str) -> None:
    make_guest(make_host())
    page = browser(people["viewer"]).get(f"{LIST}?{query}")
    assert page.status_code in (200, 400)
    if page.status_code == 400:
        assert 'role="alert"' in page.content.decode()


def test_a_page_beyond_the_last_shows_the_last(people) -> None:
    host = make_host()
    for number in range(30):
        make_guest(host, name=f"g-{number:02}", graphics=[], devices=[])
    text = browser(people["viewer"]).get(LIST, {"size": "25", "page": "9"}).content.decode()
    assert "g-29" in text
    assert "g-00</a>" not in re.search(r"<tbody>.*</tbody>", text, re.DOTALL)[0]


def test_the_table_alone_is_read_again_when_only_that_is_asked_for(people) -> None:
    make_guest(make_host())
    part = browser(people["viewer"]).get(LIST, headers={"HX-Request": "true", "HX-Target": "vm-list"})
    text = part.content.decode().strip()
    assert text.startswith('<section class="panel is-filling" id="vm-list"')
    assert "<html" not in text


def test_chosen_columns_come_from_the_cookie_and_nonsense_in_it_is_passed_over(people) -> None:
    make_guest(make_host(), os_type="debian/12")
    client = browser(people["viewer"])
    client.cookies["columns_vms"] = "os.cpu.<script>.nonsense"
    text = client.get(LIST).content.decode()
    heads = re.findall(r'<th [^>]*data-col="(\w+)"', text)
    assert heads == ["name", "state", "operation", "cpu", "os"]
    body = re.search(r"<tbody>.*?</tbody>", text, re.DOTALL)[0]
    assert sorted(re.findall(r'<td [^>]*data-col="(\w+)"', body)) == sorted(heads)


def test_the_pushed_row_is_the_row_of_the_page(people, client) -> None:
    vm = make_guest(make_host(), tags=("prod",))
    client = browser(people["operator"])
    client.cookies["columns_vms"] = ".".join(
        [
            "host",
            "addresses",
            "cpu",
            "memory_used",
            "memory",
            "vcpus",
            "tags",
            "folder",
            "since",
            "autostart",
            "os",
            "seen",
        ]
    )
    page = client.get(LIST).content.decode()
    pushed = fragments.render(f"vm-row:{vm.uuid}", people["operator"], "en")
    assert pushed is not None
    assert squeezed(pushed) in squeezed(page)


def squeezed(text: str) -> str:
    without_ages = re.sub(r"(<time[^>]*>)[^<]*(</time>)", r"\1\2", text)
    return re.sub(r"\s+", " ", without_ages).strip()


@pytest.mark.parametrize("identifier", ["", "x", "../../etc", str(uuid.UUID(int=7)), "'" * 100])
def test_fragments_of_what_is_not_there_are_nothing(people, identifier: str) -> None:
    for name in ("vm-row", "vm-head", "vm-operation", "vm-facts", "vm-picture", "vm-devices", "vm-definition"):
        assert fragments.render(f"{name}:{identifier}", people["viewer"], "en") is None


def count_of_queries(user, number: int, django_db) -> int:
    with CaptureQueriesContext(django_db) as queries:
        page = browser(user).get(LIST, {"size": "200"})
    assert page.content.decode().count("data-row-opens") == number
    assert not [query["sql"] for query in queries if "live_definition" in query["sql"]]
    return len(queries)


def test_two_hundred_guests_cost_as_many_queries_as_ten(people, django_assert_max_num_queries) -> None:
    from django.db import connection

    hosts = [make_host(f"kvm{number}") for number in range(4)]

    def add(first: int, last: int) -> None:
        for number in range(first, last):
            vm = make_guest(hosts[number % 4], name=f"g-{number}", tags=("prod", f"team {number % 5}"), folder="a/b")
            Operation.objects.create(kind="start", state="running", subject_uuid=vm.pk, host=vm.host)

    add(0, 10)
    few = count_of_queries(people["operator"], 10, connection)
    add(10, 200)
    with django_assert_max_num_queries(40):
        many = count_of_queries(people["operator"], 200, connection)
    assert many <= few


def test_the_table_reads_neither_definitions_nor_devices(people) -> None:
    from django.db import connection

    make_guest(make_host())
    with CaptureQueriesContext(connection) as queries:
        browser(people["viewer"]).get(LIST, headers={"HX-Target": "vm-list"})
    rows = [query["sql"] for query in queries if '"cpu_percent"' in query["sql"] and "COUNT" not in query["sql"]]
    assert rows
    assert not any(f'"{column}"' in sql for sql in rows for column in ("devices", "disks", "nics", "description"))


def test_an_empty_cluster_and_an_empty_search_teach_the_next_step(people) -> None:
    client = browser(people["viewer"])
    assert reverse("hosts:list") in client.get(LIST).content.decode()
    make_guest(make_host())
    assert "No machine matches" in client.get(LIST, {"q": "zebra"}).content.decode()


def test_rows_are_counted_right_under_every_filter(people) -> None:
    host = make_host()
    for number in range(3):
        make_guest(host, name=f"g-{number}", tags=("a", "b"))
    text = browser(people["viewer"]).get(LIST, {"tag": "a", "sort": "tags"}).content.decode()
    assert "1–3 of 3" in text
    assert VirtualMachine.objects.count() == 3
