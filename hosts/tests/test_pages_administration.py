"""People, the audit list and API tokens: who may, what is recorded, and what ends at once."""

from __future__ import annotations

import re
import threading
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.sessions.models import Session
from django.core.cache import cache
from django.db import connection, connections
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from hosts import notify
from hosts import people as register
from hosts.access import Denied
from hosts.audit import Actor, record
from hosts.models import ApiToken, AuditEntry, Operation, User
from hosts.operations.kind import Refused
from hosts.sessions import row_key

HTMX = {"HX-Request": "true"}
HOSTILE = "<script>alert(1)</script>"
PASSWORD = "another-long-one-7"
PERSON = {"username": "anna", "full_name": "Anna A", "role": "operator", "password": PASSWORD}
#: every page and form that only administrators may open, and every POST that only they may send
PAGES = ("", "people/add/", "people/{pk}/", "people/{pk}/password/", "audit/")
POSTS = (
    "people/add/", "people/{pk}/", "people/{pk}/password/", "people/{pk}/disable/", "people/{pk}/enable/",
    "people/{pk}/second-factor/",
)  # fmt: skip


def browser(user: User | None, **options: Any) -> Client:
    client = Client(**options)
    if user is not None:
        client.force_login(user, backend="allauth.account.auth_backends.AuthenticationBackend")
    return client


def text_of(answer: Any) -> str:
    return answer.content.decode()


def path_of(path: str, person: User) -> str:
    return "/administration/" + path.format(pk=person.pk)


@pytest.fixture(autouse=True)
def _nothing_remembered() -> None:
    cache.clear()


@pytest.fixture
def heard() -> Any:
    """The topics that were told."""
    topics: list[str] = []
    end = notify.bus.listen(lambda message: topics.extend(message.get("topics", [])))
    yield topics
    end()


# --- who ---------------------------------------------------------------------------------------------------------------


@pytest.mark.django_db
@pytest.mark.parametrize("path", PAGES)
@pytest.mark.parametrize(("role", "status"), [("administrator", 200), ("operator", 403), ("viewer", 403)])
def test_only_administrators_open_the_pages(people, path: str, role: str, status: int) -> None:
    assert browser(people[role]).get(path_of(path, people["viewer"])).status_code == status


@pytest.mark.django_db
@pytest.mark.parametrize("path", POSTS)
@pytest.mark.parametrize("role", ["operator", "viewer", "viewer-watching"])
def test_nobody_else_changes_people_and_trying_is_on_record(people, path: str, role: str) -> None:
    before = list(User.objects.order_by("pk").values())
    answer = browser(people[role]).post(path_of(path, people["operator"]), PERSON, headers=HTMX)
    assert answer.status_code == 403
    # Logging in notes the time; nothing else is different.
    after = list(User.objects.order_by("pk").values())
    assert [row | {"last_login": None} for row in after] == [row | {"last_login": None} for row in before]
    assert AuditEntry.objects.filter(actor=people[role], result="refused").exists()


@pytest.mark.django_db
@pytest.mark.parametrize("path", [*PAGES, "tokens/"])
def test_strangers_are_sent_to_the_login(people, path: str) -> None:
    answer = browser(None).get(path_of(path, people["viewer"]))
    assert (answer.status_code, answer.url.partition("?")[0]) == (302, "/account/login/")


@pytest.mark.django_db
@pytest.mark.parametrize("path", [*POSTS, "tokens/", "tokens/1/revoke/"])
def test_strangers_change_nothing(people, path: str) -> None:
    assert browser(None).post(path_of(path, people["viewer"]), PERSON, headers=HTMX).status_code == 401
    assert not User.objects.filter(username="anna").exists()


@pytest.mark.django_db
@pytest.mark.parametrize("path", [*POSTS, "tokens/"])
def test_without_the_token_of_the_form_nothing_is_done(people, path: str) -> None:
    client = browser(people["administrator"], enforce_csrf_checks=True)
    assert client.post(path_of(path, people["viewer"]), PERSON, headers=HTMX).status_code == 403
    assert not User.objects.filter(username="anna").exists()
    assert not ApiToken.objects.exists()


@pytest.mark.django_db
@pytest.mark.parametrize("path", ["people/{pk}/disable/", "people/{pk}/enable/", "people/{pk}/second-factor/"])
def test_reading_changes_nobody(people, path: str) -> None:
    assert browser(people["administrator"]).get(path_of(path, people["viewer"])).status_code == 405


