"""The pages of operations: who sees them, what they say, and stopping what runs."""

from __future__ import annotations

import json
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.core.cache import cache
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from hosts import fragments
from hosts.models import AuditEntry, Host, Operation, OperationLog, OperationSignal, User

pytestmark = pytest.mark.django_db
HTMX = {"HX-Request": "true"}
HOSTILE = "<script>alert(1)</script>"


def browser(user: User | None, **options: Any) -> Client:
    client = Client(**options)
    if user is not None:
        client.force_login(user, backend="allauth.account.auth_backends.AuthenticationBackend")
    return client


@pytest.fixture(autouse=True)
def _nothing_remembered() -> None:
    cache.clear()


@pytest.fixture
def host(db: None) -> Host:
    return Host.objects.create(name="kvm1", uri="qemu+tcp://kvm1/system", state="connected")


def make(host: Host | None = None, kind: str = "start", state: str = "succeeded", **columns: Any) -> Operation:
    facts = {
        "host": host,
        "host_name": host.name if host else "",
        "subject_uuid": uuid.uuid4(),
        "subject_name": "web-1",
        "actor_name": "operator",
        "started_at": timezone.now() - timedelta(seconds=5),
        "finished_at": None if state in Operation.ACTIVE else timezone.now(),
    }
    return Operation.objects.create(kind=kind, state=state, **facts | columns)


def make_bulk(host: Host, children: int = 3, state: str = "running") -> Operation:
    progress = {"total": children, "done": 1, "percent": 33, "counts": {"failed": 1, "running": children - 1}}
    parent = make(
        kind="bulk", state=state, subject_uuid=None, subject_name="start", arguments={"kind": "start", "arguments": {}},
        progress=progress,
    )  # fmt: skip
    for number in range(children):
        make(host, parent=parent, subject_name=f"part-{number}", state="failed" if number == 0 else "running",
             error={"type": "Failed", "message": "no memory left"} if number == 0 else {})  # fmt: skip
    return parent


def text_of(answer: Any) -> str:
    return answer.content.decode()


def names_in(answer: Any) -> list[str]:
    return [shown["subject"] for shown in answer.context["operations"]]


# --- who ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("role", ["administrator", "operator", "viewer", "viewer-watching"])
def test_everybody_who_is_logged_in_sees_operations(people, host, role: str) -> None:
    operation = make(host)
    assert browser(people[role]).get("/operations/").status_code == 200
    assert browser(people[role]).get(operation.get_absolute_url()).status_code == 200


@pytest.mark.parametrize("path", ["/operations/", "/operations/{id}/"])
def test_strangers_are_sent_to_the_login(host, path: str) -> None:
    answer = browser(None).get(path.format(id=make(host).pk))
    assert answer.status_code == 302
    assert answer.url.startswith("/account/login/")


@pytest.mark.parametrize("road", ["cancel", "signal"])
def test_strangers_stop_nothing(host, road: str) -> None:
    operation = make(host, state="queued")
    answer = browser(None).post(f"/operations/{operation.pk}/{road}/", {"name": "cancel"}, headers=HTMX)
    assert answer.status_code == 401
    operation.refresh_from_db()
    assert operation.state == "queued"


@pytest.mark.parametrize(("role", "status", "state"), [("operator", 204, "cancelled"), ("viewer", 403, "queued")])
def test_an_operator_may_cancel_what_acts_on_a_guest_and_a_viewer_may_not(people, host, role, status, state) -> None:
    operation = make(host, state="queued")
    answer = browser(people[role]).post(f"/operations/{operation.pk}/cancel/", headers=HTMX)
    operation.refresh_from_db()
    assert (answer.status_code, operation.state) == (status, state)


def test_an_operator_may_not_cancel_what_acts_on_a_host(people, host) -> None:
    operation = make(host, kind="host-refresh", state="queued", subject_uuid=None)
    answer = browser(people["operator"]).post(f"/operations/{operation.pk}/cancel/", headers=HTMX)
    assert answer.status_code == 403
    operation.refresh_from_db()
    assert operation.state == "queued"


