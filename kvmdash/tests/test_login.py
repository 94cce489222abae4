"""Coming in: password, rate limits, second factor; and no sign-up."""

from __future__ import annotations

import re
from typing import Any

import pytest
from allauth.mfa.models import Authenticator
from allauth.mfa.totp.internal.auth import format_hotp_value, hotp_value, yield_hotp_counters_from_time
from django.core.cache import cache
from django.test import Client

from hosts.models import AuditEntry, User

pytestmark = pytest.mark.django_db
PASSWORD = "quite-long-enough"  # as the fixture `people` sets it
ANOTHER = "another-long-one-7"


@pytest.fixture(autouse=True)
def _nobody_has_failed_yet() -> None:
    cache.clear()


def login(client: Client, name: str, password: str, **more: str) -> Any:
    return client.post("/account/login/", {"login": name, "password": password, **more})


def inside(name: str = "operator") -> Client:
    """A browser that logged in with the password."""
    client = Client()
    assert login(client, name, PASSWORD).status_code == 302
    return client


def code_of(secret: str) -> str:
    """What an authenticator app shows now."""
    return format_hotp_value(hotp_value(secret, next(iter(yield_hotp_counters_from_time()))))


def ask_again(client: Client) -> None:
    """Changing what protects an account asks for the password once more."""
    assert client.get("/account/reauthenticate/").status_code == 200
    assert client.post("/account/reauthenticate/", {"password": PASSWORD}).status_code == 302


def turn_on_totp(client: Client) -> str:
    ask_again(client)
    page = client.get("/account/2fa/totp/activate/").content.decode()
    found = re.search(r"\b([A-Z2-7]{32})\b", page)
    assert found is not None
    assert client.post("/account/2fa/totp/activate/", {"code": code_of(found[1])}).status_code == 302
    return found[1]


# --- the password -------------------------------------------------------------------------------------------------------


def test_the_right_password_opens_the_overview_and_is_on_record(people) -> None:
    client = Client()
    answer = login(client, "operator", PASSWORD)
    assert (answer.status_code, answer.url) == (302, "/")
    entry = AuditEntry.objects.get(action="login")
    assert (entry.actor, entry.address, entry.result) == (people["operator"], "127.0.0.1", "done")
    assert client.get("/operations/").status_code == 200


def test_the_login_leads_back_to_where_one_was_going(people) -> None:
    assert login(Client(), "operator", PASSWORD, next="/operations/?state=failed").url == "/operations/?state=failed"


@pytest.mark.parametrize("elsewhere", ["https://evil.example/", "//evil.example/", "javascript:alert(1)"])
def test_the_login_leads_to_no_other_site(people, elsewhere: str) -> None:
    assert "evil" not in login(Client(), "operator", PASSWORD, next=elsewhere).url
    assert "script" not in login(Client(), "viewer", PASSWORD, next=elsewhere).url


@pytest.mark.parametrize("name", ["operator", "nobody", "<script>alert(1)</script>", "x" * 5000])
def test_a_wrong_password_is_refused_and_on_record_without_it(people, name: str) -> None:
    answer = login(Client(), name, "wrong-wrong-wrong")
    assert answer.status_code == 200
    assert "<script>alert(1)" not in answer.content.decode()
    assert not AuditEntry.objects.filter(result="done").exists()
    assert "wrong-wrong-wrong" not in str(list(AuditEntry.objects.values()))


def test_known_and_unknown_names_are_refused_in_the_same_words(people) -> None:
    def words(name: str) -> str:
        page = login(Client(), name, "wrong-wrong-wrong").content.decode()
        return " ".join(re.findall(r'role="alert">(.*?)</div>\s*</div>', page, re.DOTALL))

    assert words("operator") == words("nobody") != ""


def test_who_fails_again_and_again_has_to_wait_and_the_right_password_does_not_help(people) -> None:
    client = Client()
    answers = [login(client, "operator", f"wrong-{n}").status_code for n in range(12)]
    assert answers[0] == 200
    assert answers[-1] == 429
    assert answers == sorted(answers)
    assert login(client, "operator", PASSWORD).status_code == 429
    assert client.get("/operations/").status_code == 302
    assert not AuditEntry.objects.filter(action="login", result="done").exists()


def test_one_who_fails_does_not_lock_out_somebody_else(people) -> None:
    for number in range(6):
        login(Client(), "operator", f"wrong-{number}")
    assert login(Client(), "operator", PASSWORD).status_code == 429
    elsewhere = Client(REMOTE_ADDR="10.1.2.3")
    assert login(elsewhere, "viewer", PASSWORD).status_code == 302


def test_one_address_that_tries_many_names_is_slowed_down_too(people) -> None:
    codes = [login(Client(), f"name-{number}", "wrong").status_code for number in range(14)]
    assert (codes[0], codes[-1]) == (200, 429)


def test_a_forged_forwarding_header_does_not_get_around_the_limit(people) -> None:
    codes = [
        Client(headers={"X-Forwarded-For": f"10.0.0.{n}"})
        .post("/account/login/", {"login": f"name-{n}", "password": "wrong"})
        .status_code
        for n in range(14)
    ]
    assert codes[-1] == 429


