"""Carrying a text console to one browser. Somebody slow is left behind by what is kept, and holds up nobody."""

from __future__ import annotations

import select
import time
from collections.abc import Callable
from typing import NoReturn

from vms.console.browser import Browser
from vms.console.closing import NORMAL, UNREACHABLE, Closing
from vms.console.pump import PING_SECONDS, SILENCE_SECONDS
from vms.console.serial import wire
from vms.console.serial.company import Seat
from vms.console.serial.line import Line

#: what is sent in one go
CHUNK_BYTES = 65536
#: a line brings a few bytes at a time: what comes within so long of the last sending travels together. An echo waits for nothing.
SPACING_SECONDS = 0.004
_READ, _WRITE = select.POLLIN, select.POLLOUT


class TextPump:
    """One browser's share of a text console. ``did`` is told of what is worth a record; ``verdict`` ends it from outside."""

    def __init__(
        self,
        browser: Browser,
        line: Line,
        seat: Seat,
        verdict: Callable[[], Closing | None],
        did: Callable[[str], None],
        *,
        ping_seconds: float = PING_SECONDS,
        silence_seconds: float = SILENCE_SECONDS,
    ) -> None:
        self.to_guest = 0
        self._browser = browser
        self._line = line
        self._seat = seat
        self._verdict = verdict
        self._did = did
        self._ping_seconds = ping_seconds
        self._silence_seconds = silence_seconds
        self._records = wire.RecordReader()
        self._version = -1
        #: what was written before is shown as such: a terminal must not answer its questions
        self._position, self._history_until = line.bounds()
        self._waiting: list[tuple[int, bytes]] = []
        #: whether there may be something to send, and when at the earliest
        self._due, self._next_send = True, 0.0

    def run(self) -> Closing:
        """Until somebody ends it; how it ended."""
        try:
            self._run()
        except Closing as closing:
            return closing
        except OSError:
            return Closing(NORMAL, "The browser went away.")

    def _run(self) -> NoReturn:
        poll = select.poll()
        browser, wake = self._browser.connection.fileno(), self._seat.wake
        # What came right behind the handshake is in hand already: the socket does not tell of it.
        self._receive()
        self._handle()
        next_ping = time.monotonic() + self._ping_seconds
        while True:
            now = time.monotonic()
            if self._due and now >= self._next_send:
                self._send()
            poll.register(browser, (_WRITE if self._browser.is_pending else 0) | (0 if self._waiting else _READ))
            poll.register(wake, 0 if self._due else _READ)
            ready = dict(poll.poll(self._timeout(now, next_ping)))
            closing = self._verdict()
            if closing is not None:
                raise closing
            if self._line.is_over:
                raise Closing(UNREACHABLE, "The text console ended.")
            self._due |= bool(ready.get(wake))
            if ready.get(browser, 0) & _WRITE:
                self._browser.flush()
            if ready.get(browser, 0) & ~_WRITE and not self._waiting:
                self._receive()
            self._handle()
            if time.monotonic() >= next_ping:
                self._look_after()
                next_ping = time.monotonic() + self._ping_seconds

    def _timeout(self, now: float, next_ping: float) -> float:
        """In ms, until there is something to do unasked. A verdict rings; what is typed and waits is looked after."""
        until = min(next_ping, now + (0.1 if self._waiting else 1.0))
        if self._due and not self._browser.is_pending:
            until = min(until, self._next_send)
        return 1000 * max(until - now, 0.0) + (0 if self._due else 1)

    # --- to the browser

    def _send(self) -> None:
        """All there is, unless the browser takes no more; it is due again then."""
        self._seat.heard()
        self._next_send = time.monotonic() + SPACING_SECONDS
        while not self._browser.is_pending:
            data = self._news()
            if not data:
                self._due = False
                return
            self._browser.send(data)

    def _news(self) -> bytes:
        """How things are, if that changed, and what the guest wrote."""
        parts = []
        if self._version != self._line.version:
            self._version = self._line.version
            parts.append(wire.status(self._line.status(self._seat)))
        begin, data = self._line.read(self._position, self._most())
        if begin > self._position:
            parts.append(wire.skipped(begin - self._position))
        if data:
            parts.append(wire.record(wire.HISTORY if begin < self._history_until else wire.LIVE, data))
        self._position = begin + len(data)
        return b"".join(parts)

    def _most(self) -> int:
        """A piece is either of before or of now."""
        before = self._history_until - self._position
        return min(before, CHUNK_BYTES) if before > 0 else CHUNK_BYTES

    # --- from the browser

    def _receive(self) -> None:
        try:
            self._waiting += self._records.feed(self._browser.receive())
        except BlockingIOError:
            return

    def _handle(self) -> None:
        """What was asked and typed, in order; what is typed waits while the guest takes nothing."""
        while self._waiting and not (self._waiting[0][0] == wire.INPUT and self._line.is_full):
            kind, payload = self._waiting.pop(0)
            if kind == wire.INPUT:
                self.to_guest += self._line.type(self._seat, payload)
                continue
            wish = wire.asked(payload)
            if self._line.ask(self._seat, wish) and wish in ("break", "force"):
                self._did(wish)

    def _look_after(self) -> None:
        if time.monotonic() - self._browser.heard > self._silence_seconds:
            raise Closing(UNREACHABLE, "The browser does not answer any more.")
        self._browser.ping()
