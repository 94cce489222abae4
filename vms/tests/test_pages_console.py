"""The console's page and its tickets: who gets what, and when there is none."""

from __future__ import annotations

import json
import re
import uuid

import pytest
from django.test import Client
from django.utils import timezone
from structlog.testing import capture_logs

from hosts import fragments
from hosts.models import AuditEntry
from vms.models import ConsoleSession, ConsoleTicket, VirtualMachine
from vms.tests.making import browser, make_guest, make_host

pytestmark = pytest.mark.django_db
WATCHERS = ("administrator", "operator", "viewer-watching")


@pytest.fixture
def guest(db: None) -> VirtualMachine:
    return make_guest(make_host())


def window(vm: VirtualMachine) -> str:
    return f"/vms/{vm.uuid}/console/window/"


def ticket(vm: VirtualMachine) -> str:
    return f"/vms/{vm.uuid}/console/ticket/"


def both_pages(client: Client, vm: VirtualMachine) -> list[str]:
    return [client.get(address).content.decode() for address in (f"/vms/{vm.uuid}/console/", window(vm))]


def ticket_of(answer) -> str:
    found = re.fullmatch(r"/ws/console/\?ticket=([\w-]{43})", answer.json()["url"])
    assert found, answer.content
    return found[1]


@pytest.mark.parametrize("role", WATCHERS)
def test_those_who_may_open_consoles_get_the_tab_and_the_window(people, guest, role: str) -> None:
    for text in both_pages(browser(people[role]), guest):
        assert f'data-console="{guest.uuid}"' in text
        assert f'data-ticket-url="{ticket(guest)}"' in text
        assert f'data-live="console-watchers:{guest.uuid}"' in text


def test_a_viewer_gets_neither_page_nor_ticket(people, guest) -> None:
    client = browser(people["viewer"])
    assert client.get(window(guest)).status_code == 403
    assert "data-console=" not in client.get(f"/vms/{guest.uuid}/console/").content.decode()
    assert client.post(ticket(guest)).status_code == 403
    assert client.post(ticket(guest), {"view_only": "1"}).status_code == 403
    assert not ConsoleTicket.objects.exists()


def test_strangers_are_sent_to_the_login(guest) -> None:
    for answer in (browser(None).get(window(guest)), browser(None).post(ticket(guest))):
        assert answer.status_code == 302
        assert answer["Location"].startswith("/account/login/")
    assert browser(None).post(ticket(guest), headers={"HX-Request": "true"}).status_code == 401


@pytest.mark.parametrize(
    ("role", "asked", "given"),
    [
        ("administrator", "0", False),
        ("operator", "0", False),
        ("operator", "1", True),
        ("viewer-watching", "0", True),
        ("viewer-watching", "1", True),
        ("viewer-watching", "no", True),
    ],
)
def test_a_ticket_is_for_watching_when_asked_or_when_the_role_says_so(
    people, guest, role: str, asked: str, given: bool
) -> None:
    answer = browser(people[role]).post(ticket(guest), {"view_only": asked})
    assert answer.status_code == 200
    assert answer.json() == {"url": answer.json()["url"], "view_only": given, "name": "web-1"}
    row = ConsoleTicket.redeem(ticket_of(answer))
    assert row is not None
    assert (row.user, row.vm, row.view_only, row.address) == (people[role], guest, given, "127.0.0.1")
    assert row.session_key


def test_every_ticket_is_another_one_and_none_is_cached(people, guest) -> None:
    client = browser(people["operator"])
    answers = [client.post(ticket(guest)) for _ in range(3)]
    assert len({ticket_of(answer) for answer in answers}) == 3
    assert all("no-store" in answer["Cache-Control"] for answer in answers)


def test_who_only_watches_is_offered_no_keys(people, guest) -> None:
    for text in both_pages(browser(people["viewer-watching"]), guest):
        assert 'data-may-act="no"' in text
        for part in ("data-console-keys", "data-console-type", "data-console-clipboard", 'data-console-do="view-only"'):
            assert part not in text
    for text in both_pages(browser(people["operator"]), guest):
        assert 'data-may-act="yes"' in text
        assert 'data-console-keys="Control Alt F12"' in text