def test_the_cancel_button_is_shown_to_those_who_may_use_it(people, host) -> None:
    url = make(host, state="queued").get_absolute_url()
    assert f'hx-post="{url}cancel/"' in text_of(browser(people["operator"]).get(url))
    assert f'hx-post="{url}cancel/"' not in text_of(browser(people["viewer"]).get(url))


def test_without_the_token_of_the_form_nothing_is_cancelled(people, host) -> None:
    operation = make(host, state="queued")
    client = browser(people["operator"], enforce_csrf_checks=True)
    assert client.post(f"/operations/{operation.pk}/cancel/", headers=HTMX).status_code == 403
    operation.refresh_from_db()
    assert operation.state == "queued"


def test_cancelling_is_no_reading(people, host) -> None:
    operation = make(host, state="queued")
    assert browser(people["administrator"]).get(f"/operations/{operation.pk}/cancel/").status_code == 405


# --- stopping and asking -------------------------------------------------------------------------------------------------


def test_cancelling_a_running_migration_leaves_a_signal_and_a_record(people, host) -> None:
    operation = make(host, kind="migrate", state="running", arguments={"host": "kvm2", "bandwidth": 0})
    answer = browser(people["operator"]).post(f"/operations/{operation.pk}/cancel/", headers=HTMX)
    assert json.loads(answer["HX-Trigger"])["toast"]["level"] == "info"
    assert OperationSignal.objects.get().name == "cancel"
    assert AuditEntry.objects.filter(action="operation.cancel", actor=people["operator"]).exists()


def test_what_has_ended_cannot_be_cancelled_and_says_so(people, host) -> None:
    operation = make(host)
    answer = browser(people["operator"]).post(f"/operations/{operation.pk}/cancel/", headers=HTMX)
    assert answer.status_code == 409
    assert answer["Content-Type"].startswith("text/plain")
    plain = browser(people["operator"]).post(f"/operations/{operation.pk}/cancel/")
    assert (plain.status_code, "already ended" in text_of(plain)) == (409, True)


def test_a_plain_form_is_sent_back_to_the_operation(people, host) -> None:
    operation = make(host, state="queued")
    answer = browser(people["operator"]).post(f"/operations/{operation.pk}/cancel/")
    assert (answer.status_code, answer.url) == (302, operation.get_absolute_url())


def test_the_bandwidth_of_a_running_migration_can_be_changed(people, host) -> None:
    operation = make(host, kind="migrate", state="running", arguments={"host": "kvm2", "bandwidth": 0})
    url, data = f"/operations/{operation.pk}/signal/", {"name": "bandwidth", "bandwidth": "40"}
    assert browser(people["viewer"]).post(url, data, headers=HTMX).status_code == 403
    assert browser(people["operator"]).post(url, data, headers=HTMX).status_code == 204
    signal = OperationSignal.objects.get()
    assert (signal.name, signal.arguments, signal.actor_name) == ("bandwidth", {"bandwidth": 40}, "operator")


@pytest.mark.parametrize(
    "data",
    [
        {"name": "bandwidth", "bandwidth": "-1"},
        {"name": "bandwidth", "bandwidth": "a lot"},
        {"name": "bandwidth", "bandwidth": "9" * 30},
        {"name": "bandwidth", "bandwidth": "5", "more": "x"},
        {"name": "explode"},
        {"name": HOSTILE},
        {},
    ],
)
def test_signals_that_make_no_sense_are_refused_with_the_reason(people, host, data: dict[str, str]) -> None:
    operation = make(host, kind="migrate", state="running", arguments={"host": "kvm2", "bandwidth": 0})
    answer = browser(people["operator"]).post(f"/operations/{operation.pk}/signal/", data, headers=HTMX)
    assert answer.status_code == 422
    assert answer["Content-Type"].startswith("text/plain")
    assert not OperationSignal.objects.exists()


