"""What deploy/ describes, run: production mode behind nginx and Caddy with those very files, and the units looked at."""

from __future__ import annotations

import http.client
import json
import re
import shutil
import sqlite3
import subprocess
import sys

import libvirt
import pytest
from django.core.management import get_commands
from websockets.exceptions import ConnectionClosed, InvalidStatus

from conftest import wait_until
from hosts.tests.pem import Authority
from kvmdash.limits import most_bytes
from kvmdash.tests.deployed import (
    BROWSER,
    DEPLOY,
    NAME,
    Browser,
    Deployed,
    Proxy,
    odd_ticket,
    program_of,
    swapped,
)
from kvmdash.tests.program import PROJECT
from lab.testhosts import free_port
from vms.tests.console.screens import Screen
from vms.tests.console.viewer import Viewer

pytestmark = pytest.mark.services

KINDS = ("nginx", "caddy")
FORGED = "6.6.6.6"
METRICS = "m" * 40
GUEST = (
    "<domain type='test'><name>seen</name><memory unit='MiB'>64</memory><os><type>hvm</type></os>"
    "<devices><graphics type='vnc' port='{port}' autoport='no' listen='127.0.0.1'/></devices></domain>"
)


@pytest.fixture(scope="module")
def authority():
    return Authority("a certificate authority")


@pytest.fixture(scope="module")
def screen():
    made = Screen("seen")
    yield made
    made.close()


@pytest.fixture(scope="module")
def dashboard(test_host, screen):
    """In production mode, with one guest whose VNC server is ours."""
    for kind in KINDS:
        program_of(kind)
    guest = libvirt.open(test_host.uri).createXML(GUEST.format(port=screen.port), 0)
    ports = {kind: free_port() for kind in KINDS}
    running = Deployed(list(ports.values()), KVMDASH_METRICS_TOKEN=METRICS)
    running.ports = ports
    running.guest = guest.UUIDString()
    running.prepare("kvm1", test_host.uri)
    running.start()
    yield running
    running.stop()
    guest.destroy()
    shutil.rmtree(running.folder, ignore_errors=True)


@pytest.fixture(scope="module", params=KINDS)
def proxy(request, dashboard, authority):
    made = Proxy(request.param, dashboard.ports[request.param], dashboard.port, dashboard.gateway_port, authority)
    yield made
    made.stop()


@pytest.fixture
def stranger(proxy, authority):
    return Browser(proxy, authority)


@pytest.fixture(scope="module")
def person(proxy, authority):
    """Somebody who logged in."""
    browser = Browser(proxy, authority)
    assert browser.login().status == 302
    return browser


def newest(dashboard, action):
    """(address, result) of the audit list's newest entry of that action."""
    with sqlite3.connect(f"file:{dashboard.folder}/kvmdash.sqlite3?mode=ro", uri=True) as rows:
        query = "select address, result from hosts_auditentry where action = ? order by id desc limit 1"
        return rows.execute(query, (action,)).fetchone()


def test_logging_in_over_tls_gives_cookies_for_tls_alone(dashboard, stranger):
    answer = stranger.login(X_Forwarded_For=FORGED)
    assert (answer.status, answer.headers["Location"]) == (302, "/")
    cookies = {line.split("=")[0]: line.lower() for line in stranger.set_cookies}
    for name in ("kvmdash_session", "kvmdash_csrf"):
        assert {"secure", "httponly", "samesite=lax"} <= {part.strip() for part in cookies[name].split(";")}, name
    page = stranger.ask("GET", "/")
    assert page.status == 200
    token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', page.text)[1]
    body = f"csrfmiddlewaretoken={token}&language=vi".encode()
    stranger.ask("POST", "/i18n/language/", body, Origin=stranger.proxy.origin)
    assert "secure" in next(line for line in stranger.set_cookies if line.startswith("django_language=")).lower()
    assert page.headers["Strict-Transport-Security"].startswith("max-age=31536000")
    assert newest(dashboard, "login") == (BROWSER, "done")


def test_what_comes_without_tls_is_sent_to_tls(proxy):
    connection = http.client.HTTPConnection("127.0.0.1", proxy.plain_port, timeout=20)
    connection.request("GET", "/vms/?q=a", headers={"Host": NAME})
    answer = connection.getresponse()
    assert answer.status == 308
    assert re.fullmatch(rf"https://{NAME}(:\d+)?/vms/\?q=a", answer.headers["Location"])
    connection.close()


def test_static_files_have_hashed_names_and_are_kept_for_good(stranger):
    page = stranger.ask("GET", "/account/login/")
    paths = set(re.findall(r'"(/static/[^"#]+\.(?:css|js|svg|woff2))', page.text))
    assert paths
    for path in paths:
        assert re.search(r"\.[0-9a-f]{12}\.\w+$", path), path
        answer = stranger.ask("GET", path, Accept_Encoding="gzip")
        assert (answer.status, "immutable" in answer.headers["Cache-Control"]) == (200, True), path