@pytest.mark.parametrize(
    ("columns", "reason"),
    [
        ({"power_state": "shutoff"}, "web-1 is not running."),
        ({"graphics": []}, "web-1 has no VNC screen."),
        ({"absent_since": timezone.now()}, "web-1 is on no host."),
    ],
)
def test_without_a_screen_the_ticket_is_refused_with_the_reason(people, columns, reason: str) -> None:
    vm = make_guest(make_host(), **columns)
    answer = browser(people["operator"]).post(ticket(vm))
    assert (answer.status_code, answer.content.decode()) == (409, reason)
    assert answer["Content-Type"].startswith("text/plain")
    assert browser(people["operator"]).get(window(vm)).status_code == 200


def test_a_host_that_cannot_be_reached_gives_no_ticket(people) -> None:
    vm = make_guest(make_host(state="unreachable"))
    answer = browser(people["operator"]).post(ticket(vm))
    assert answer.status_code == 409
    assert "kvm1" in answer.content.decode()


@pytest.mark.parametrize("key", [str(uuid.UUID(int=7)), "..%2f..", "x' or 1=1", "0" * 32, "%00"])
@pytest.mark.parametrize("part", ["window/", "ticket/"])
def test_a_hostile_or_unknown_uuid_is_not_found(people, key: str, part: str) -> None:
    client = browser(people["administrator"])
    address = f"/vms/{key}/console/{part}"
    answer = client.post(address) if part == "ticket/" else client.get(address)
    assert answer.status_code == 404


def test_tickets_are_asked_for_with_post_and_a_csrf_token(people, guest) -> None:
    assert browser(people["operator"]).get(ticket(guest)).status_code == 405
    assert browser(people["operator"]).post(window(guest)).status_code == 405
    client = Client(enforce_csrf_checks=True)
    client.force_login(people["operator"], backend="allauth.account.auth_backends.AuthenticationBackend")
    assert client.post(ticket(guest)).status_code == 403
    assert not ConsoleTicket.objects.exists()
    token = re.search(r'data-csrf="(\w+)"', client.get(window(guest)).content.decode())
    assert token
    assert client.post(ticket(guest), headers={"X-CSRFToken": token[1]}).status_code == 200


def test_a_ticket_stands_in_no_page_no_log_and_no_record(people, guest) -> None:
    client = browser(people["operator"])
    with capture_logs() as logs:
        text = ticket_of(client.post(ticket(guest)))
    assert {"console.ticket", "answered"} <= {line["event"] for line in logs}
    for place in (json.dumps(logs, default=str), *both_pages(client, guest)):
        assert text not in place
    rows = [*ConsoleTicket.objects.values(), *AuditEntry.objects.values()]
    assert text not in json.dumps(rows, default=str)


def test_who_has_the_console_open_is_drawn_and_pushed_alike(people, guest) -> None:
    client = browser(people["viewer-watching"])
    assert "Nobody has this console open." in both_pages(client, guest)[1]
    ConsoleSession.objects.create(user=people["operator"], vm=guest, view_only=False, gateway="g")
    ConsoleSession.objects.create(user=people["viewer-watching"], vm=guest, view_only=True, gateway="g")
    ConsoleSession.objects.create(user=people["administrator"], vm=guest, gateway="g", closed_at=timezone.now())
    pushed = fragments.render(f"console-watchers:{guest.uuid}", people["viewer"], "en")
    assert pushed is not None
    for text in (*[page[page.index('id="console-watchers"') :] for page in both_pages(client, guest)], pushed):
        names = re.findall(r"<strong>([\w-]+)</strong>\s*<span>([\w ]+)</span>", text)
        assert names == [("operator", "at the keyboard"), ("viewer-watching", "watches")]


def test_who_watches_is_told_anew_when_a_console_opens_or_closes(people, guest) -> None:
    piece = fragments.registry["console-watchers"]
    assert piece.topics(str(guest.uuid)) == [f"console:{guest.uuid}"]
    assert fragments.may_watch(people["viewer"], f"console-watchers:{guest.uuid}")
    assert fragments.render("console-watchers:nonsense", people["viewer"], "en") is None


def test_names_of_machines_are_escaped_everywhere(people) -> None:
    vm = make_guest(make_host(), name="\"><script>alert('x')</script>")
    for text in both_pages(browser(people["operator"]), vm):
        assert "<script>alert" not in text