# --- people ------------------------------------------------------------------------------------------------------------


@pytest.mark.django_db
def test_a_person_is_added_and_can_log_in(people) -> None:
    answer = browser(people["administrator"]).post("/administration/people/add/", PERSON, headers=HTMX)
    anna = User.objects.get(username="anna")
    assert (answer.status_code, anna.role, anna.get_full_name()) == (204, "operator", "Anna A")
    assert anna.check_password(PASSWORD)
    entry = AuditEntry.objects.get(action="people.add")
    assert (entry.subject, entry.detail, entry.address) == ("anna", {"role": "operator"}, "127.0.0.1")
    assert Client().post("/account/login/", {"login": "anna", "password": PASSWORD}).status_code == 302


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"username": "Viewer"}, "username"),
        ({"username": ""}, "username"),
        ({"username": "a b"}, "username"),
        ({"username": HOSTILE}, "username"),
        ({"username": "x" * 151}, "username"),
        ({"username": "a\x00b"}, "username"),
        ({"password": "short"}, "password"),
        ({"password": "12345678901234"}, "password"),
        ({"password": ""}, "password"),
        ({"role": "emperor"}, "role"),
        ({"role": ""}, "role"),
        ({"full_name": "y" * 151}, "full_name"),
    ],
)
def test_wrong_values_are_named_and_nobody_is_added(people, change: dict[str, str], field: str) -> None:
    answer = browser(people["administrator"]).post("/administration/people/add/", PERSON | change, headers=HTMX)
    assert answer.status_code == 422
    assert answer.context["form"].errors[field]
    assert User.objects.count() == len(people)
    assert PASSWORD not in text_of(answer)


@pytest.mark.django_db
def test_a_change_of_role_is_recorded_with_before_and_after(people) -> None:
    data = {"full_name": "", "role": "operator", "is_active": "on"}
    browser(people["administrator"]).post(path_of("people/{pk}/", people["viewer"]), data, headers=HTMX)
    people["viewer"].refresh_from_db()
    assert people["viewer"].role == "operator"
    assert AuditEntry.objects.get(action="people.change").detail == {"role": "viewer → operator"}


@pytest.mark.django_db
@pytest.mark.parametrize("key", ["0", "99999", "9" * 30, "x", "-1"])
@pytest.mark.parametrize("part", ["", "password/"])
def test_people_who_are_not_there_are_not_found(people, key: str, part: str) -> None:
    assert browser(people["administrator"]).get(f"/administration/people/{key}/{part}").status_code == 404


@pytest.mark.django_db
@pytest.mark.parametrize(
    "query", ["page=0", "page=x", "size=3", "role=king", "active=maybe", "sort=password", "q=%00", f"q={'x' * 300}"]
)
def test_hostile_filters_of_people_get_a_clear_message(people, query: str) -> None:
    answer = browser(people["administrator"]).get(f"/administration/?{query}")
    assert (answer.status_code, 'role="alert"' in text_of(answer)) == (400, True)


@pytest.mark.django_db
def test_people_are_searched_filtered_and_sorted(people) -> None:
    client = browser(people["administrator"])

    def names(query: str) -> list[str]:
        return [person.username for person in client.get(f"/administration/?{query}").context["page_obj"].object_list]

    assert names("q=VIEW") == ["viewer", "viewer-watching"]
    assert names("role=operator") == ["operator"]
    assert names("active=no") == []
    assert names("sort=-name")[0] == "viewer-watching"


# --- the last administrator ---------------------------------------------------------------------------------------------


@pytest.mark.django_db
@pytest.mark.parametrize("data", [{"role": "operator", "is_active": "on"}, {"role": "administrator"}])
def test_the_last_administrator_keeps_the_role_and_the_login(people, data: dict[str, str]) -> None:
    admin = people["administrator"]
    answer = browser(admin).post(path_of("people/{pk}/", admin), {"full_name": "", **data}, headers=HTMX)
    admin.refresh_from_db()
    assert (answer.status_code, admin.role, admin.is_active) == (422, "administrator", True)
    assert "last administrator" in text_of(answer)
    assert browser(admin).post(path_of("people/{pk}/disable/", admin), headers=HTMX).status_code == 409
    assert AuditEntry.objects.filter(action="people.change", result="refused").count() == 2