def test_cancelling_a_bulk_ends_what_waits(people, host) -> None:
    parent = make_bulk(host)
    waiting = parent.children.filter(state="running").first()
    Operation.objects.filter(pk=waiting.pk).update(state="queued")
    assert browser(people["operator"]).post(f"/operations/{parent.pk}/cancel/", headers=HTMX).status_code == 204
    waiting.refresh_from_db()
    assert waiting.state == "cancelled"


# --- what it says ----------------------------------------------------------------------------------------------------------


def test_a_running_migration_shows_its_figures(people, host) -> None:
    progress = {"percent": 40.0, "remaining": 2**28, "total": 2**30, "processed": 2**29, "rate": 2**20,
                "dirty_rate": 2**19, "iteration": 7, "elapsed": 12.0, "estimate": 33.0}  # fmt: skip
    operation = make(
        host, kind="migrate", state="running", arguments={"host": "kvm2", "bandwidth": 8}, progress=progress
    )
    page = text_of(browser(people["viewer"]).get(operation.get_absolute_url()))
    for figure in ("40", "256 MiB", "1 GiB", "512 MiB", "1 MiB/s", "512 KiB/s", "7", "12 s", "33 s"):
        assert figure in page.replace(".00", "").replace(".0 ", " "), figure


def test_a_migration_that_ended_shows_total_time_and_downtime(people, host) -> None:
    result = {"total_ms": 5400, "downtime_ms": 87, "transferred": 2**27, "host": "kvm2"}
    operation = make(host, kind="migrate", arguments={"host": "kvm2"}, result=result)
    page = text_of(browser(people["viewer"]).get(operation.get_absolute_url()))
    assert "87 ms" in page
    assert "5.4" in page
    assert "128 MiB" in page


def test_an_error_shows_a_sentence_what_to_try_and_libvirts_words_folded(people, host) -> None:
    error = {"type": "Unreachable", "message": "kvm1 did not answer.", "code": 38, "domain": 7, "detail": "recv: reset"}
    page = text_of(browser(people["viewer"]).get(make(host, state="failed", error=error).get_absolute_url()))
    assert "kvm1 did not answer." in page
    assert "Test connection" in page
    before, after = page.split("<details", 1)[0], page.split('id="operation-error-detail"', 1)[1]
    assert "recv: reset" not in before
    assert "recv: reset" in after
    assert "code 38, domain 7" in after


def test_a_failed_shutdown_offers_to_force_it_off_to_those_who_may(people, host) -> None:
    operation = make(host, kind="shutdown", state="failed", error={"type": "Failed", "message": "It did not obey."})
    offer = f"/vms/{operation.subject_uuid}/do/destroy/"
    assert offer in text_of(browser(people["operator"]).get(operation.get_absolute_url()))
    assert offer not in text_of(browser(people["viewer"]).get(operation.get_absolute_url()))
    make(host, subject_uuid=operation.subject_uuid)
    assert offer not in text_of(browser(people["operator"]).get(operation.get_absolute_url()))


def test_a_sentence_of_our_own_is_neither_repeated_nor_followed_by_advice(people, host) -> None:
    words = "The guest did not shut down within 4 s. It can be forced off."
    error = {"type": "Failed", "message": words, "detail": words, "code": 0, "domain": 0}
    operation = make(host, kind="shutdown", state="failed", error=error)
    page = text_of(browser(people["operator"]).get(f"/operations/{operation.pk}/"))
    main = page[page.index('id="operation-error"') : page.index('id="operation-log"')]
    assert main.count(words) == 1
    assert "What to try" not in main and "What libvirt said" not in main
    assert 'data-confirm-type="web-1"' in main


def test_a_move_that_came_to_nothing_is_asked_for_again_from_its_page(people, host) -> None:
    error = {"type": "Failed", "message": "Not shared.", "detail": "Unsafe migration", "code": 81, "domain": 10}
    operation = make(host, kind="migrate", state="failed", error=error, arguments={"host": "kvm2", "bandwidth": 0})
    again = f'href="/vms/{operation.subject_uuid}/do/migrate/"'
    page = text_of(browser(people["operator"]).get(f"/operations/{operation.pk}/"))
    assert again in page
    assert "no limit" in page
    assert "What to try" not in page  # The sentence says it already.
    assert again not in text_of(browser(people["viewer"]).get(f"/operations/{operation.pk}/"))


