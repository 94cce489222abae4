"""An open console ends, with its reason, when what it stands on goes."""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest
from django.contrib.sessions.models import Session
from django.utils import timezone

from conftest import wait_until
from hosts.models import ApiToken, AuditEntry
from vms.console import records
from vms.console.records import Standing
from vms.models import ConsoleSession
from vms.tests.making import make_guest, make_host


def ended(viewer, code: int) -> str:
    """The console closed with this code, in the record too; the recorded reason."""
    assert viewer.close_code() == code
    row = ConsoleSession.objects.get()
    assert row.closed_at is not None
    assert AuditEntry.objects.filter(action="console.close").count() == 1
    return row.close_reason


def test_the_right_taken_away_closes_the_console(bench, people):
    viewer = bench.view(people["operator"], bench.guest("alpha")).greet()
    people["operator"].role = "viewer"
    people["operator"].save()
    assert "withdrawn" in ended(viewer, 4403)


def test_a_watcher_who_may_not_watch_any_more_is_closed(bench, people):
    viewer = bench.view(people["viewer-watching"], bench.guest("alpha"), view_only=True).greet()
    people["viewer-watching"].may_watch_consoles = False
    people["viewer-watching"].save()
    assert "withdrawn" in ended(viewer, 4403)


def test_a_disabled_user_s_console_closes(bench, people):
    viewer = bench.view(people["operator"], bench.guest("alpha")).greet()
    people["operator"].is_active = False
    people["operator"].save()
    ended(viewer, 4403)


def test_logging_out_closes_the_consoles_of_that_session_only(bench, people, session_key):
    vm = bench.guest("alpha")
    mine, other = session_key(), session_key()
    viewer = bench.view(people["operator"], vm, session_key=mine).greet()
    stays = bench.view(people["operator"], vm, session_key=other).greet()
    Session.objects.filter(session_key=mine).delete()
    assert viewer.close_code() == 4403
    stays.send(b"\x04\x01\x00\x00\x00\x00\x00\x61")
    wait_until(lambda: bench.screens[vm.uuid].told)


def test_a_session_that_ran_out_closes_its_consoles(bench, people, session_key):
    key = session_key()
    viewer = bench.view(people["operator"], bench.guest("alpha"), session_key=key).greet()
    Session.objects.filter(session_key=key).update(expire_date=timezone.now() - timedelta(seconds=1))
    ended(viewer, 4403)


def test_a_changed_password_closes_the_consoles_of_sessions(bench, people, session_key):
    viewer = bench.view(people["operator"], bench.guest("alpha"), session_key=session_key()).greet()
    people["operator"].set_password("another-long-one")
    people["operator"].save()
    assert "password" in ended(viewer, 4403)


@pytest.mark.parametrize(
    "change", [{"revoked_at": timezone.now()}, {"expires_at": timezone.now() - timedelta(seconds=1)}]
)
def test_a_revoked_or_outdated_token_closes_its_consoles(bench, people, change):
    token, _text = ApiToken.issue(people["operator"], "tests")
    viewer = bench.view(people["operator"], bench.guest("alpha"), token_id=token.pk).greet()
    ApiToken.objects.update(**change)
    assert "token" in ended(viewer, 4403)


def test_a_guest_that_moved_closes_with_that_reason(bench, people):
    vm = bench.guest("alpha")
    viewer = bench.view(people["operator"], vm).greet()
    vm.host = make_host("kvm2")
    vm.save()
    assert "moved" in ended(viewer, 4410)


@pytest.mark.parametrize("change", [{"power_state": "shutoff"}, {"absent_since": timezone.now()}])
def test_a_guest_that_stopped_or_vanished_closes_its_console(bench, people, change):
    vm = bench.guest("alpha")
    viewer = bench.view(people["operator"], vm).greet()
    type(vm).objects.update(**change)
    assert "stopped" in ended(viewer, 4404)


def test_a_removed_guest_closes_its_console(bench, people):
    vm = bench.guest("alpha")
    viewer = bench.view(people["operator"], vm).greet()
    vm.delete()
    assert viewer.close_code() == 4404


def test_a_stalled_browser_is_closed_too(bench, people):
    vm = bench.guest("alpha", flood=True)
    bench.view(people["operator"], vm).greet()
    people["operator"].is_active = False
    people["operator"].save()
    wait_until(lambda: ConsoleSession.objects.exclude(closed_at=None).exists())
    wait_until(lambda: not bench.gateway.consoles)


def test_a_guest_that_hangs_up_closes_the_console_with_what_the_mirror_says(bench, people):
    vm = bench.guest("alpha")
    viewer = bench.view(people["operator"], vm).greet()
    bench.gateway._watch_seconds = 3600
    bench.screens[vm.uuid].hang_up()
    later = threading.Timer(0.5, lambda: type(vm).objects.filter(pk=vm.pk).update(power_state="shutoff"))
    later.start()
    assert "stopped" in ended(viewer, 4404)


def test_a_guest_that_hangs_up_for_no_known_reason_says_so(bench, people):
    vm = bench.guest("alpha")
    viewer = bench.view(people["operator"], vm).greet()
    bench.screens[vm.uuid].hang_up()
    assert "closed its screen" in ended(viewer, 4502)


@pytest.mark.django_db
def test_hundreds_of_consoles_are_looked_at_with_the_same_few_queries(
    people, session_key, django_assert_max_num_queries
):
    vm = make_guest(make_host())
    token, _text = ApiToken.issue(people["operator"], "tests")
    one = Standing(
        people["operator"].pk, people["operator"].password, vm.uuid, vm.host_id, False, session_key(), token.pk
    )
    with django_assert_max_num_queries(4):
        assert records.judge(dict.fromkeys(range(500), one)) == {}


@pytest.mark.django_db
def test_records_of_gateways_that_died_are_closed_and_those_of_living_ones_are_kept(people):
    vm = make_guest(make_host())

    def row(gateway: str, **columns):
        return ConsoleSession.objects.create(user=people["operator"], vm=vm, gateway=gateway, **columns)

    import os
    import socket

    living = row(f"{socket.gethostname()[:60]}:{os.getpid()}:abcd")
    elsewhere = row("elsewhere:1:abcd")
    dead_here = row(f"{socket.gethostname()[:60]}:4194304:abcd")
    silent = row("elsewhere:2:abcd", alive_at=timezone.now() - timedelta(seconds=60))
    assert records.bury_dead_gateways() == 2
    still_open = set(ConsoleSession.objects.filter(closed_at=None))
    assert still_open == {living, elsewhere}
    assert {dead_here, silent}.isdisjoint(still_open)


def test_open_consoles_are_said_to_be_alive(bench, people):
    bench.view(people["operator"], bench.guest("alpha")).greet()
    long_ago = timezone.now() - timedelta(seconds=20)
    ConsoleSession.objects.update(alive_at=long_ago)
    records.beat(list(bench.gateway.consoles), bench.gateway.name)
    assert ConsoleSession.objects.get().alive_at > long_ago
