"""The console gateway: websockify with what consoles need.

websockify's own threaded server keeps the target on the *server*, where one connection overwrites another's; drops its
plugins; logs the address with the ticket in it; and buffers for slow browsers without bound. Here ticket and target live on
the handler, the bytes are carried by vms.console.pump, and the rights of every open console are looked at every second.
"""

from __future__ import annotations

import contextlib
import ipaddress
import resource
import socket
import socketserver
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, TypeVar
from urllib.parse import parse_qs, urlsplit

import structlog
from django.conf import settings
from django.db import connections
from django.http.request import validate_host
from websockify.websocketproxy import LibProxyServer, ProxyRequestHandler
from websockify.websockifyserver import CompatibleWebSocket

from hosts import leases, notify
from hosts.sessions import row_key_of_header
from hosts.transfer import gateway as transfer
from hosts.transfer.desk import Desk
from hosts.work import DATABASE_AWAY, database_work
from vms.console import records
from vms.console.browser import Browser
from vms.console.closing import UNREACHABLE, WITHDRAWN, Closing
from vms.console.line import Line, Target, dial, turn_for
from vms.console.pump import GuestGone, Pump
from vms.console.records import Grant, Standing
from vms.console.rfb import begin, greet_browser, greet_guest
from vms.console.serial.company import Seat
from vms.console.serial.exchange import Exchange
from vms.console.serial.line import Line as TextLine
from vms.console.serial.ports import Consoles
from vms.console.serial.viewer import TextPump
from vms.console.viewing import ViewOnly
from vms.models import VirtualMachine

log = structlog.get_logger(__name__)
T = TypeVar("T")

FindTarget = Callable[[VirtualMachine], Target]
MACHINE_HEADER = "X-Console-Machine"
HANDSHAKE_SECONDS = 15.0
BEAT_SECONDS = 10.0
BURY_SECONDS = 60.0
#: rights that could not be looked at for so long are held for withdrawn
UNCHECKED_SECONDS = 60.0
#: after the guest's end closed, how long the mirror is given to tell why
_WHY_SECONDS = 3.0
_LIMIT = 4000
_STACK_BYTES = 512 * 1024
_GOING_AWAY = 1001


class Forbidden(Exception):
    """No websocket for this origin."""


class ConsoleSocket(CompatibleWebSocket):  # type: ignore[misc]
    """websockify's websocket, used for the opening handshake."""

    def select_subprotocol(self, protocols: list[str]) -> str:
        return next((name for name in protocols if name.strip() == "binary"), "")

    def end_headers(self) -> None:
        machine = self.request_handler.machine
        if machine:
            self.send_header(MACHINE_HEADER, machine)
        super().end_headers()