def test_names_log_lines_and_errors_are_text_and_never_markup(people, host) -> None:
    operation = make(
        host, state="failed", subject_name=HOSTILE, actor_name=HOSTILE, virsh=f"virsh start {HOSTILE}",
        arguments={HOSTILE: HOSTILE}, error={"type": HOSTILE, "message": HOSTILE, "code": 1, "detail": HOSTILE},
    )  # fmt: skip
    OperationLog.objects.create(operation=operation, serial=1, level="info", text=HOSTILE)
    for path in ("/operations/", operation.get_absolute_url()):
        page = text_of(browser(people["viewer"]).get(path))
        assert "&lt;script&gt;alert(1)" in page
        assert HOSTILE not in page
    for name in ("row", "head", "detail", "facts", "log"):
        assert HOSTILE not in (fragments.render(f"operation-{name}:{operation.pk}", people["viewer"], "en") or "")


def test_the_log_shows_the_last_lines_in_order(people, host) -> None:
    operation = make(host)
    lines = [OperationLog(operation=operation, serial=n, text=f"line {n}.") for n in range(1, 601)]
    OperationLog.objects.bulk_create(lines)
    page = text_of(browser(people["viewer"]).get(operation.get_absolute_url()))
    assert "line 100." not in page
    assert page.index("line 101.") < page.index("line 600.")


def test_a_bulk_shows_each_of_its_parts_with_a_result(people, host) -> None:
    parent = make_bulk(host)
    page = text_of(browser(people["viewer"]).get(parent.get_absolute_url()))
    assert all(f"part-{number}" in page for number in range(3))
    assert "no memory left" in page
    child = parent.children.first()
    assert parent.get_absolute_url() in text_of(browser(people["viewer"]).get(child.get_absolute_url()))


# --- the list ----------------------------------------------------------------------------------------------------------


def test_parts_of_a_bulk_are_listed_when_they_are_searched_for(people, host) -> None:
    make_bulk(host)
    client = browser(people["viewer"])
    assert names_in(client.get("/operations/")) == ["3 objects"]
    assert names_in(client.get("/operations/?q=part-2")) == ["part-2"]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("state=failed", {"bad"}),
        ("state=active", {"busy"}),
        ("state=trouble", {"bad"}),
        ("kind=reboot", {"other"}),
        ("actor=anna", {"busy"}),
        ("host=kvm1", {"bad", "busy"}),
        ("q=OTH", {"other"}),
        ("age=1h", {"bad", "busy"}),
        ("from=2026-01-01T00:00&to=2026-01-02T00:00", {"other"}),
        ("state=failed&actor=anna", set()),
    ],
)
def test_each_filter_leaves_what_it_names(people, host, query: str, expected: set[str]) -> None:
    make(host, state="failed", subject_name="bad")
    make(host, state="running", subject_name="busy", actor_name="anna")
    make(None, kind="reboot", subject_name="other",
         created_at=datetime(2026, 1, 1, 12, tzinfo=UTC))  # fmt: skip
    assert set(names_in(browser(people["viewer"]).get(f"/operations/?{query}"))) == expected


def test_the_uuid_of_a_guest_or_of_the_operation_finds_it(people, host) -> None:
    operation = make(host)
    make(host, subject_name="other")
    for key in (operation.pk, operation.subject_uuid):
        assert names_in(browser(people["viewer"]).get(f"/operations/?q={key}")) == ["web-1"]