def test_a_push_socket_opens_for_a_page_of_ours_and_for_no_other(person, stranger):
    with person.websocket("/ws/live/") as socket:
        assert "hello" in json.loads(socket.recv(timeout=20))
        socket.send(json.dumps({"watch": ["drawer:all"]}))
    for origin in ("https://evil.example", f"https://{NAME}.evil.example", "null"):
        with pytest.raises(InvalidStatus) as refused:
            person.websocket("/ws/live/", origin)
        assert refused.value.response.status_code == 403
    with stranger.websocket("/ws/live/") as socket, pytest.raises(ConnectionClosed) as closed:
        socket.recv(timeout=20)
    assert closed.value.rcvd.code == 4401


def test_a_change_from_a_page_elsewhere_is_refused(person):
    token = person.cookies["kvmdash_csrf"]
    for origin in ("https://evil.example", "null", "http://" + NAME):
        answer = person.ask("POST", "/account/logout/", b"", X_CSRFToken=token, Origin=origin)
        assert answer.status == 403
    assert person.ask("GET", "/").status == 200


def test_the_console_path_leads_straight_to_the_gateway(person):
    with person.websocket(f"/ws/console/?ticket={odd_ticket()}") as socket, pytest.raises(ConnectionClosed) as closed:
        socket.recv(timeout=20)
    assert (closed.value.rcvd.code, "ticket" in closed.value.rcvd.reason) == (4401, True)
    # The gateway itself answers 403; by way of the web role it would be an open socket with a code.
    with pytest.raises(InvalidStatus) as refused:
        person.websocket(f"/ws/console/?ticket={odd_ticket()}", "https://evil.example")
    assert refused.value.response.status_code == 403


def ticket_path(person, dashboard):
    """Ask for a console as the page does; where its websocket goes."""
    path = f"/vms/{dashboard.guest}/console/ticket/"

    def asked():
        answer = person.ask(
            "POST", path, b"", X_CSRFToken=person.cookies["kvmdash_csrf"], Origin=person.proxy.origin,
            Referer=person.proxy.origin,
        )  # fmt: skip
        return json.loads(answer.text)["url"] if answer.status == 200 else None

    return wait_until(asked, 30, "the guest to be known")


class Through(Viewer):
    """A viewer on a websocket that is open already."""

    def __init__(self, websocket):
        self.websocket, self._inbox = websocket, b""


def test_a_guest_s_screen_is_seen_through_the_proxy(person, dashboard, proxy):
    path = ticket_path(person, dashboard)
    with person.websocket(path, **{"X-Forwarded-For": FORGED}) as socket:
        assert Through(socket).greet().name == "seen"
        assert newest(dashboard, "console.open") == (BROWSER, "done")
    assert path.partition("=")[2] not in proxy.logs() + dashboard.log()
    assert "/ws/console/" in wait_until(lambda: proxy.logs() if "/ws/console/" in proxy.logs() else "", 10)


def test_a_body_that_is_a_byte_too_large_is_refused(stranger):
    for path in ("/account/login/", "/api/v1/vms/bulk"):
        # Caddy hands on while it counts: when the dashboard, which counts too, was first to hang up, that is a 502.
        assert stranger.ask("POST", path, bytes(most_bytes() + 1)).status in (413, 502)
        assert stranger.ask("POST", path, bytes(most_bytes() - 1)).status != 413 or "/api/" in path


@pytest.mark.parametrize("kind", KINDS)
def test_what_a_gateway_that_is_down_makes_a_proxy_write_holds_no_ticket(dashboard, authority, kind):
    lonely = Proxy(kind, free_port(), dashboard.port, free_port(), authority)
    ticket = odd_ticket()
    try:
        with pytest.raises(InvalidStatus) as refused:
            Browser(lonely, authority).websocket(f"/ws/console/?ticket={ticket}")
        assert refused.value.response.status_code == 502
        wait_until(lambda: "/ws/console/" in lonely.logs(), 10, "the access log")
        assert ticket not in lonely.logs()
    finally:
        lonely.stop()


def test_the_figures_are_for_whoever_has_the_token(stranger):
    assert stranger.ask("GET", "/metrics").status == 403
    answer = stranger.ask("GET", "/metrics", Authorization=f"Bearer {METRICS}")
    assert (answer.status, 'kvmdash_workers{role="inventory"} 1.0' in answer.text) == (200, True)


# --- past the proxy


def direct(dashboard, method, path, source, body=None, **headers):
    """Somebody who reached the web role's own port."""
    connection = http.client.HTTPConnection("127.0.0.1", dashboard.port, timeout=20, source_address=(source, 0))
    connection.request(method, path, body, {"Host": NAME, "X-Forwarded-Proto": "https"} | headers)
    answer = connection.getresponse()
    answer.content = answer.read()
    connection.close()
    return answer


