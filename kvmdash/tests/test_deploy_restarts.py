"""Web processes that are restarted one after the other behind the proxies of deploy/."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler
from socketserver import ThreadingTCPServer

import pytest

from hosts.tests.pem import Authority
from kvmdash.tests.deployed import Browser, Proxy, program_of
from lab.testhosts import free_port

pytestmark = pytest.mark.services


class Answer(BaseHTTPRequestHandler):
    """Says yes to whatever is asked."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Nothing."""


class Server(ThreadingTCPServer):
    """Takes a port again that was just let go."""

    allow_reuse_address = daemon_threads = True


class Web:
    """Stands for a web process at that port, which can be away and come back."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._server: ThreadingTCPServer | None = None

    def start(self) -> None:
        self._server = Server(("127.0.0.1", self._port), Answer)
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def stop(self) -> None:
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None


@pytest.mark.parametrize("kind", ["nginx", "caddy"])
def test_nobody_sees_web_processes_restart_one_after_the_other(kind: str) -> None:
    program_of(kind)
    ports = free_port(), free_port()
    first, second = Web(ports[0]), Web(ports[1])
    second.start()
    authority = Authority("a certificate authority")
    proxy = Proxy(kind, free_port(), ports[0], free_port(), authority, second_web=ports[1])
    browser = Browser(proxy, authority)
    try:
        assert [browser.ask("GET", "/").status for _ in range(8)] == [200] * 8
        first.start()
        second.stop()
        assert [browser.ask("GET", "/").status for _ in range(8)] == [200] * 8
    finally:
        proxy.stop()
        first.stop()
        second.stop()
