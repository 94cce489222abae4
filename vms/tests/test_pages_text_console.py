"""The page of text consoles, their tickets and their logs: who gets what, and as what."""

from __future__ import annotations

import re

import pytest
from django.test import Client

from hosts.models import AuditEntry
from vms.console.serial import journal
from vms.models import ConsoleTicket, VirtualMachine
from vms.tests.console.texts import SERIAL
from vms.tests.making import browser, make_guest, make_host

pytestmark = pytest.mark.django_db
WATCHERS = ("administrator", "operator", "viewer-watching")


@pytest.fixture
def guest(db: None) -> VirtualMachine:
    vm = make_guest(make_host(), "we\"b/1'\r\n")
    vm.sightings.update(live_definition=SERIAL)
    return vm


def page(client: Client, vm: VirtualMachine, query: str = "") -> str:
    return client.get(f"/vms/{vm.uuid}/serial/{query}").content.decode()


def fetch(client: Client, vm: VirtualMachine, **fields: str):
    return client.post(f"/vms/{vm.uuid}/console/serial/log/", {"device": "serial0"} | fields)


@pytest.mark.parametrize("role", WATCHERS)
def test_those_who_may_open_consoles_get_the_terminal_in_the_tab_and_in_a_window(people, guest, role: str) -> None:
    client = browser(people[role])
    window = client.get(f"/vms/{guest.uuid}/console/serial/window/").content.decode()
    for text in (page(client, guest), window):
        assert f'data-serial="{guest.uuid}"' in text
        assert 'data-device="serial0"' in text
        assert ('data-serial-do="break"' in text) is (role != "viewer-watching")


def test_a_viewer_gets_neither_terminal_nor_ticket_nor_log(people, guest) -> None:
    client = browser(people["viewer"])
    journal.append(guest.uuid, "serial0", b"secret")
    assert "data-serial=" not in page(client, guest)
    assert client.get(f"/vms/{guest.uuid}/console/serial/window/").status_code == 403
    assert client.post(f"/vms/{guest.uuid}/console/ticket/", {"device": "serial0"}).status_code == 403
    answer = fetch(client, guest)
    assert answer.status_code == 403 and b"secret" not in answer.content
    assert not ConsoleTicket.objects.exists()


def test_a_ticket_for_a_text_console_says_which_and_leads_all_to_one_gateway(people, guest) -> None:
    answer = browser(people["operator"]).post(f"/vms/{guest.uuid}/console/ticket/", {"device": "console1"})
    assert re.fullmatch(rf"/ws/console/\?ticket=[\w-]{{43}}&line={guest.uuid}", answer.json()["url"])
    assert ConsoleTicket.objects.get().device == "console1"


@pytest.mark.parametrize("device", ["serial1", "serial9", "x" * 5000, "<script>"])
def test_there_is_no_ticket_for_what_cannot_be_opened_and_the_answer_says_why(people, guest, device: str) -> None:
    answer = browser(people["operator"]).post(f"/vms/{guest.uuid}/console/ticket/", {"device": device})
    assert answer.status_code == 409
    assert answer["Content-Type"].startswith("text/plain")


def test_a_ticket_is_had_while_the_guest_is_off_because_the_console_waits_for_it(people, guest) -> None:
    VirtualMachine.objects.update(power_state="shutoff")
    client = browser(people["operator"])
    assert client.post(f"/vms/{guest.uuid}/console/ticket/", {"device": "serial0"}).status_code == 200
    assert client.post(f"/vms/{guest.uuid}/console/ticket/").status_code == 409


def test_one_of_several_is_chosen_by_its_alias(people, guest) -> None:
    client = browser(people["operator"])
    assert 'data-device="console1"' in page(client, guest, "?device=console1")
    assert 'data-device="serial0"' in page(client, guest, "?device=%3Cscript%3E")
    assert "virsh console" in page(client, guest, "?device=console1")
    other = page(client, guest, "?device=serial1")
    assert "data-serial=" not in other and "file" in other


def test_a_guest_without_one_is_told_how_to_get_one(people) -> None:
    vm = make_guest(make_host(), "bare")
    text = page(browser(people["operator"]), vm)
    assert "console=ttyS0" in text and f"/vms/{vm.uuid}/devices/" in text


def test_the_log_is_a_file_that_no_browser_shows_and_no_terminal_obeys(people, guest) -> None:
    journal.append(guest.uuid, "serial0", b"<script>alert(1)</script>\x1b]0;owned\x07\x1b[2Jplain\r\n\x9b31m")
    answer = fetch(browser(people["viewer-watching"]), guest)
    assert answer.status_code == 200
    assert b"\x1b" not in answer.content and "\x9b" not in answer.content.decode()
    assert b"plain\n" in answer.content
    assert answer["Content-Type"] == "text/plain; charset=utf-8"
    assert answer["X-Content-Type-Options"] == "nosniff"
    assert answer["Content-Security-Policy"].endswith("sandbox")
    assert re.fullmatch(r'attachment; filename="we_b_1_-serial0-[\d-]+\.log"', answer["Content-Disposition"])
    entry = AuditEntry.objects.get(action="console.log")
    assert (entry.actor_name, entry.detail["device"]) == ("viewer-watching", "serial0")


def test_with_escape_sequences_the_log_is_bytes_as_they_were(people, guest) -> None:
    hostile = bytes(range(256))
    journal.append(guest.uuid, "serial0", hostile)
    answer = fetch(browser(people["operator"]), guest, raw="1")
    assert answer.content == hostile
    assert answer["Content-Type"] == "application/octet-stream"
    assert answer["Content-Disposition"].startswith("attachment")


def test_there_is_no_log_of_what_nobody_looked_at_nor_by_get(people, guest) -> None:
    client = browser(people["operator"])
    assert fetch(client, guest).status_code == 404
    assert fetch(client, guest, device="").status_code == 404
    assert client.get(f"/vms/{guest.uuid}/console/serial/log/").status_code == 405