@pytest.mark.django_db
def test_an_administrator_who_is_disabled_already_does_not_count(people) -> None:
    admin = people["administrator"]
    User.objects.create_user("former", role="administrator", is_active=False)
    with pytest.raises(Refused, match="last administrator"):
        change(admin, admin, role="viewer")


def change(by: User, person: User, **columns: Any) -> None:
    columns = {"role": person.role, "is_active": person.is_active} | columns
    register.change(Actor(by), person, register.Profile(**columns))


@pytest.mark.django_db(transaction=True)
def test_of_two_administrators_who_disable_each_other_at_once_one_stays(people) -> None:
    first = people["administrator"]
    second = User.objects.create_user("second", role="administrator")
    for _attempt in range(5):
        User.objects.filter(pk__in=[first.pk, second.pk]).update(is_active=True)
        ends = disable_each_other(first, second)
        assert User.objects.filter(role="administrator", is_active=True).count() == 1
        assert sorted(ends) == ["denied", "done"]


def disable_each_other(first: User, second: User) -> list[str]:
    """Both at once; how each ended."""
    ends: list[str] = []
    ready = threading.Barrier(2)

    def disable(by: User, person: User) -> None:
        ready.wait(10)
        try:
            register.set_active(Actor(by), person, False)
            ends.append("done")
        except (Denied, Refused):
            ends.append("denied")
        finally:
            connections.close_all()

    threads = [threading.Thread(target=disable, args=pair) for pair in ((first, second), (second, first))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    return ends


# --- what ends at once --------------------------------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("path", "data"),
    [
        ("people/{pk}/disable/", {}),
        ("people/{pk}/", {"full_name": "", "role": "viewer", "is_active": "on"}),
        ("people/{pk}/", {"full_name": "", "role": "operator", "is_active": "on", "may_watch_consoles": "on"}),
        ("people/{pk}/password/", {"password": PASSWORD}),
    ],
)
def test_a_change_of_rights_ends_the_sessions_and_open_pages_of_that_person(people, heard, path, data) -> None:
    person, theirs, other = people["operator"], browser(people["operator"]), browser(people["viewer"])
    assert theirs.get("/operations/").status_code == 200
    answer = browser(people["administrator"]).post(path_of(path, person), data, headers=HTMX)
    assert answer.status_code == 204
    assert f"user:{person.pk}" in heard
    assert not Session.objects.filter(pk=row_key(str(theirs.session.session_key))).exists()
    assert theirs.get("/operations/").status_code == 302
    assert other.get("/operations/").status_code == 200


@pytest.mark.django_db(transaction=True)
def test_a_change_of_the_name_alone_ends_no_session(people, heard) -> None:
    person, theirs = people["operator"], browser(people["operator"])
    theirs.get("/operations/")
    data = {"full_name": "Otto", "role": "operator", "is_active": "on"}
    browser(people["administrator"]).post(path_of("people/{pk}/", person), data, headers=HTMX)
    assert f"user:{person.pk}" not in heard
    assert theirs.get("/operations/").status_code == 200


@pytest.mark.django_db
def test_an_administrator_who_changes_their_own_rights_logs_in_again(people) -> None:
    User.objects.create_user("second", role="administrator")
    admin, client = people["administrator"], browser(people["administrator"])
    data = {"full_name": "", "role": "operator", "is_active": "on"}
    answer = client.post(path_of("people/{pk}/", admin), data, headers=HTMX)
    assert (answer.status_code, answer["HX-Redirect"]) == (204, "/account/login/")
    assert client.get("/operations/").status_code == 302


@pytest.mark.django_db
def test_a_disabled_person_comes_in_neither_by_password_nor_by_token(people) -> None:
    person = people["operator"]
    _row, text = ApiToken.issue(person, "script")
    browser(people["administrator"]).post(path_of("people/{pk}/disable/", person), headers=HTMX)
    Client().post("/account/login/", {"login": "operator", "password": "quite-long-enough"})
    assert (
        not AuditEntry.objects.filter(action="login", actor=person)
        .exclude(result="failed")
        .filter(at__gt=AuditEntry.objects.get(action="people.change").at)
        .exists()
    )
    assert Client().get("/api/v1/hosts", headers={"Authorization": f"Bearer {text}"}).status_code == 401
    browser(people["administrator"]).post(path_of("people/{pk}/enable/", person), headers=HTMX)
    assert Client().get("/api/v1/hosts", headers={"Authorization": f"Bearer {text}"}).status_code == 200