class ConsoleHandler(ProxyRequestHandler):  # type: ignore[misc]
    """One browser. Everything about its console hangs on this object, nothing on the server."""

    server_version = "kvmdash"
    sys_version = ""
    timeout = 10
    SocketClass = ConsoleSocket
    machine = ""
    grant: Grant | None = None
    refusal: Closing | None = None

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
        """Nothing: the address has the ticket in it."""

    def handle_upgrade(self) -> None:
        """Checks before the answer; what the browser shall learn as a close code comes after it."""
        try:
            super().handle_upgrade()
        except Forbidden:
            self.close_connection = True
            self.send_error(403, "Wrong origin")

    def do_PATCH(self) -> None:  # noqa: N802 - the base class's way
        """The bytes of an upload."""
        gateway = self.server.gateway
        transfer.patch(self, gateway.desk, gateway.rows)

    def do_GET(self) -> None:  # noqa: N802
        """The bytes of a volume; everything else is a console."""
        if self.path.startswith(transfer.PREFIX):
            transfer.get(self, self.server.gateway.rows)
            return
        super().do_GET()

    def validate_connection(self) -> None:
        """Origin and ticket. A refused ticket is told by close code, because browsers hide all else."""
        if not is_allowed_origin(self.headers.get("Origin")):
            raise Forbidden
        text = parse_qs(urlsplit(self.path).query).get("ticket", [""])[0]
        try:
            session = row_key_of_header(self.headers.get("Cookie", ""))
            self.grant = self.server.gateway.admit(text, self._address(), session)
            self.machine = str(self.grant.vm.uuid)
        except Closing as closing:
            self.refusal = closing

    def auth_connection(self) -> None:
        """The ticket was it."""

    def _address(self) -> str | None:
        """The browser's address: the peer's, or what a proxy that we trust says."""
        peer = self.client_address[0]
        said = self.headers.get("X-Forwarded-For", "").rpartition(",")[2].strip()
        try:
            if said and (ipaddress.ip_address(peer).is_loopback or peer in settings.TRUSTED_PROXIES):
                peer = said
            return str(ipaddress.ip_address(peer))
        except ValueError:
            return None

    def handle_websocket(self) -> None:
        """Not the base class's: it logs the address."""
        self.new_websocket_client()

    def new_websocket_client(self) -> None:
        """Serve the console to its end."""
        self.connection.setblocking(False)
        early = self.rfile.peek()
        browser = Browser(self.connection, early)
        if self.grant is None:
            browser.close(self.refusal or Closing(UNREACHABLE))
            return
        self.server.gateway.serve(browser, self.grant)


class ConsoleServer(LibProxyServer):  # type: ignore[misc]
    """Accepts browsers, each on a thread of its own."""

    request_queue_size = 1024
    daemon_threads = True
    block_on_close = False

    def __init__(self, gateway: Gateway, host: str, port: int) -> None:
        self.gateway = gateway
        self._count = 0
        self._count_lock = threading.Lock()
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        super().__init__(ConsoleHandler, listen_host=host, listen_port=port)

    def server_bind(self) -> None:
        """Without HTTPServer's look-up of its own name, which can hang."""
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = str(self.server_address[0]), int(self.server_address[1])

    def process_request(self, request: Any, client_address: Any) -> None:
        with self._count_lock:
            if self._count >= _LIMIT:
                self.shutdown_request(request)
                return
            self._count += 1
        super().process_request(request, client_address)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            with self._count_lock:
                self._count -= 1

    def handle_error(self, request: Any, client_address: Any) -> None:
        log.warning("console handler failed", exc_info=True)


class Console:
    """One open console, as the watcher sees it."""

    def __init__(self, grant: Grant, interrupt: Callable[[], None]) -> None:
        self.standing = Standing.of(grant)
        self.verdict: Closing | None = None
        self._interrupt = interrupt

    def end(self, closing: Closing) -> None:
        """From any thread: close it with this reason."""
        self.verdict = self.verdict or closing
        self._interrupt()


