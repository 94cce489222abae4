"""Everything that is wrong is answered as a problem (RFC 9457), and changes nothing."""

from __future__ import annotations

import json
from io import BytesIO
from typing import Any

import pytest
from django.conf import settings
from django.core.exceptions import RequestDataTooBig
from django.core.handlers.asgi import ASGIRequest
from django.http import HttpResponse

from hosts.models import Operation
from kvmdash.api import JsonParser
from kvmdash.tests.cluster import VM1, ApiClient

MIGRATE = f"vms/{VM1}/migrate"
DEEP = b"[" * 100_000 + b"]" * 100_000


def problem(answer: HttpResponse, status: int) -> dict[str, Any]:
    """The problem the answer is; fails when it is none."""
    assert answer.status_code == status, answer.content
    assert answer.headers["Content-Type"] == "application/problem+json"
    told: dict[str, Any] = json.loads(answer.content)
    assert {"type", "title", "status", "detail"} <= set(told) <= {"type", "title", "status", "detail", "errors"}
    assert told["status"] == status
    assert told["type"].startswith("/api/v1/docs#")
    assert told["title"] and told["detail"]
    return told


@pytest.mark.parametrize(
    "path", ["", "nothing", "vms/", "hosts/kvm1/", f"vms/{VM1}/explode", "vms/x/y/z", "\u00e9", "a\x00b", "../../etc"]
)
def test_an_unknown_address_is_404(api: dict[str, ApiClient], path: str) -> None:
    problem(api["viewer"].get(path), 404)
    problem(api["stranger"].post(path), 404)


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("get", f"vms/{VM1}/start", "POST"),
        ("delete", "vms", "GET, POST"),
        ("delete", f"vms/{VM1}", "GET"),
        ("put", "hosts/kvm1", "GET"),
        ("patch", "operations", "GET"),
        ("options", "me", "GET"),
        ("trace", "me", "GET"),
    ],
)
def test_a_wrong_method_is_405_and_says_which_is_right(
    api: dict[str, ApiClient], method: str, path: str, allowed: str
) -> None:
    asker = api["viewer"]
    answer = asker.client.generic(method.upper(), f"/api/v1/{path}", headers=asker.headers)
    problem(answer, 405)
    assert answer.headers["Allow"] == allowed


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"{'host': 'kvm2'}",
        b"\xff\xfe\x00",
        b"\x00",
        DEEP,
        b'{"host": NaN}',
        b'{"host": "kvm2", "bandwidth": Infinity}',
        b'{"host": "kvm2", "bandwidth": 1e999}',
        b'{"host": "kvm2", "bandwidth": ' + b"9" * 5000 + b"}",
        b'{"host": "kvm\\u0000"}',
        b'{"host": "\\ud800"}',
        b'{"\\u0000": 1}',
    ],
    ids=lambda body: repr(body[:30]),
)
def test_a_body_that_cannot_be_read_is_400(api: dict[str, ApiClient], body: bytes) -> None:
    problem(api["operator"].post(MIGRATE, body), 400)
    assert not Operation.objects.exists()


@pytest.mark.parametrize(
    "body",
    [
        b"[]",
        b"1",
        b'"kvm2"',
        b"true",
        b"null",
        b"{}",
        b'{"host": 1}',
        b'{"host": null}',
        b'{"host": ["kvm2"]}',
        b'{"host": {"name": "kvm2"}}',
        b'{"host": ""}',
        b'{"host": "kvm2\\n"}',
        b'{"host": "../kvm2"}',
        b'{"host": "\\u202ekvm2"}',
        b'{"host": "kvm2", "bandwidth": 99999999999999999999}',
        b'{"host": "kvm2", "bandwidth": 1.5}',
        b'{"host": "kvm2", "persist": "false"}',
        b'{"host": "kvm2", "__proto__": {}}',
    ],
    ids=repr,
)
def test_a_body_with_wrong_values_is_422_and_names_them(api: dict[str, ApiClient], body: bytes) -> None:
    told = problem(api["operator"].post(MIGRATE, body), 422)
    assert all({"location", "field", "message"} == set(one) for one in told["errors"])
    assert not Operation.objects.exists()


@pytest.mark.parametrize(
    "kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "text/json", ""]
)
def test_a_body_that_is_not_said_to_be_json_is_415(api: dict[str, ApiClient], kind: str) -> None:
    problem(api["operator"].post(MIGRATE, b'{"host": "kvm2"}', content_type=kind), 415)
    assert not Operation.objects.exists()


