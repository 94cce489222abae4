"""The one-port road: a real server with the relay in it, in front of a real gateway."""

from __future__ import annotations

import struct
import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import Any

import pytest
import uvicorn

from conftest import wait_until
from hosts import notify
from vms.console import records
from vms.console.access import console_path, open_console
from vms.console.relay import ConsoleRelay, _session_only
from vms.models import ConsoleSession
from vms.tests.console.conftest import Bench, cookies_of
from vms.tests.console.viewer import Viewer

KEY = struct.pack(">BBxxI", 4, 1, 0x61)


class Road:
    """The server in front; connects like a browser."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        config = uvicorn.Config(
            ConsoleRelay(), port=0, lifespan="off", log_config=None, access_log=False, ws="websockets-sansio",
            ws_per_message_deflate=False, ws_max_size=4 * 1024 * 1024, proxy_headers=False, timeout_graceful_shutdown=1,
        )  # fmt: skip
        self.server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self.server.run, daemon=True)
        self._thread.start()
        wait_until(lambda: self.server.started)
        self.port = self.server.servers[0].sockets[0].getsockname()[1]

    def view(self, user: Any, vm: Any, **options: Any) -> Viewer:
        """Open a console through the relay."""
        path = console_path(open_console(user, vm, view_only=False))
        return self.connect(path, **options)

    def connect(self, path: str, **options: Any) -> Viewer:
        viewer = Viewer(f"ws://127.0.0.1:{self.port}{path}", **options)
        self.bench.viewers.append(viewer)
        return viewer

    def stop(self) -> None:
        for viewer in self.bench.viewers:
            viewer.websocket.close()
        self.server.should_exit = True
        self._thread.join(10)


@pytest.fixture
def road(bench: Bench, settings: Any) -> Iterator[Road]:
    """The relay, handing on to the gateway."""
    settings.CONSOLE_GATEWAY = f"127.0.0.1:{bench.gateway.port}"
    made = Road(bench)
    yield made
    made.stop()


def test_a_console_goes_through_the_dashboard_s_own_port(road, bench, people):
    vm = bench.guest("alpha")
    viewer = road.view(people["operator"], vm, headers={"X-Forwarded-For": "6.6.6.6"}).greet()
    assert viewer.name == "alpha"
    assert viewer.websocket.subprotocol == "binary"
    viewer.send(KEY)
    wait_until(lambda: bench.screens[vm.uuid].told == KEY)
    # No trusted proxy said so: the peer's own address counts.
    assert ConsoleSession.objects.get().address == "127.0.0.1"
    viewer.websocket.close()
    wait_until(lambda: ConsoleSession.objects.exclude(closed_at=None).exists())


def test_the_address_that_a_trusted_proxy_names_reaches_the_record(road, bench, people, settings):
    settings.TRUSTED_PROXIES = ["127.0.0.1"]
    road.view(people["operator"], bench.guest("alpha"), headers={"X-Forwarded-For": "6.6.6.6, 10.3.2.1"}).greet()
    assert ConsoleSession.objects.get().address == "10.3.2.1"


def test_close_codes_and_words_of_the_gateway_reach_the_browser(road, bench, people):
    viewer = road.connect("/ws/console/?ticket=nonsense")
    assert viewer.close_code() == 4401
    assert "ticket" in viewer.close_reason
    viewer = road.view(people["operator"], bench.guest("alpha")).greet()
    people["operator"].is_active = False
    people["operator"].save()
    assert viewer.close_code() == 4403


def test_a_guest_s_end_reaches_the_browser(road, bench, people):
    vm = bench.guest("alpha")
    viewer = road.view(people["operator"], vm).greet()
    type(vm).objects.update(power_state="shutoff")
    assert viewer.close_code() == 4404


def test_a_page_s_ticket_opens_through_the_relay_in_its_own_browser_only(road, bench, people, session_key):
    vm, mine, foreign = bench.guest("alpha"), session_key(), session_key()
    for headers, opens in ((cookies_of(mine), True), (cookies_of(foreign), False), ({}, False)):
        path = console_path(open_console(people["operator"], vm, view_only=False, session_key=mine))
        viewer = road.connect(path, headers=headers)
        if opens:
            assert viewer.greet().name == "alpha"
        else:
            assert viewer.close_code() == 4401


def test_no_other_cookie_goes_on_to_the_gateway():
    assert _session_only("theme=dark; kvmdash_session=abc; kvmdash_csrf=x") == "kvmdash_session=abc"
    assert _session_only("theme=dark") == "kvmdash_session="


def test_without_a_gateway_the_browser_is_told(road, bench, people):
    path = console_path(open_console(people["operator"], bench.guest("alpha"), view_only=False))
    bench.gateway.stop()
    assert road.connect(path).close_code() == 4503


def test_a_gateway_that_dies_is_told(road, bench, people):
    viewer = road.view(people["operator"], bench.guest("alpha")).greet()
    threading.Thread(target=bench.gateway.stop).start()
    assert viewer.close_code() == 1001


def test_a_foreign_origin_is_refused_by_the_gateway_behind_the_relay_too(road, bench, people, settings):
    settings.ALLOWED_HOSTS = ["dash.example"]
    path = console_path(open_console(people["operator"], bench.guest("alpha"), view_only=False))
    assert road.connect(path, origin="https://evil.example").close_code() == 4503
    assert not ConsoleSession.objects.exists()


def test_a_stalled_browser_holds_up_its_guest_through_the_relay_too(road, bench, people):
    vm = bench.guest("alpha", flood=True)
    screen = bench.screens[vm.uuid]
    road.view(people["operator"], vm).greet()

    def stands_still() -> bool:
        before = screen.sent
        threading.Event().wait(1.0)
        return before > 0 and screen.sent == before

    wait_until(stands_still, 60, "the guest to be held up")
    assert screen.sent < 64 * 1024 * 1024


def test_the_pages_are_told_by_the_relay(road, bench, people, monkeypatch):
    heard: list[str] = []
    vm = bench.guest("alpha")
    # Without a common channel layer the gateway's own word ends in its process.
    monkeypatch.setattr(records, "_tell", lambda _uuid: None)
    stop = notify.bus.listen(lambda message: heard.extend(message.get("topics", ())))
    try:
        viewer = road.view(people["operator"], vm).greet()
        wait_until(lambda: f"console:{vm.uuid}" in heard)
        heard.clear()
        viewer.websocket.close()
        wait_until(lambda: f"console:{vm.uuid}" in heard)
    finally:
        stop()


def test_the_relay_loads_no_libvirt():
    code = (
        "import django, os, sys; os.environ['DJANGO_SETTINGS_MODULE'] = 'kvmdash.settings_test'; django.setup(); "
        "import vms.console.relay, vms.console.access; assert 'libvirt' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