@pytest.mark.django_db
def test_a_lost_second_factor_is_forgotten_on_record(people) -> None:
    from allauth.mfa.models import Authenticator

    Authenticator.objects.create(user=people["operator"], type="totp", data={})
    path = path_of("people/{pk}/second-factor/", people["operator"])
    assert browser(people["administrator"]).post(path, headers=HTMX).status_code == 204
    assert not Authenticator.objects.exists()
    assert AuditEntry.objects.get(action="people.second_factor").detail == {"dropped": 1}


# --- tokens ---------------------------------------------------------------------------------------------------------------


def make_token(client: Client, **data: str) -> Any:
    return client.post("/administration/tokens/", {"name": "backup", "days": "30"} | data)


@pytest.mark.django_db
@pytest.mark.parametrize("role", ["administrator", "operator", "viewer"])
def test_everybody_makes_tokens_of_their_own(people, role: str) -> None:
    answer = make_token(browser(people[role]))
    assert answer.status_code == 200
    token = ApiToken.objects.get()
    assert (token.user, token.name) == (people[role], "backup")
    assert timedelta(days=29) < token.expires_at - timezone.now() < timedelta(days=31)
    assert AuditEntry.objects.get(action="token.make").actor == people[role]


@pytest.mark.django_db
def test_the_text_of_a_token_is_in_one_answer_and_its_hash_alone_in_the_database(people) -> None:
    client = browser(people["operator"])
    answer = make_token(client, days="0")
    (text,) = set(re.findall(r"kvd_[\w-]{43}", text_of(answer)))
    assert "no-store" in answer["Cache-Control"]
    assert Client().get("/api/v1/hosts", headers={"Authorization": f"Bearer {text}"}).status_code == 200
    assert text not in text_of(client.get("/administration/tokens/"))
    assert text not in text_of(browser(people["administrator"]).get("/administration/tokens/?whose=all"))
    row = ApiToken.objects.get()
    assert row.digest == ApiToken.digest_of(text)
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names(cursor):
            cursor.execute(f"SELECT * FROM {connection.ops.quote_name(table)}")
            assert text not in str(cursor.fetchall()), table


@pytest.mark.django_db
@pytest.mark.parametrize(
    "data", [{"name": ""}, {"name": "x" * 81}, {"days": "5"}, {"days": "-1"}, {"days": "x"}, {"name": "\x00"}]
)
def test_tokens_that_make_no_sense_are_refused(people, data: dict[str, str]) -> None:
    assert make_token(browser(people["operator"]), **data).status_code == 422
    assert not ApiToken.objects.exists()


@pytest.mark.django_db
def test_nobody_piles_up_tokens_without_end(people, monkeypatch) -> None:
    monkeypatch.setattr("hosts.people.MOST_TOKENS", 1)
    client = browser(people["viewer"])
    assert [make_token(client).status_code for _n in range(2)] == [200, 409]


@pytest.mark.django_db
def test_a_revoked_token_opens_nothing(people) -> None:
    token, text = ApiToken.issue(people["viewer"], "script")
    client = browser(people["viewer"])
    assert client.post(f"/administration/tokens/{token.pk}/revoke/", headers=HTMX).status_code == 204
    assert Client().get("/api/v1/hosts", headers={"Authorization": f"Bearer {text}"}).status_code == 401
    assert AuditEntry.objects.get(action="token.revoke").detail["owner"] == "viewer"


@pytest.mark.django_db
def test_another_persons_token_is_neither_seen_nor_revoked_but_by_administrators(people) -> None:
    token, _text = ApiToken.issue(people["viewer"], "precious")
    path = f"/administration/tokens/{token.pk}/revoke/"
    operator = browser(people["operator"])
    assert "precious" not in text_of(operator.get("/administration/tokens/?whose=all"))
    assert operator.post(path, headers=HTMX).status_code == 404
    with pytest.raises(Denied):
        register.revoke_token(Actor(people["operator"]), token)
    token.refresh_from_db()
    assert token.revoked_at is None
    assert "precious" in text_of(browser(people["administrator"]).get("/administration/tokens/?whose=all"))
    assert browser(people["administrator"]).post(path, headers=HTMX).status_code == 204