def test_json_may_name_its_charset(api: dict[str, ApiClient]) -> None:
    kind = "application/json; charset=utf-8"
    assert api["operator"].post(MIGRATE, b'{"host": "kvm2"}', content_type=kind).status_code == 202


def test_a_body_that_is_too_large_is_413(api: dict[str, ApiClient]) -> None:
    body = b'{"host": "' + b"x" * settings.DATA_UPLOAD_MAX_MEMORY_SIZE + b'"}'
    problem(api["operator"].post(MIGRATE, body), 413)


def test_a_body_that_hides_its_length_is_too_large_too(settings: Any) -> None:
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 10
    scope = {"type": "http", "method": "POST", "path": "/", "headers": [(b"content-type", b"application/json")]}
    with pytest.raises(RequestDataTooBig):
        JsonParser().parse_body(ASGIRequest(scope, BytesIO(b'{"host": "kvm2"}')))


@pytest.mark.parametrize(
    ("path", "field"),
    [
        ("vms?page=0", "page"),
        ("vms?page=-1", "page"),
        ("vms?page=99999999999999999999999", "page"),
        ("vms?page=1e3", "page"),
        ("vms?page=", "page"),
        ("vms?page_size=501", "page_size"),
        ("vms?state=flying", "state"),
        ("vms?sort=password", "sort"),
        ("vms?sort=host__tls_key", "sort"),
        ("vms?seen=never", "seen"),
        ("vms?autostart=maybe", "autostart"),
        ("vms?q=" + "x" * 201, "q"),
        ("vms?q=" + "a+" * 13, "q"),
        ("vms?q=%00", "q"),
        ("vms?folder=%1b[2J", "folder"),
        ("vms?stat=running", "stat"),
        ("vms?host__tls_key=x", "host__tls_key"),
        ("hosts?page=x", "page"),
        ("hosts?state=connected", "state"),
        ("operations?state=done", "state"),
        ("operations?kind=%00", "kind"),
        ("operations?actor=%00", "actor"),
        ("operations?vm=1", "vm"),
        ("operations?since=yesterday", "since"),
        ("operations?since=2024-01-01", "since"),
        ("operations?since=2024-01-01T00:00:00", "since"),
        ("operations?since=0001-01-01T00:00:00%2B23:59", "since"),
        ("operations?since=9999-12-31T23:59:59-23:59", "since"),
        ("operations/1", "id"),
        ("vms/1", "uuid"),
        ("hosts/a%00b", "name"),
        ("hosts/%F0%9F%92%A9", "name"),
        ("hosts/" + "a" * 64, "name"),
    ],
)
def test_a_wrong_value_in_the_address_is_422_and_named(api: dict[str, ApiClient], path: str, field: str) -> None:
    told = problem(api["viewer"].client.get(f"/api/v1/{path}", headers=api["viewer"].headers), 422)
    assert [one["field"] for one in told["errors"]] == [field]


@pytest.mark.parametrize("text", ["' OR 1=1 --", "%", "_", "\\", "💩", "\u202e", "<script>", "{{7*7}}", "🇻🇳 máy ảo"])
def test_odd_words_are_searched_for_like_any_others(api: dict[str, ApiClient], text: str) -> None:
    for name in ("q", "tag", "folder", "host", "os"):
        assert api["viewer"].get("vms", **{name: text}).json()["count"] == 0


def test_strangers_learn_nothing_from_errors(api: dict[str, ApiClient]) -> None:
    for path in (f"vms/{VM1}", "vms/1", "vms?page=0", "hosts/nobody"):
        problem(api["stranger"].get(path), 401)
    problem(api["stranger"].post(MIGRATE, b"{"), 401)


def test_denied_and_refused_are_problems(api: dict[str, ApiClient]) -> None:
    problem(api["viewer"].post(f"vms/{VM1}/shutdown"), 403)
    api["operator"].post(f"vms/{VM1}/shutdown")
    problem(api["operator"].post(f"vms/{VM1}/reset"), 409)


def test_a_mistake_of_ours_is_500_without_details(api: dict[str, ApiClient], monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_args: Any) -> None:
        raise RuntimeError("the secret is 42")

    monkeypatch.setattr("vms.api.filter_vms", broken)
    answer = api["viewer"].get("vms")
    told = problem(answer, 500)
    assert "42" not in answer.content.decode()
    assert "X-Request-ID" in told["detail"] and answer.headers["X-Request-ID"]