class Gateway:
    """Listens, serves and watches. ``find_target`` says where a guest's screen is, ``consoles`` opens text consoles."""

    def __init__(
        self,
        find_target: FindTarget,
        host: str = "127.0.0.1",
        port: int = 0,
        watch_seconds: float = 1.0,
        consoles: Consoles | None = None,
    ) -> None:
        self.name = leases.new_owner()
        self.consoles: dict[int, Console] = {}
        self._find_target = find_target
        self._watch_seconds = watch_seconds
        self._stopping = threading.Event()
        self._checked = time.monotonic()
        # Few threads talk to the database, for all consoles: each would need a connection with its caches.
        self._database = ThreadPoolExecutor(3, thread_name_prefix="console-rows")
        self.desk = Desk(self.name, self.rows)
        self.exchange = Exchange(self.name, consoles, self.rows)
        raise_descriptor_limit()
        self.server = ConsoleServer(self, host, port)
        self._threads = [
            threading.Thread(target=self.server.serve_forever, args=(0.2,), name="console-accept", daemon=True),
            threading.Thread(target=self._watch, name="console-watch", daemon=True),
        ]

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self.server.server_port)

    def start(self) -> None:
        """Bury what dead gateways left, then serve."""
        if settings.REDIS_URL:
            notify.bus.start_thread()
        self.rows(records.bury_dead_gateways)
        threading.stack_size(_STACK_BYTES)
        for thread in self._threads:
            thread.start()
        self.desk.start()
        log.info("console gateway listens", port=self.port, gateway=self.name)

    def stop(self, seconds: float = 4.0) -> None:
        """Close every console with a word, and end; once."""
        if self._stopping.is_set():
            return
        self._stopping.set()
        self.server.shutdown()
        self.server.server_close()
        self.end_all(Closing(_GOING_AWAY, "The console gateway restarts."))
        until = time.monotonic() + seconds
        while self.consoles and time.monotonic() < until:
            time.sleep(0.02)
        self._threads[1].join(seconds)
        self.desk.stop()
        self.exchange.stop()
        try:
            self.rows(records.abandon, self.name)
        except DATABASE_AWAY as error:
            log.warning("records of open consoles were not closed; another gateway does it", error=str(error))
        self._database.submit(connections.close_all).result()
        self._database.shutdown(wait=True, cancel_futures=True)

    def end_all(self, closing: Closing) -> None:
        """Close them all for the same reason."""
        for console in list(self.consoles.values()):
            console.end(closing)

    def rows(self, work: Callable[..., T], *arguments: Any) -> T:
        """Work with the database, on one of the threads for it."""
        return self._database.submit(_with_database, work, *arguments).result()

    def admit(self, ticket: str, address: str | None, session: str) -> Grant:
        """The right that the ticket gives to whoever comes from that address with that session. Raises Closing."""
        try:
            return self.rows(records.redeem, ticket, address, session)
        except Closing:
            raise
        except Exception as error:
            log.exception("ticket could not be looked at")
            raise Closing(UNREACHABLE, "The gateway cannot reach its database.") from error

    def serve(self, browser: Browser, grant: Grant) -> None:
        """One console from its target to its end."""
        if grant.device:
            self._serve_text(browser, grant)
            return
        try:
            line = self._reach(grant)
        except Closing as closing:
            self._not_opened(browser, grant, closing)
            return
        try:
            self._serve_on(line, browser, grant)
        finally:
            line.close()

    def _not_opened(self, browser: Browser, grant: Grant, closing: Closing) -> None:
        log.info("console not opened", vm=str(grant.vm.uuid), code=closing.code, reason=closing.text)
        self._quietly(records.refused, grant, closing)
        browser.close(closing)

    def _serve_text(self, browser: Browser, grant: Grant) -> None:
        """One browser at a text console, which others may look at too."""
        try:
            line, seat = self.exchange.join(grant)
        except Closing as closing:
            self._not_opened(browser, grant, closing)
            return
        try:
            self._carry_text(browser, grant, line, seat)
        finally:
            line.leave(seat)

    def _carry_text(self, browser: Browser, grant: Grant, line: TextLine, seat: Seat) -> None:
        session = self.rows(records.opened, grant, self.name)
        console = self.consoles[session] = Console(grant, seat.ring)
        did = partial(self._quietly, records.did, grant)
        pump = TextPump(browser, line, seat, lambda: console.verdict, did)
        closing = Closing(UNREACHABLE, "The gateway failed.")
        try:
            browser.set_deadline(None)
            closing = console.verdict or pump.run()
        finally:
            self._quietly(records.closed, grant, session, closing, browser.sent, pump.to_guest)
            self.consoles.pop(session, None)
            browser.close(closing)

    def _reach(self, grant: Grant) -> Line:
        """A line to the guest's screen, logged in. Raises Closing."""
        target = self._find_target(grant.vm)
        with turn_for(target):
            line = dial(target, HANDSHAKE_SECONDS)
            try:
                line.set_deadline(HANDSHAKE_SECONDS)
                greet_guest(line, target.password)
            except BaseException:
                line.close()
                raise
        return line

    def _serve_on(self, line: Line, browser: Browser, grant: Grant) -> None:
        session = self.rows(records.opened, grant, self.name)
        console = self.consoles[session] = Console(grant, line.interrupt)
        pump = Pump(browser, line.socket, ViewOnly() if grant.view_only else None, lambda: console.verdict)
        closing = Closing(UNREACHABLE, "The gateway failed.")
        try:
            closing = self._carry(line, browser, pump, console)
        finally:
            # The record first: who is told that the console closed finds it so.
            self._quietly(records.closed, grant, session, closing, browser.sent, pump.to_guest)
            self.consoles.pop(session, None)
            browser.close(closing)

    def _carry(self, line: Line, browser: Browser, pump: Pump, console: Console) -> Closing:
        """The handshakes' ends and then the bytes, until it ends; how it ended."""
        try:
            browser.set_deadline(HANDSHAKE_SECONDS)
            greet_browser(browser)
            begin(line)
            browser.set_deadline(None)
            line.ready()
            if self._stopping.is_set():
                return Closing(_GOING_AWAY, "The console gateway restarts.")
            pump.run()
        except Closing as closing:
            return console.verdict or closing
        except GuestGone:
            return console.verdict or self._why_gone(console.standing)
        except OSError:
            return console.verdict or Closing(UNREACHABLE, "The browser does not answer.")
        return Closing(UNREACHABLE)

    def _why_gone(self, standing: Standing) -> Closing:
        """The guest hung up: it stopped or moved, if the mirror says so in a moment; else we do not know."""
        until = time.monotonic() + _WHY_SECONDS
        while time.monotonic() < until and not self._stopping.is_set():
            closing = self.rows(records.judge, {0: standing}).get(0)
            if closing is not None:
                return closing
            self._stopping.wait(0.2)
        return Closing(UNREACHABLE, "The guest closed its screen.")

    def _quietly(self, work: Callable[..., Any], *arguments: Any) -> None:
        try:
            self.rows(work, *arguments)
        except Exception:
            # Too late for stop() is no fault: it closed what records were open.
            if not self._stopping.is_set():
                log.exception("console record not written")

    # --- the watcher

    def _watch(self) -> None:
        next_beat = next_burial = 0.0
        while not self._stopping.wait(self._watch_seconds):
            now = time.monotonic()
            try:
                with database_work():
                    self._look()
                    if now >= next_beat:
                        records.beat(list(self.consoles), self.name)
                        self.exchange.beat()
                        next_beat = now + BEAT_SECONDS
                    if now >= next_burial:
                        records.bury_dead_gateways()
                        next_burial = now + BURY_SECONDS
            except Exception:
                log.exception("open consoles could not be looked at")
                self._fail_closed()
        connections.close_all()

    def _look(self) -> None:
        open_now = dict(self.consoles)
        if open_now:
            for session, closing in records.judge({key: one.standing for key, one in open_now.items()}).items():
                open_now[session].end(closing)
        self._checked = time.monotonic()

    def _fail_closed(self) -> None:
        if time.monotonic() - self._checked > UNCHECKED_SECONDS:
            self.end_all(Closing(WITHDRAWN, "The rights could not be checked."))


def _with_database(work: Callable[..., T], *arguments: Any) -> T:
    with database_work():
        return work(*arguments)


def raise_descriptor_limit() -> None:
    """Two descriptors a console, three over ssh: as many as the system lets us have."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def is_allowed_origin(origin: str | None) -> bool:
    """Browsers name the page's origin: ours, or one we were told of. Programs name none; their ticket is their right."""
    if origin is None:
        return True
    try:
        parts = urlsplit(origin)
        name = parts.hostname or ""
    except ValueError:
        return False
    if parts.scheme not in ("http", "https") or not name:
        return False
    named = f"[{name}]" if ":" in name else name
    return origin.rstrip("/") in settings.PUBLIC_ORIGINS or validate_host(named, settings.ALLOWED_HOSTS)
