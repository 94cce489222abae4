"""What every kind of answer tells the browser to keep to, and how much is taken from it."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from django.http import HttpResponse
from django.test import Client

from hosts.models import User
from kvmdash.tests.cluster import VM1, ApiClient, make_cluster

pytestmark = pytest.mark.django_db(databases=["default", "metrics"])

HTMX = {"HX-Request": "true"}
#: kind of answer → (address, its status)
HTML = {
    "login": ("/account/login/", 200),
    "page with the shell": ("/vms/", 200),
    "page of one thing": (f"/vms/{VM1}/", 200),
    "form": ("/hosts/add/", 200),
    "console's own window": (f"/vms/{VM1}/console/window/", 200),
    "text console's own window": (f"/vms/{VM1}/console/serial/window/", 200),
    "administration": ("/administration/", 200),
    "account": ("/account/2fa/", 200),
    "API's documentation": ("/api/v1/docs", 200),
    "not found": ("/no/such/page/", 404),
    "closed": ("/account/signup/", 404),
}
OTHERS = {
    "redirect": ("/account/2fa/totp/activate/", 302),
    "definition to download": (f"/vms/{VM1}/definition/inactive.xml", 200),
    "figures": (f"/vms/{VM1}/history.json?range=1h", 200),
    "API": ("/api/v1/vms", 200),
    "API's error": ("/api/v1/vms/nonsense", 422),
    "API's schema": ("/api/v1/openapi.json", 200),
    "health": ("/healthz", 200),
}
DIRECTIVES = {
    "default-src": {"'self'"},
    "script-src": {"'self'", "nonce"},
    "style-src": {"'self'", "nonce"},
    "img-src": {"'self'", "data:", "blob:"},
    "connect-src": {"'self'"},
    "object-src": {"'none'"},
    "base-uri": {"'self'"},
    "form-action": {"'self'"},
    "frame-ancestors": {"'none'"},
}


@pytest.fixture
def administrator(people: dict[str, Any]) -> User:
    make_cluster()
    from vms.models import VirtualMachine

    VirtualMachine.objects.update(addresses=[])
    user: User = people["administrator"]
    return user


@pytest.fixture
def browser(administrator: User) -> Client:
    client = Client()
    client.force_login(administrator)
    return client


def got(client: Client, kind: str, **headers: str) -> HttpResponse:
    address, status = (HTML | OTHERS)[kind]
    if kind == "login":
        client = Client()
    answer = client.get(address, headers=headers)
    assert answer.status_code == status, (address, answer.status_code)
    return answer


def policy(answer: HttpResponse) -> dict[str, set[str]]:
    """The directives with what they allow; a nonce is told as such."""
    parts = [part.split() for part in answer.headers["Content-Security-Policy"].split(";") if part.strip()]
    return {name: {"nonce" if value.startswith("'nonce-") else value for value in values} for name, *values in parts}


@pytest.mark.parametrize("kind", [*HTML, *OTHERS])
def test_every_kind_of_answer_is_fenced_in(browser: Client, kind: str) -> None:
    answer = got(browser, kind)
    told = policy(answer)
    for name, allowed in DIRECTIVES.items():
        # A nonce is only there where a page asks for one.
        assert told[name] <= allowed and told[name] >= allowed - {"nonce"}, name
    assert set(told) == set(DIRECTIVES)
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["X-Frame-Options"] == "DENY"
    assert answer.headers["Referrer-Policy"] == "same-origin"
    assert answer.headers["Cross-Origin-Opener-Policy"] == "same-origin"
    assert "Access-Control-Allow-Origin" not in answer.headers


@pytest.mark.parametrize("kind", HTML)
@pytest.mark.parametrize("htmx", [False, True])
def test_no_page_has_script_or_style_that_the_policy_would_refuse(browser: Client, kind: str, htmx: bool) -> None:
    answer = got(browser, kind, **(HTMX if htmx else {}))
    text = answer.content.decode()
    nonces = set(re.findall(r"'nonce-([^']+)'", answer.headers["Content-Security-Policy"]))
    for tag in re.findall(r"<(?:script|style)\b[^>]*>", text):
        if 'type="application/json"' in tag:
            continue
        assert ' src="/' in tag or any(f'nonce="{nonce}"' in tag for nonce in nonces), tag
    assert not re.findall(
        r"<[^>]+\s(?:style|on[a-z]+)\s*=\s*[\"'][^>]*>", re.sub(r"<script.*?</script>", "", text, flags=re.S)
    )
    assert not re.findall(r"(?:href|src|action)=[\"']?\s*javascript:", text)
    assert not re.findall(r"(?:src|href)=[\"'](?:https?:)?//", re.sub(r"<a\b[^>]*>", "", text)), "from elsewhere"


def test_a_nonce_is_used_once(browser: Client) -> None:
    nonces = [
        re.findall(r"'nonce-([^']+)'", got(browser, "page with the shell")["Content-Security-Policy"]) for _ in "12"
    ]
    assert nonces[0] and nonces[0] != nonces[1]


@pytest.mark.parametrize("kind", [kind for kind in (*HTML, *OTHERS) if kind not in ("login", "health")])
def test_what_somebody_who_is_logged_in_sees_is_kept_by_nobody(browser: Client, kind: str) -> None:
    told = got(browser, kind).headers["Cache-Control"]
    assert "no-store" in told and "private" in told


def test_a_definition_is_a_file_and_no_page(browser: Client) -> None:
    assert got(browser, "definition to download").headers["Content-Disposition"].startswith("attachment")


def test_an_error_of_ours_is_fenced_in_and_tells_nothing(browser: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    from hosts import access

    def broken(*_: Any) -> Any:
        raise RuntimeError("hunter2")

    monkeypatch.setattr(access, "visible_to", broken)
    browser.raise_request_exception = False
    answer = browser.get("/vms/")
    assert answer.status_code == 500
    assert policy(answer)["frame-ancestors"] == {"'none'"}
    assert b"hunter2" not in answer.content and b"Traceback" not in answer.content


@pytest.fixture
def behind_tls(settings: Any) -> None:
    """As KVMDASH_TLS_PROXY sets it (test_deploy has the real thing)."""
    settings.SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    settings.SECURE_SSL_REDIRECT = True
    settings.SECURE_HSTS_SECONDS = 31536000
    settings.SESSION_COOKIE_SECURE = settings.CSRF_COOKIE_SECURE = settings.LANGUAGE_COOKIE_SECURE = True


@pytest.mark.parametrize("kind", [*HTML, *OTHERS])
def test_behind_tls_every_kind_of_answer_says_to_stay_there(behind_tls: None, administrator: User, kind: str) -> None:
    client = Client(headers={"X-Forwarded-Proto": "https"})
    client.force_login(administrator)
    assert (
        got(client, kind, **{"X-Forwarded-Proto": "https"})
        .headers["Strict-Transport-Security"]
        .startswith("max-age=31536000")
    )
    plain = Client().get((HTML | OTHERS)[kind][0])
    assert plain.status_code == 301 and plain["Location"].startswith("https://")


def test_cookies_are_for_the_server_alone_and_for_our_own_pages(behind_tls: None, people: dict[str, Any]) -> None:
    client = Client(headers={"X-Forwarded-Proto": "https"})
    client.get("/account/login/")
    client.post("/account/login/", {"login": "viewer", "password": "quite-long-enough"})
    client.post("/i18n/language/", {"language": "vi"})
    assert {"kvmdash_session", "kvmdash_csrf", "django_language"} <= set(client.cookies)
    for name, morsel in client.cookies.items():
        assert morsel["secure"] and morsel["samesite"] == "Lax", name
        assert morsel["httponly"] or name == "django_language", name
        assert not morsel["domain"], name


# --- how much is taken

MORE = 2 * 1024 * 1024 + 1


def by_login(_user: User, body: str) -> HttpResponse:
    return Client().post("/account/login/", {"login": body, "password": "x"})


def by_form(user: User, body: str) -> HttpResponse:
    client = Client()
    client.force_login(user)
    return client.post("/hosts/add/", {"name": "a", "description": body})


def by_urlencoded(user: User, body: str) -> HttpResponse:
    client = Client()
    client.force_login(user)
    return client.post(f"/vms/{VM1}/do/start/", f"a={body}", content_type="application/x-www-form-urlencoded")


def by_api(user: User, body: str) -> HttpResponse:
    return ApiClient(user).post(f"vms/{VM1}/set-metadata", {"title": body})


def by_stranger(_user: User, body: str) -> HttpResponse:
    return ApiClient().post(f"vms/{VM1}/set-metadata", {"title": body})


@pytest.mark.parametrize("road", [by_login, by_form, by_urlencoded, by_api, by_stranger])
def test_too_much_is_refused_on_every_road(administrator: User, road: Callable[[User, str], HttpResponse]) -> None:
    assert road(administrator, "x" * MORE).status_code in ((400, 413) if road is not by_stranger else (401,))


def test_too_many_fields_and_any_file_are_refused(browser: Client, settings: Any, tmp_path: Any) -> None:
    settings.DATA_UPLOAD_MAX_NUMBER_FIELDS = 100
    many = "&".join(f"ids={n}" for n in range(101))
    answer = browser.post("/vms/bulk/", many, content_type="application/x-www-form-urlencoded")
    assert answer.status_code == 400
    file = tmp_path / "file"
    file.write_bytes(b"x" * 4096)
    with file.open("rb") as handle:
        assert browser.post("/hosts/add/", {"name": handle}).status_code == 422
