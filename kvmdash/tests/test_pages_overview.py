"""The first page, the palette and the tree: what they show, to whom, and at what cost."""

from __future__ import annotations

import re
import time
import uuid
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from hosts import figures, fragments
from hosts.models import Alarm, Host, Network, Operation, Sample, StoragePool, StorageVolume
from kvmdash import shell
from kvmdash.views import pattern_of
from vms.models import VirtualMachine
from vms.tests.making import browser, make_guest, make_host, sighted

pytestmark = pytest.mark.django_db(databases=["default", "metrics"])
PARTS = ("numbers", "capacity", "hosts", "guests", "operations", "alarms")


def words(response: Any) -> str:
    return re.sub(r"\s+", " ", response.content.decode())


def part(name: str, user: Any) -> str:
    html = fragments.render(f"overview-{name}:all", user, "en")
    assert html is not None
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", html))


def test_every_role_sees_the_overview_and_a_stranger_the_login(people) -> None:
    make_guest(make_host())
    for role in ("administrator", "operator", "viewer"):
        assert browser(people[role]).get("/").status_code == 200
    assert browser(None).get("/").status_code == 302


def test_an_address_that_leads_nowhere_leaves_the_way_on_in_sight(people) -> None:
    for address, sentence in (
        ("/no/such/page/", "The address is wrong"),
        (f"/vms/{uuid.uuid4()}/", "There is no such machine."),
    ):
        answer = browser(people["viewer"]).get(address)
        text = words(answer)
        assert answer.status_code == 404
        assert sentence in text
        assert 'id="drawer"' in text and 'id="tree"' in text
        assert "Resolver404" not in text


def test_the_three_numbers_count_what_answers(people) -> None:
    one = make_host("kvm1", cpus=8)
    make_guest(one, "a", vcpus=4, memory=2**31)
    make_guest(one, "b", power_state="shutoff", vcpus=16, memory=2**33)
    make_guest(make_host("kvm2", state="unreachable"), "c")
    text = part("numbers", people["viewer"])
    assert "Machines running 1 / 3" in text
    assert "Hosts answering 1 / 2" in text
    assert "8 GiB / 16 GiB" in text
    assert "2 GiB promised" in text
    assert "1 on a host that does not answer" in text


def test_a_guest_on_the_move_is_counted_among_those_that_run(people) -> None:
    one = make_host("kvm1")
    make_guest(one, "a")
    make_guest(one, "b", power_state="migrating")
    assert "Machines running 2 / 2" in part("numbers", people["viewer"])


def test_capacity_counts_storage_once_however_many_hosts_share_it(people) -> None:
    one, two, lost = make_host("kvm1", cpus=8, cpu_percent=50.0), make_host("kvm2"), make_host("kvm3", state="silent")
    make_guest(one, "a", vcpus=4, memory=2**31)
    sizes = {"capacity": 2**40, "allocation": 2**38, "available": 2**40 - 2**38, "active": True}
    for host in (one, two, lost):
        pool = StoragePool.objects.create(
            host=host, name="nfs", uuid=uuid.uuid4(), shared_key="nfs:server/export", **sizes
        )
        StorageVolume.objects.create(pool=pool, name="disk", capacity=2**39)
    # Two folders of one file system, read a moment apart.
    for name, free in (("images", 7), ("isos", 2**30)):
        StoragePool.objects.create(
            host=two, name=name, type="dir", uuid=uuid.uuid4(), **sizes | {"available": free}
        )  # fmt: skip
    StoragePool.objects.create(host=two, name="off", uuid=uuid.uuid4(), **sizes | {"active": False})
    text = part("capacity", people["viewer"])
    assert "50.0 % · 4 vCPU on 8" in text
    assert "16 GiB · 2 GiB / 32 GiB" in text
    assert "512 GiB · 512 GiB / 2 TiB" in text


def test_disks_of_one_size_with_other_room_are_two(people) -> None:
    host = make_host("kvm1")
    for number in (1, 2):
        StoragePool.objects.create(
            host=host, name=f"disk{number}", type="dir", uuid=uuid.uuid4(), active=True,
            capacity=2**40, allocation=number * 2**37, available=2**40 - number * 2**37,
        )  # fmt: skip
    assert "384 GiB · 0 B / 2 TiB" in part("capacity", people["viewer"])


def test_what_no_host_measures_is_not_said_to_be_nothing(people) -> None:
    make_host("kvm1", memory_used=None)
    assert "Memory used – / 16 GiB" in part("numbers", people["viewer"])