def test_a_disabled_person_does_not_come_in(people) -> None:
    User.objects.filter(username="operator").update(is_active=False)
    client = Client()
    login(client, "operator", PASSWORD)
    assert client.get("/operations/").status_code == 302


def test_the_login_needs_the_token_of_its_form(people) -> None:
    client = Client(enforce_csrf_checks=True)
    assert login(client, "operator", PASSWORD).status_code == 403


def test_logging_out_ends_the_session_and_is_on_record(people) -> None:
    client = inside()
    assert client.post("/account/logout/").status_code == 302
    assert client.get("/operations/").status_code == 302
    assert AuditEntry.objects.filter(action="logout", actor=people["operator"]).exists()


# --- no sign-up -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/account/signup/", "/account/password/reset/", "/account/email/"])
def test_strangers_find_no_way_in_but_the_login(people, path: str) -> None:
    answer = Client().get(path)
    assert (answer.status_code, answer.url.partition("?")[0]) == (302, "/account/login/")


@pytest.mark.parametrize("path", ["signup/", "password/reset/", "password/reset/key/1-x/", "email/", "confirm-email/"])
def test_what_would_make_accounts_or_send_mail_is_closed(people, path: str) -> None:
    client = inside()
    assert client.get(f"/account/{path}").status_code == 404
    assert client.post(f"/account/{path}", {"email": "a@b.example"}).status_code == 404


def test_nobody_signs_up(people) -> None:
    data = {"username": "intruder", "password1": ANOTHER, "password2": ANOTHER, "email": "a@b.example"}
    Client().post("/account/signup/", data)
    inside().post("/account/signup/", data)
    assert not User.objects.filter(username="intruder").exists()


# --- one's own account ----------------------------------------------------------------------------------------------------


def test_everybody_changes_their_own_password_and_stays_logged_in(people) -> None:
    client = inside()
    assert client.get("/account/password/change/").status_code == 200
    data = {"oldpassword": PASSWORD, "password1": ANOTHER, "password2": ANOTHER}
    assert client.post("/account/password/change/", data).status_code == 302
    assert client.get("/operations/").status_code == 200
    people["operator"].refresh_from_db()
    assert people["operator"].check_password(ANOTHER)


@pytest.mark.parametrize(
    "change", [{"oldpassword": "wrong"}, {"password1": "short", "password2": "short"}, {"password2": "x"}]
)
def test_a_password_is_not_changed_without_the_old_one_or_for_a_weak_one(people, change: dict[str, str]) -> None:
    data = {"oldpassword": PASSWORD, "password1": ANOTHER, "password2": ANOTHER} | change
    assert inside().post("/account/password/change/", data).status_code == 200
    people["operator"].refresh_from_db()
    assert people["operator"].check_password(PASSWORD)


@pytest.mark.parametrize("path", ["", "totp/activate/"])
def test_the_pages_of_the_second_factor_open(people, path: str) -> None:
    client = inside()
    ask_again(client)
    answer = client.get(f"/account/2fa/{path}")
    assert answer.status_code == 200
    assert 'id="page"' in answer.content.decode()


@pytest.mark.parametrize("path", ["totp/activate/", "recovery-codes/generate/"])
def test_a_session_left_open_is_not_enough_to_change_the_second_factor(people, path: str) -> None:
    answer = inside().get(f"/account/2fa/{path}")
    assert (answer.status_code, answer.url.partition("?")[0]) == (302, "/account/reauthenticate/")


def test_with_a_second_factor_the_password_alone_does_not_open_anything(people) -> None:
    secret = turn_on_totp(inside())
    client = Client()
    answer = login(client, "operator", PASSWORD)
    assert (answer.status_code, answer.url.partition("?")[0]) == (302, "/account/2fa/authenticate/")
    assert client.get("/operations/").status_code == 302
    assert client.get("/account/2fa/authenticate/").status_code == 200
    assert client.post("/account/2fa/authenticate/", {"code": "000000"}).status_code == 200
    cache.clear()  # A code is taken once; the one of the activation was just used.
    assert client.post("/account/2fa/authenticate/", {"code": code_of(secret)}).status_code == 302
    assert client.get("/operations/").status_code == 200


def test_recovery_codes_are_made_shown_and_open_once(people) -> None:
    client = inside()
    turn_on_totp(client)
    assert client.get("/account/2fa/recovery-codes/generate/").status_code == 200
    client.post("/account/2fa/recovery-codes/generate/")
    assert client.get("/account/2fa/recovery-codes/").status_code == 200
    codes = Authenticator.objects.get(type="recovery_codes").wrap().get_unused_codes()
    assert codes
    for expected in (200, 302):
        fresh = Client()
        login(fresh, "operator", PASSWORD)
        fresh.post("/account/2fa/authenticate/", {"code": codes[0]})
        assert fresh.get("/operations/").status_code == expected


def test_the_second_factor_can_be_turned_off_again(people) -> None:
    client = inside()
    turn_on_totp(client)
    assert client.get("/account/2fa/totp/deactivate/").status_code == 200
    assert client.post("/account/2fa/totp/deactivate/").status_code == 302
    assert not Authenticator.objects.exists()