@pytest.mark.parametrize("sort", ["asked", "what", "state", "subject", "host", "who", "took"])
def test_it_sorts_both_ways(people, host, sort: str) -> None:
    make(host, subject_name="a", kind="reboot", actor_name="a")
    make(None, subject_name="b", kind="start", state="running", actor_name="b")
    client = browser(people["viewer"])
    up, down = names_in(client.get(f"/operations/?sort={sort}")), names_in(client.get(f"/operations/?sort=-{sort}"))
    assert sorted(up) == sorted(down) == ["a", "b"]
    if sort in ("asked", "what", "subject", "who"):
        assert (up, down) == (["a", "b"], ["b", "a"])


@pytest.mark.parametrize(
    "query",
    [
        "page=0", "page=-1", "page=x", "page=99999999999", "page=%00", "page=1.5", "size=7", "size=100000", "sort=password",
        "sort=-", "sort=actor__password", "state=exploded", "kind=nothing", "age=forever", "from=yesterday",
        "to=2026-99-99T99:99", "from=9999999999", "q=%00", f"q={'x' * 300}", f"host={'y' * 300}", "actor=%00",
        "from=0001-01-01T00:00%2B14:00",
    ],
)  # fmt: skip
def test_hostile_filters_get_a_clear_message(people, host, query: str) -> None:
    make(host)
    answer = browser(people["viewer"]).get(f"/operations/?{query}")
    assert answer.status_code == 400
    assert 'role="alert"' in text_of(answer)
    assert "Show all operations" in text_of(answer)


def test_a_page_beyond_the_last_shows_the_last(people, host) -> None:
    make(host)
    assert names_in(browser(people["viewer"]).get("/operations/?page=999")) == ["web-1"]


@pytest.mark.parametrize(
    "path",
    [
        "/operations/nonsense/",
        f"/operations/{uuid.UUID(int=7)}/",
        f"/operations/{uuid.UUID(int=7)}/x/",
        "/operations/1/",
    ],
)
def test_operations_that_are_not_there_are_not_found(people, path: str) -> None:
    assert browser(people["administrator"]).get(path).status_code == 404


def test_a_hostile_page_of_parts_gets_a_clear_message(people, host) -> None:
    answer = browser(people["viewer"]).get(f"{make_bulk(host).get_absolute_url()}?page=minus")
    assert (answer.status_code, "no number of a page" in text_of(answer)) == (400, True)


def test_only_the_table_is_sent_when_that_alone_is_read_again(people, host) -> None:
    make(host)
    answer = browser(people["viewer"]).get("/operations/", headers={**HTMX, "HX-Target": "operation-list"})
    assert "<html" not in text_of(answer)
    assert 'id="operation-list"' in text_of(answer)


def queries(client: Client, path: str) -> int:
    with CaptureQueriesContext(connection) as captured:
        assert client.get(path).status_code == 200
    return len(captured)


def test_more_rows_cost_no_more_queries(people, host) -> None:
    parent, client = make_bulk(host, children=2), browser(people["operator"])
    for path in ("/operations/", "/operations/?q=part", parent.get_absolute_url()):
        client.get(path)
        few = queries(client, path)
        for number in range(30):
            make(host, subject_name=f"part-more-{number}", state="failed", parent=parent if number % 2 else None,
                 error={"type": "Failed", "message": "x"})  # fmt: skip
        assert queries(client, path) == few, path


# --- live pieces --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["operation-row", "operation-head", "operation-detail", "operation-facts", "operation-log"]
)
def test_pieces_are_rendered_for_those_who_may_and_hostile_keys_show_nothing(people, host, name: str) -> None:
    operation = make(host, state="running")
    key = f"{name}:{operation.pk}"
    assert f'data-live="{key}"' in (fragments.render(key, people["viewer"], "en") or "")
    assert fragments.registry[name].topics(str(operation.pk)) == [f"operation:{operation.pk}"]
    assert fragments.may_watch(people["viewer"], key)
    people["viewer"].is_active = False
    assert not fragments.may_watch(people["viewer"], key)
    for identifier in ("", "x", "1 OR 1=1", str(uuid.uuid4()), "\x00", "a" * 200):
        assert fragments.render(f"{name}:{identifier}", people["operator"], "en") is None
