"""Who gets a ticket, and which tickets open a console."""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest
from django.utils import timezone
from websockets.exceptions import InvalidStatus

from conftest import wait_until
from hosts.access import Denied, may
from hosts.models import ApiToken, AuditEntry
from hosts.operations.kind import Refused
from vms.console.access import console_path, open_console, verb_of
from vms.console.closing import Closing
from vms.console.records import redeem
from vms.models import ConsoleSession, ConsoleTicket
from vms.tests.console.conftest import cookies_of
from vms.tests.making import make_guest, make_host


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("role", "full", "watching"),
    [
        ("administrator", True, True),
        ("operator", True, True),
        ("viewer", False, False),
        ("viewer-watching", False, True),
    ],
)
def test_each_role_gets_the_tickets_that_are_its_right(people, role, full, watching):
    vm = make_guest(make_host())
    for view_only, allowed in ((False, full), (True, watching)):
        if allowed:
            assert open_console(people[role], vm, view_only=view_only)
        else:
            with pytest.raises(Denied):
                open_console(people[role], vm, view_only=view_only)


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("columns", "why"),
    [
        ({"power_state": "shutoff"}, "not running"),
        ({"graphics": []}, "no VNC"),
        ({"absent_since": timezone.now()}, "no host"),
    ],
)
def test_a_guest_without_a_screen_is_refused_with_the_reason(people, columns, why):
    vm = make_guest(make_host(), **columns)
    with pytest.raises(Refused, match=why):
        open_console(people["operator"], vm, view_only=False)
    assert not ConsoleTicket.objects.exists()


@pytest.mark.django_db
def test_a_guest_on_a_host_that_is_not_connected_is_refused(people):
    with pytest.raises(Refused, match="not connected"):
        open_console(people["operator"], make_guest(make_host(state="silent")), view_only=False)


@pytest.mark.django_db
def test_a_ticket_is_stored_as_a_hash_and_audited(people):
    vm = make_guest(make_host())
    text = open_console(people["operator"], vm, view_only=True, address="10.0.0.9", road="api")
    row = ConsoleTicket.objects.get()
    assert text not in str(vars(row))
    entry = AuditEntry.objects.get(action="console.ticket")
    assert (entry.actor, entry.address, entry.road, entry.subject_uuid) == (
        people["operator"],
        "10.0.0.9",
        "api",
        vm.uuid,
    )
    assert text not in str(vars(entry))


def test_a_console_opens_is_recorded_and_audited(bench, people):
    vm = bench.guest("alpha")
    viewer = bench.view(people["operator"], vm, address="10.0.0.9").greet()
    assert viewer.name == "alpha"
    row = ConsoleSession.objects.get()
    assert (row.user, row.vm, row.closed_at, row.view_only) == (people["operator"], vm, None, False)
    viewer.websocket.close()
    row = wait_until(lambda: ConsoleSession.objects.exclude(closed_at=None).first())
    assert row.bytes_to_browser > 24
    audited = AuditEntry.objects.values_list("action", "road")
    wait_until(lambda: audited.count() == 3)
    assert set(audited.all()) == {("console.ticket", "page"), ("console.open", "console"), ("console.close", "console")}


def test_a_ticket_opens_one_console_only(bench, people):
    path = console_path(open_console(people["operator"], bench.guest("alpha"), view_only=False))
    bench.connect(path).greet()
    assert bench.connect(path).close_code() == 4401