def test_an_address_that_no_trusted_proxy_names_is_not_believed(dashboard):
    form = direct(dashboard, "GET", "/account/login/", "127.0.0.8")
    cookie = form.headers["Set-Cookie"].split(";")[0]
    token = re.search(rb'csrfmiddlewaretoken" value="(\w+)"', form.content)[1].decode()
    answer = direct(
        dashboard, "POST", "/account/login/", "127.0.0.8",
        f"csrfmiddlewaretoken={token}&login=nobody&password=wrong".encode(),
        **{"X-Forwarded-For": FORGED, "Cookie": cookie, "Origin": f"https://{NAME}",
           "Content-Type": "application/x-www-form-urlencoded"},
    )  # fmt: skip
    assert answer.status == 200
    assert newest(dashboard, "login") == ("127.0.0.8", "failed")


def test_plain_http_and_a_foreign_name_get_nothing(dashboard):
    answer = direct(dashboard, "GET", "/account/login/", BROWSER, **{"X-Forwarded-Proto": "http"})
    assert (answer.status, answer.headers["Location"]) == (301, f"https://{NAME}/account/login/")
    assert direct(dashboard, "GET", "/account/login/", BROWSER, Host="evil.example").status == 400


@pytest.mark.parametrize("path", ["/account/login/", "/vms/", "/api/v1/vms/bulk", "/healthz"])
@pytest.mark.parametrize("declared", [True, False])
def test_a_body_that_is_too_large_is_refused_before_anybody_reads_it(dashboard, path, declared):
    connection = http.client.HTTPConnection("127.0.0.1", dashboard.port, timeout=20)
    connection.putrequest("POST", path, skip_host=True)
    size = {"Content-Length": str(1 << 40)} if declared else {"Transfer-Encoding": "chunked"}
    for name, value in ({"Host": NAME, "X-Forwarded-Proto": "https"} | size).items():
        connection.putheader(name, value)
    connection.endheaders()
    if not declared:  # One chunk, whose end nobody says.
        connection.send(f"{1 << 40:x}\r\n".encode() + bytes(most_bytes() + 1))
    answer = connection.getresponse()
    assert (answer.status, answer.headers["Connection"]) == (413, "close")
    assert answer.headers["Content-Type"].startswith("application/problem" if "/api/" in path else "text/plain")
    connection.close()


# --- the units

UNITS = sorted(path.name for path in (DEPLOY / "systemd").iterdir())
SERVICES = [name for name in UNITS if name.endswith(".service")]


@pytest.fixture(scope="module")
def units(tmp_path_factory):
    """The units with this checkout's paths, all in one folder."""
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd is not installed")
    folder = tmp_path_factory.mktemp("units")
    for name in UNITS:
        text = (DEPLOY / "systemd" / name).read_text()
        paths = {"/opt/kvmdash/.venv/bin/python": sys.executable} if name.endswith(".service") else {}
        (folder / name).write_text(swapped(text, paths | {"/opt/kvmdash": str(PROJECT)}))
    return folder


def analyze(*arguments):
    return subprocess.run(["systemd-analyze", *arguments], capture_output=True, text=True, timeout=60, check=False)


def test_systemd_finds_nothing_wrong_with_the_units(units):
    done = analyze("verify", *[str(units / name) for name in UNITS])
    assert (done.returncode, done.stderr) == (0, "")


def test_systemd_finds_out_about_a_unit_that_is_wrong(units, tmp_path):
    wrong = tmp_path / "kvmdash.service"
    wrong.write_text((units / "kvmdash.service").read_text().replace("ProtectSystem=", "ProtectSistem="))
    assert "ProtectSistem" in analyze("verify", str(wrong)).stderr


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_is_shut_in_and_runs_a_command_that_there_is(units, name):
    text = (units / name).read_text()
    assert analyze("security", "--offline=yes", "--threshold=20", str(units / name)).returncode == 0
    commands = re.findall(r"^ExecStart=.*manage\.py (\w+)", text, re.MULTILINE)
    assert commands and set(commands) <= set(get_commands())
    assert "User=kvmdash\n" in text and "EnvironmentFile=/etc/kvmdash/kvmdash.env\n" in text
    # What one may not touch, none may.
    assert _walls(text) == _walls((units / "kvmdash.service").read_text())


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_that_stays_says_when_it_is_ready_and_comes_back(units, name):
    text = (units / name).read_text()
    if "Type=oneshot" in text:
        assert "Restart=" not in text
        return
    # test_readiness.py has every role say it.
    assert "Type=notify\n" in text and "Restart=on-failure\n" in text and "StartLimitIntervalSec=0\n" in text


def _walls(text):
    return text.partition("# What the program may touch")[2].partition("\n\n")[0].strip()


def test_the_account_of_the_services_can_be_made():
    program_of("systemd-sysusers")
    file = DEPLOY / "sysusers.d" / "kvmdash.conf"
    done = subprocess.run(
        ["systemd-sysusers", "--dry-run", str(file)], capture_output=True, text=True, timeout=30, check=False
    )
    assert done.returncode == 0, done.stderr
