"""Bearer tokens: what makes one good, and everything that makes it good no longer."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.core.cache import cache
from django.core.management import call_command
from django.utils import timezone

from hosts.models import ApiToken, AuditEntry, User
from hosts.tokens import MOST_FAILURES
from kvmdash.tests.cluster import VM2, ApiClient

pytestmark = pytest.mark.django_db


@pytest.fixture
def owner(people: dict[str, Any]) -> User:
    cache.clear()
    return people["operator"]


@pytest.fixture
def token(owner: User) -> ApiToken:
    row, row.text = ApiToken.issue(owner, "robot")  # type: ignore[attr-defined]
    return row


def status_of(text: str, **headers: str) -> int:
    client = ApiClient(token=text)
    return client.client.get("/api/v1/me", headers=headers or client.headers).status_code


def test_a_token_is_good_until_it_is_revoked(token: Any) -> None:
    assert status_of(token.text) == 200
    ApiToken.objects.update(revoked_at=timezone.now())
    assert status_of(token.text) == 401


def test_a_token_is_good_until_it_expires(token: Any) -> None:
    ApiToken.objects.update(expires_at=timezone.now() + timedelta(minutes=1))
    assert status_of(token.text) == 200
    ApiToken.objects.update(expires_at=timezone.now())
    assert status_of(token.text) == 401


def test_a_token_is_worth_nothing_once_its_owner_may_not_log_in(token: Any, owner: User) -> None:
    User.objects.filter(pk=owner.pk).update(is_active=False)
    assert status_of(token.text) == 401


def test_a_token_goes_with_its_owner(token: Any, owner: User) -> None:
    owner.delete()
    assert status_of(token.text) == 401


def test_a_token_loses_the_rights_its_owner_loses(token: Any, owner: User, cluster: Any) -> None:
    assert ApiClient(token=token.text).post(f"vms/{VM2}/start").status_code == 202
    User.objects.filter(pk=owner.pk).update(role=User.Role.VIEWER)
    assert ApiClient(token=token.text).post(f"vms/{VM2}/destroy").status_code == 403


@pytest.mark.parametrize(
    "header",
    [
        "Bearer",
        "Bearer ",
        "Bearer kvd_",
        "Bearer kvd_" + "a" * 43,
        "Bearer kvd_" + "a" * 20000,
        "Bearer kvd_{text}x",
        "Bearer {text} {text}",
        "Bearer not-one-of-ours",
        "Bearer kvd_\u00e9\u00e9\u00e9",
        "Basic YWRtaW46YWRtaW4=",
        "Token {text}",
        "{text}",
        "",
    ],
)
def test_a_header_that_is_wrong_is_401(token: Any, header: str) -> None:
    assert status_of("", Authorization=header.format(text=token.text)) == 401


def test_the_word_bearer_may_be_written_in_any_case(token: Any) -> None:
    assert status_of("", Authorization=f"bearer {token.text}") == 200


def test_a_wrong_token_is_not_made_up_for_by_a_session(client: Any, owner: User) -> None:
    client.force_login(owner)
    assert client.get("/api/v1/me").status_code == 200
    assert client.get("/api/v1/me", headers={"Authorization": "Bearer nonsense"}).status_code == 401


def test_the_use_is_noted_at_most_once_a_minute(token: Any, django_assert_num_queries: Any) -> None:
    assert status_of(token.text) == 200
    first = ApiToken.objects.get().last_used_at
    assert first is not None
    assert status_of(token.text) == 200
    assert ApiToken.objects.get().last_used_at == first
    ApiToken.objects.update(last_used_at=first - timedelta(minutes=2))
    assert status_of(token.text) == 200
    assert ApiToken.objects.get().last_used_at >= first


def test_too_many_wrong_tokens_from_an_address_are_429_and_good_ones_go_on(token: Any) -> None:
    answers = [status_of("kvd_" + "x" * 43) for _ in range(MOST_FAILURES + 1)]
    assert answers == [401] * MOST_FAILURES + [429]
    answer = ApiClient(token="kvd_wrong").get("me")
    assert (answer.status_code, answer.headers["Retry-After"]) == (429, "60")
    assert status_of(token.text) == 200
    assert AuditEntry.objects.filter(action="token.use", result="failed", address="127.0.0.1").count() == 1


def test_only_a_digest_of_the_token_is_stored(token: Any) -> None:
    stored = [str(value) for value in ApiToken.objects.values_list().get()]
    assert not any(token.text in value for value in stored)


def test_a_token_made_on_the_command_line_works(people: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    call_command("token", "robot", "--user", "viewer", "--days", "1")
    text = capsys.readouterr().out.strip()
    me = ApiClient(token=text).get("me").json()
    assert (me["username"], me["token"]) == ("viewer", "robot")
    assert me["token_expires_at"] is not None