def test_a_host_that_was_disabled_is_not_counted_among_those_that_should_answer(people) -> None:
    make_host("kvm1")
    make_host("kvm2", state="disabled", enabled=False)
    text = part("numbers", people["viewer"])
    assert "Hosts answering 1 / 1 all of them" in text


def test_a_manager_sees_numbers_and_a_trend_first_and_nothing_to_press(people) -> None:
    make_guest(make_host())
    page = browser(people["viewer"]).get("/").content.decode()
    main = page[page.index('<main id="page"') : page.index("</main>")]
    assert "<button" not in main
    assert (
        main.index('id="overview-numbers"') < main.index('data-chart="cluster:all"') < main.index('id="overview-hosts"')
    )
    operator = browser(people["operator"]).get("/").content.decode()
    assert "data-range-choice" in operator


def test_guests_on_lost_hosts_are_counted_as_unreachable_and_not_as_running(people) -> None:
    make_guest(make_host("kvm1"), "a")
    make_guest(make_host("kvm2", state="silent"), "b")
    text = part("guests", people["viewer"])
    assert re.search(r"Running 1 .*Unreachable 1 ", text)


def test_the_links_of_the_states_lead_to_lists_that_exist(people) -> None:
    make_guest(make_host("kvm1"), "a")
    make_guest(make_host("kvm2", state="silent"), "b")
    client = browser(people["viewer"])
    html = fragments.render("overview-guests:all", people["viewer"], "en") or ""
    links = re.findall(r'href="([^"]+)"', html)
    assert len(links) == 3
    assert all(client.get(link).status_code == 200 for link in links)


def test_alarms_running_and_ended_operations_are_shown(people) -> None:
    host = make_host()
    Operation.objects.create(
        kind="host-refresh", host=host, host_name="kvm1", state="running", progress={"percent": 40}
    )
    Operation.objects.create(
        kind="host-test", host=host, host_name="kvm1", state="failed", error={"message": "No answer."}
    )
    assert "Nothing needs you now" in part("alarms", people["viewer"])
    Alarm.objects.create(key="x", kind="host-lost", level="critical", host=host, facts={"text": "It hangs."})
    assert "It hangs." in part("alarms", people["viewer"])
    text = part("operations", people["viewer"])
    assert "40.0 %" in text
    assert "No answer." in text


def test_an_empty_cluster_teaches_the_administrator_the_next_step(people) -> None:
    assert "/hosts/add/" in words(browser(people["administrator"]).get("/"))
    assert "/hosts/add/" not in words(browser(people["viewer"]).get("/"))


def test_every_piece_of_the_overview_is_pushed_as_the_page_has_it(people) -> None:
    make_guest(make_host())
    page = words(browser(people["viewer"]).get("/"))
    for name in PARTS:
        html = fragments.render(f"overview-{name}:all", people["viewer"], "en")
        assert html is not None
        assert f'data-live="overview-{name}:all"' in html
        assert f'id="overview-{name}"' in page


def test_the_trend_weighs_processors_and_adds_memory(people) -> None:
    big, small = make_host("big", cpus=30), make_host("small", cpus=10)
    at = int(time.time()) // 30 * 30 - 120
    for host, cpu in ((big, 10.0), (small, 50.0)):
        Sample.objects.create(subject=f"host:{host.pk}", step=30, at=at, cpu=cpu, memory=2**30)
    Sample.objects.create(subject="vm:x", step=30, at=at, cpu=99, memory=2**30)
    answer = browser(people["viewer"]).get("/overview/history.json?range=1h").json()
    assert answer == {"step": 30, "t": [at], "series": {"cpu": [20.0], "mem_used": [2.0 * 2**30]}}
    assert set(answer) == set(figures.history(f"host:{big.pk}", 3600))


def test_a_range_that_is_not_kept_is_refused_with_a_sentence(people) -> None:
    answer = browser(people["viewer"]).get("/overview/history.json?range=99y")
    assert answer.status_code == 400
    assert "14d" in answer.json()["detail"]


def fill(hosts: int, guests: int) -> None:
    made = [make_host(f"kvm{number}") for number in range(Host.objects.count(), hosts)]
    for host in made:
        VirtualMachine.objects.bulk_create(
            VirtualMachine(name=f"{host.name}-g{number}", host=host, power_state="running") for number in range(guests)
        )


