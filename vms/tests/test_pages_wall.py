"""The console wall: whose screens are shown to whom, how old the pictures are, and how many a host is asked for."""

from __future__ import annotations

import uuid

import pytest
from django.core.cache import cache
from django.utils import timezone

from hosts import access, fragments
from vms import inventory
from vms.models import VirtualMachine
from vms.tests.making import browser, make_guest, make_host
from vms.views.wall import MOST

pytestmark = pytest.mark.django_db
PNG = b"\x89PNG\r\n\x1a\n" + bytes(20)


@pytest.fixture(autouse=True)
def empty_cache():
    cache.clear()


def shown(client, *guests: object) -> str:
    return client.get("/vms/wall/", {"ids": [getattr(one, "pk", one) for one in guests]}).content.decode()


@pytest.mark.parametrize(
    ("role", "may"), [("administrator", True), ("operator", True), ("viewer-watching", True), ("viewer", False)]
)
def test_the_wall_is_for_those_who_may_watch_consoles(people, role: str, may: bool) -> None:
    vm = make_guest(make_host(), "alpha")
    answer = browser(people[role]).get("/vms/wall/", {"ids": str(vm.pk)})
    assert (answer.status_code == 200) is may
    assert (f'data-live="vm-tile:{vm.pk}"' in answer.content.decode()) is may
    assert access.may(people[role], "vm.console_view") is may
    assert ("data-open-chosen" in browser(people[role]).get("/vms/").content.decode()) is may


def test_the_chosen_are_shown_in_their_order_each_once_and_nonsense_is_left_out(people) -> None:
    host = make_host()
    first, second, other = (make_guest(host, name) for name in ("alpha", "beta", "gamma"))
    text = shown(browser(people["operator"]), second, first, second, uuid.uuid4(), "<script>", "")
    assert text.index(f'id="tile-{second.pk}"') < text.index(f'id="tile-{first.pk}"')
    assert text.count(f'id="tile-{second.pk}"') == 1
    assert f"tile-{other.pk}" not in text


def test_without_chosen_guests_the_page_says_how_to_choose(people) -> None:
    assert "Console wall" in shown(browser(people["operator"]))
    assert "tile-" not in shown(browser(people["operator"]))


def test_no_more_are_shown_than_can_be_told_apart(people) -> None:
    host = make_host()
    guests = [make_guest(host, f"g{number}") for number in range(MOST + 3)]
    text = shown(browser(people["operator"]), *guests)
    assert text.count('class="tile"') == MOST
    assert "3 more were chosen" in text


def test_a_tile_shows_the_picture_and_when_it_was_taken(people) -> None:
    vm = make_guest(make_host(), "alpha")
    assert "Taking a picture" in shown(browser(people["operator"]), vm)
    inventory.picture_seen(str(vm.pk), "image/png", PNG)
    text = shown(browser(people["operator"]), vm)
    assert "screenshot.png?d=" in text and "taken" in text
    taken = inventory.picture_taken_at(str(vm.pk))
    assert taken is not None and taken <= timezone.now()
    VirtualMachine.objects.update(power_state="shutoff")
    assert "screenshot.png" not in shown(browser(people["operator"]), vm)


def test_pictures_are_taken_only_of_what_somebody_looks_at(people) -> None:
    host = make_host()
    chosen, other = make_guest(host, "alpha"), make_guest(host, "beta")
    assert inventory.wanted_pictures(host.pk) == []
    shown(browser(people["viewer"]), chosen)
    assert inventory.wanted_pictures(host.pk) == []
    shown(browser(people["viewer-watching"]), chosen)
    assert inventory.wanted_pictures(host.pk) == [str(chosen.pk)]
    assert str(other.pk) not in inventory.wanted_pictures(host.pk)


def test_a_host_is_asked_for_so_many_at_a_time_and_the_oldest_come_first(people, monkeypatch) -> None:
    monkeypatch.setattr(inventory, "PICTURES_AT_ONCE", 2)
    host = make_host()
    guests = [make_guest(host, f"g{number}") for number in range(5)]
    shown(browser(people["operator"]), *guests)
    seen: list[str] = []
    for _round in range(3):
        wanted = inventory.wanted_pictures(host.pk)
        assert len(wanted) == 2
        for one in wanted:
            inventory.picture_seen(one, "image/png", PNG)
        seen += wanted
    assert set(seen) == {str(vm.pk) for vm in guests}


def test_a_pushed_tile_is_what_the_page_shows_and_not_for_those_who_may_not_watch(people) -> None:
    vm = make_guest(make_host(), "alpha")
    key = f"vm-tile:{vm.pk}"
    assert f'data-live="{key}"' in str(fragments.render(key, people["operator"], "en"))
    watchers = [role for role, user in people.items() if fragments.may_watch(user, key)]
    assert sorted(watchers) == ["administrator", "operator", "viewer-watching"]