def test_of_many_who_use_one_ticket_at_once_one_gets_in(bench, people):
    path = console_path(open_console(people["operator"], bench.guest("alpha"), view_only=False))
    outcomes: list[str] = []

    def use() -> None:
        viewer = bench.connect(path)
        try:
            outcomes.append(viewer.greet().name)
        except Exception:
            outcomes.append(str(viewer.close_code()))

    threads = [threading.Thread(target=use) for _number in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(outcomes) == ["4401"] * 11 + ["alpha"]


@pytest.mark.parametrize(
    "path", ["/ws/console/", "/ws/console/?ticket=", "/?ticket=unknown", "/ws/console/?ticket=%00%ff" + "a" * 3000]
)
def test_a_missing_unknown_or_malformed_ticket_opens_nothing(bench, people, path):
    assert bench.connect(path).close_code() == 4401
    assert not ConsoleSession.objects.exists()


def test_a_ticket_that_ran_out_by_the_database_clock_opens_nothing(bench, people):
    path = console_path(open_console(people["operator"], bench.guest("alpha"), view_only=False))
    ConsoleTicket.objects.update(until=timezone.now() - timedelta(seconds=1))
    assert bench.connect(path).close_code() == 4401


def test_rights_lost_between_ticket_and_connection_count(bench, people):
    user = people["operator"]
    path = console_path(open_console(user, bench.guest("alpha"), view_only=False))
    user.role = "viewer"
    user.save()
    assert bench.connect(path).close_code() == 4403


def test_a_ticket_of_a_session_that_ended_opens_nothing(bench, people):
    path = console_path(open_console(people["operator"], bench.guest("alpha"), view_only=False, session_key="gone"))
    assert bench.connect(path).close_code() == 4403


def test_a_page_s_ticket_opens_nothing_in_another_browser(bench, people, session_key):
    vm, mine = bench.guest("alpha"), session_key()
    for headers in (
        {},
        cookies_of(session_key()),
        {"Cookie": f"kvmdash_session={mine}"},
        {"Cookie": "kvmdash_session="},
        {"Cookie": "a=1; nonsense"},
    ):
        path = console_path(open_console(people["operator"], vm, view_only=False, session_key=mine))
        viewer = bench.connect(path, headers=headers)
        assert (viewer.close_code(), "somebody else" in viewer.close_reason) == (4401, True)
        # It was used up: who took it cannot try again with a better cookie.
        assert bench.connect(path, headers=cookies_of(mine)).close_code() == 4401
    assert not ConsoleSession.objects.exists()
    assert AuditEntry.objects.filter(action="console.open", result="refused").count() == 5
    assert bench.view(people["operator"], vm, session_key=mine).greet().name == "alpha"


def test_a_program_s_ticket_needs_no_cookie_and_minds_none(bench, people, session_key):
    vm = bench.guest("alpha")
    token, _text = ApiToken.issue(people["operator"], "tests")
    for headers in ({}, cookies_of(session_key())):
        path = console_path(open_console(people["operator"], vm, view_only=False, token_id=token.pk))
        assert bench.connect(path, headers=headers).greet().name == "alpha"


@pytest.mark.django_db
@pytest.mark.parametrize("role", ["administrator", "operator", "viewer", "viewer-watching"])
@pytest.mark.parametrize("view_only", [True, False])
def test_the_gateway_asks_for_the_right_itself_however_the_ticket_came_to_be(people, role, view_only):
    text = ConsoleTicket.issue(people[role], make_guest(make_host()), view_only=view_only)
    if may(people[role], verb_of(view_only)):
        assert redeem(text, None).view_only is view_only
        return
    with pytest.raises(Closing) as refused:
        redeem(text, None)
    assert refused.value.code == 4403


def test_a_page_of_another_origin_gets_no_websocket(bench, people, settings):
    settings.ALLOWED_HOSTS = ["dash.example"]
    settings.PUBLIC_ORIGINS = ["https://public.example"]
    vm = bench.guest("alpha")
    path = console_path(open_console(people["operator"], vm, view_only=False))
    for origin in ("https://evil.example", "null", "file://", "https://dash.example.evil.example"):
        with pytest.raises(InvalidStatus) as refused:
            bench.connect(path, origin=origin)
        assert refused.value.response.status_code == 403
    bench.connect(path, origin="https://dash.example").greet()
    again = console_path(open_console(people["operator"], vm, view_only=False))
    with pytest.raises(InvalidStatus):  # What the Host header says proves nothing: a foreign name may point here.
        bench.connect(again, origin=f"http://127.0.0.1:{bench.gateway.port}")
    bench.connect(again, origin="https://public.example").greet()


def test_the_address_is_what_the_relay_says(bench, people):
    vm = bench.guest("alpha")
    path = console_path(open_console(people["operator"], vm, view_only=False))
    bench.connect(path, headers={"X-Forwarded-For": "6.6.6.6, 10.1.2.3"}).greet()
    assert ConsoleSession.objects.get().address == "10.1.2.3"


def test_a_ticket_is_never_written_to_a_log(bench, people, capfd):
    path = console_path(open_console(people["operator"], bench.guest("alpha"), view_only=False))
    bench.connect(path).greet()
    bench.connect(path).close_code()
    with pytest.raises(InvalidStatus):
        bench.connect(path, origin="null")
    out, err = capfd.readouterr()
    assert path.partition("=")[2] not in out + err