@pytest.mark.parametrize("address", ["/", "/palette/?q=kvm", "/palette/?q=start+kvm1-g0", "/palette/?q=g1"])
def test_many_hosts_cost_as_many_queries_as_few(people, address: str) -> None:
    client = browser(people["administrator"])

    def cost() -> int:
        with CaptureQueriesContext(connection) as queries:
            client.get(address)
        heavy = [query["sql"] for query in queries if '"ssh_key"' in query["sql"] or "live_definition" in query["sql"]]
        assert not heavy or address != "/"
        return len(queries)

    fill(hosts=12, guests=5)
    client.get(address)
    few = cost()
    fill(hosts=40, guests=5)
    assert cost() <= few


# --- the tree ---


def test_a_small_host_carries_its_guests_and_a_big_one_is_read_when_it_is_opened(people) -> None:
    fill(hosts=1, guests=3)
    big = make_host("big")
    VirtualMachine.objects.bulk_create(
        VirtualMachine(name=f"b{number:03}", host=big, power_state="running") for number in range(shell.TREE_GUESTS + 1)
    )
    client = browser(people["viewer"])
    page = client.get("/hosts/").content.decode()
    assert page.count('id="tree-vm-') == 3
    assert f'data-lazy="/tree/{big.pk}/"' in page
    opened = client.get(f"/tree/{big.pk}/").content.decode()
    assert opened.count('id="tree-vm-') == shell.TREE_GUESTS + 1
    assert "<html" not in opened
    assert client.get("/tree/999999/").status_code == 404
    assert browser(None).get(f"/tree/{big.pk}/").status_code == 302


def test_five_thousand_guests_stand_on_no_page(people, django_assert_max_num_queries) -> None:
    fill(hosts=60, guests=90)
    client = browser(people["viewer"])
    client.get("/hosts/")
    with django_assert_max_num_queries(30):
        page = client.get("/hosts/").content.decode()
    assert 'id="tree-vm-' not in page
    assert page.count("data-lazy=") == 60
    assert len(page) < 400_000


def test_a_pushed_host_of_the_tree_looks_as_in_the_whole_tree(people) -> None:
    fill(hosts=2, guests=3)
    user = people["viewer"]
    whole = fragments.render("tree:all", user, "en") or ""
    for host in Host.objects.all():
        one = fragments.render(f"tree-host:{host.pk}", user, "en") or "?"
        assert re.sub(r"\s+", " ", one).strip() in re.sub(r"\s+", " ", whole)
        assert shell.tree_host(host, user) in shell.tree(user)


# --- the palette ---


def results(people: Any, role: str, query: str) -> list[tuple[str, str]]:
    text = browser(people[role]).get("/palette/", {"q": query}).content.decode()
    found = re.findall(r'href="([^"]+)">.*?palette-label">([^<]*)<', text, re.DOTALL)
    return [(label, url) for url, label in found]


def test_the_palette_finds_guests_hosts_pools_networks_and_pages(people) -> None:
    host = make_host("kvm1")
    vm = make_guest(host, "web-1")
    StoragePool.objects.create(host=host, name="images", uuid=uuid.uuid4())
    Network.objects.create(host=host, name="default", uuid=uuid.uuid4())
    assert ("web-1", f"/vms/{vm.pk}/") in results(people, "viewer", "web")
    assert ("web-1", f"/vms/{vm.pk}/") in results(people, "viewer", "10.0.0.7")
    assert ("kvm1", "/hosts/kvm1/") in results(people, "viewer", "kvm1")
    assert ("images", "/hosts/kvm1/storage/") in results(people, "viewer", "imag")
    assert ("default", "/hosts/kvm1/networks/") in results(people, "viewer", "defau")
    assert ("Storage", "/hosts/storage/") in results(people, "viewer", "stor")


def test_the_nearest_name_stands_first(people) -> None:
    host = make_host()
    for name in ("a-web", "web-2", "web"):
        make_guest(host, name)
    assert [label for label, _url in results(people, "viewer", "web")][:3] == ["web", "web-2", "a-web"]


def test_actions_are_offered_by_right_and_by_state(people) -> None:
    host = make_host()
    off = make_guest(host, "web-1", power_state="shutoff")
    on = make_guest(host, "db-1")
    assert ("Start web-1", f"/palette/{off.pk}/start/") in results(people, "operator", "start web")
    assert ("Migrate db-1", f"/vms/{on.pk}/do/migrate/") in results(people, "operator", "migrate db")
    assert not [label for label, _url in results(people, "operator", "start db") if label.startswith("Start ")]
    assert not [label for label, _url in results(people, "viewer", "start web") if label.startswith("Start ")]