@pytest.mark.django_db
@pytest.mark.parametrize("query", ["page=0", "page=x", "whose=mine", "size=1"])
def test_hostile_addresses_of_tokens_get_a_clear_message(people, query: str) -> None:
    answer = browser(people["viewer"]).get(f"/administration/tokens/?{query}")
    assert (answer.status_code, 'role="alert"' in text_of(answer)) == (400, True)


# --- the audit list -------------------------------------------------------------------------------------------------------


def subjects(client: Client, query: str) -> list[str]:
    return [entry["row"].subject for entry in client.get(f"/administration/audit/?{query}").context["entries"]]


@pytest.mark.django_db
def test_the_audit_list_is_filtered_by_who_what_result_subject_and_time(people) -> None:
    client = browser(people["administrator"])
    AuditEntry.objects.all().delete()
    one = record(Actor(people["operator"], "10.0.0.1"), "vm.start", "web-1", result="queued")
    record(Actor(people["viewer"], None, "api"), "vm.destroy", "db-1", result="refused")
    AuditEntry.objects.filter(pk=one.pk).update(at=timezone.now() - timedelta(days=3))
    for query, expected in (
        ("", ["db-1", "web-1"]), ("actor=viewer", ["db-1"]), ("action=vm.start", ["web-1"]), ("result=refused", ["db-1"]),
        ("q=WEB", ["web-1"]), ("age=24h", ["db-1"]), ("road=api", ["db-1"]), ("actor=viewer&action=vm.start", []),
    ):  # fmt: skip
        assert subjects(client, query) == expected, query


@pytest.mark.django_db
def test_the_audit_list_tells_how_what_was_queued_ended(people) -> None:
    client = browser(people["administrator"])
    for state in ("failed", "running"):
        operation = Operation.objects.create(kind="start", state=state, subject_name=state)
        record(Actor(people["operator"]), "vm.start", state, result="queued", operation=str(operation.pk))
    rows = re.findall(r'data-col="result">(.*?)</td>', text_of(client.get("/administration/audit/?action=vm.start")))
    assert ["state-failed" in rows[1], "state-moving" in rows[0], "queued" in "".join(rows)] == [True, True, False]


@pytest.mark.django_db
@pytest.mark.parametrize(
    "query",
    ["page=0", "page=x", "size=2", "result=great", "road=back", "age=old", "from=x", "to=x", "q=%00", "action=a b",
     "action=%3Cscript%3E", f"actor={'x' * 300}"],
)  # fmt: skip
def test_hostile_filters_of_the_audit_list_get_a_clear_message(people, query: str) -> None:
    answer = browser(people["administrator"]).get(f"/administration/audit/?{query}")
    assert (answer.status_code, 'role="alert"' in text_of(answer)) == (400, True)


@pytest.mark.django_db
def test_what_people_typed_is_text_and_never_markup(people) -> None:
    Client().post("/account/login/", {"login": HOSTILE, "password": "x"})
    User.objects.filter(pk=people["viewer"].pk).update(first_name=HOSTILE)
    ApiToken.issue(people["administrator"], HOSTILE)
    record(Actor(None, name=HOSTILE), "vm.start", HOSTILE, note=HOSTILE)
    client = browser(people["administrator"])
    for path in ("", "audit/", "tokens/"):
        page = text_of(client.get(f"/administration/{path}"))
        assert HOSTILE not in page
        assert "&lt;script&gt;" in page


def queries(client: Client, path: str) -> int:
    with CaptureQueriesContext(connection) as captured:
        assert client.get(path).status_code == 200
    return len(captured)


@pytest.mark.django_db
def test_more_rows_cost_no_more_queries(people) -> None:
    client = browser(people["administrator"])
    paths = ("/administration/", "/administration/audit/", "/administration/tokens/?whose=all")
    ApiToken.issue(people["viewer"], "one")
    for path in paths:
        client.get(path)
    few = [queries(client, path) for path in paths]
    for number in range(30):
        person = User.objects.create_user(f"person{number}")
        ApiToken.issue(person, "more")
        record(Actor(person), "vm.start", "x")
    assert [queries(client, path) for path in paths] == few