def test_pages_are_offered_by_right(people) -> None:
    assert "Add a host" in dict(results(people, "administrator", "add host"))
    assert "Add a host" not in dict(results(people, "operator", "add host"))
    assert "Overview" in dict(results(people, "viewer", ""))


def test_following_every_result_changes_nothing(people) -> None:
    host = make_host()
    make_guest(host, "web-1", power_state="shutoff")
    make_guest(host, "web-2")
    client = browser(people["administrator"])
    for query in ("web", "start web", "web shut", "reset web", "force web", "kvm1", ""):
        for _label, url in results(people, "administrator", query):
            assert client.get(url).status_code == 200, url
    assert not Operation.objects.exists()


def test_the_page_of_confirmation_says_what_will_be_done_and_asks_by_post(people) -> None:
    vm = make_guest(make_host(), "web-1", power_state="shutoff")
    text = words(browser(people["operator"]).get(f"/palette/{vm.pk}/start/"))
    assert f'method="post" action="/vms/{vm.pk}/do/start/"' in text
    assert "csrfmiddlewaretoken" in text
    assert "virsh start" in text
    assert browser(people["viewer"]).get(f"/palette/{vm.pk}/start/").status_code == 404
    assert browser(people["operator"]).get(f"/palette/{vm.pk}/explode/").status_code == 404
    assert browser(people["operator"]).get(f"/palette/{uuid.uuid4()}/start/").status_code == 404


def test_the_page_of_confirmation_wants_the_name_before_something_is_lost(people) -> None:
    vm = make_guest(make_host(), "web-1")
    text = words(browser(people["operator"]).get(f"/palette/{vm.pk}/destroy/"))
    assert re.search(r'<input type="text" id="confirm-word"[^>]* required pattern="web\\x2d1"', text)
    assert "confirm-word" not in words(browser(people["operator"]).get(f"/palette/{vm.pk}/suspend/"))


def test_a_pattern_stands_for_its_word_alone() -> None:
    for word in ("web-1", "a.b", "x+(y)[z]{2}|\\/^$*?", "größe"):
        assert re.fullmatch(pattern_of(word), word)
    assert not re.fullmatch(pattern_of("a.b"), "axb")


def test_the_console_is_offered_to_those_who_may_open_it_while_there_is_something_to_see(people) -> None:
    host = make_host()
    on, off = make_guest(host, "web-1"), make_guest(host, "db-1", power_state="shutoff")
    assert ("Console web-1", f"/vms/{on.pk}/console/") in results(people, "operator", "web")
    assert ("Console web-1", f"/vms/{on.pk}/console/") in results(people, "operator", "web cons")
    assert ("Console web-1", f"/vms/{on.pk}/console/") in results(people, "viewer-watching", "console web")
    assert not [label for label, _url in results(people, "viewer", "console web") if label.startswith("Console ")]
    assert f"/vms/{off.pk}/console/" not in dict(results(people, "operator", "console db")).values()


@pytest.mark.parametrize("query", ["\x00", "%" * 200, "'; --", "<script>alert(1)</script>", "a" * 5000, "\\", "_", "١"])
def test_hostile_words_find_nothing_and_break_nothing(people, query: str) -> None:
    make_guest(make_host(), "<script>alert(1)</script>")
    answer = browser(people["viewer"]).get("/palette/", {"q": query})
    assert answer.status_code == 200
    assert "<script>" not in answer.content.decode()


def test_a_stranger_searches_nothing(people) -> None:
    assert browser(None).get("/palette/?q=web").status_code == 302


# --- a removed host ---


def test_guests_of_a_removed_host_are_gone_unless_another_host_holds_them(people) -> None:
    one, two = make_host("kvm1"), make_host("kvm2")
    lost, shared = make_guest(one, "lost"), make_guest(one, "shared")
    sighted(shared, two, "shutoff")
    answer = browser(people["administrator"]).post("/hosts/kvm1/remove/", {"name": "kvm1"})
    assert answer.status_code == 302
    lost.refresh_from_db()
    shared.refresh_from_db()
    assert (lost.host, lost.absent_since is None) == (None, False)
    assert (shared.host, shared.absent_since) == (two, None)
    page = browser(people["viewer"])
    assert "lost" in words(page.get("/vms/?seen=gone"))
    assert page.get("/").status_code == 200
