"""Carrying bytes between a browser and a guest. Neither side is read while the other cannot take what was read before."""

from __future__ import annotations

import select
import socket
import time
from collections.abc import Callable

from vms.console.browser import Browser
from vms.console.closing import NORMAL, UNREACHABLE, Closing

CHUNK_BYTES = 131072
PING_SECONDS = 20.0
#: a browser not heard of for so long, in spite of pings, is gone
SILENCE_SECONDS = 60.0
_READ, _WRITE = select.POLLIN, select.POLLOUT


class GuestGone(Exception):
    """The guest closed its end."""


class Pump:
    """One console's bytes. ``keep`` filters what the browser says; ``verdict`` ends it from outside."""

    def __init__(
        self,
        browser: Browser,
        guest: socket.socket,
        keep: Callable[[bytes], bytes] | None,
        verdict: Callable[[], Closing | None],
        *,
        ping_seconds: float = PING_SECONDS,
        silence_seconds: float = SILENCE_SECONDS,
    ) -> None:
        self.browser = browser
        self.guest = guest
        self.to_guest = 0
        self._keep = keep
        self._verdict = verdict
        self._ping_seconds = ping_seconds
        self._silence_seconds = silence_seconds
        self._waiting = memoryview(b"")
        # Not select(), which dies at descriptor 1024; and epoll would cost a descriptor more for each console.
        self._poll = select.poll()
        self._registered: dict[int, int] = {}

    def run(self) -> None:
        """Until somebody ends it; raises Closing, or GuestGone."""
        browser, guest = self.browser.connection.fileno(), self.guest.fileno()
        self.hand_on(self.browser.leftover())
        next_ping = time.monotonic() + self._ping_seconds
        now = time.monotonic()
        while True:
            stalled = self._register(browser, guest)
            ready = dict(self._poll.poll(self._timeout(next_ping - now, stalled)))
            closing = self._verdict()
            if closing is not None:
                raise closing
            if ready:
                self._move(ready.get(browser, 0), ready.get(guest, 0))
            now = time.monotonic()
            if now >= next_ping:
                self._look_after()
                next_ping = now + self._ping_seconds

    @staticmethod
    def _timeout(left: float, stalled: bool) -> float:
        """In ms. While a side stalls, the guest's socket cannot wake us, so a verdict is looked for now and then."""
        return 1000 * max(min(left, 0.5) if stalled else left, 0.0) + 1

    def _register(self, browser: int, guest: int) -> bool:
        """Wait for what can be done now; True when one side holds up the other."""
        to_browser, to_guest = self.browser.is_pending, bool(self._waiting)
        self._want(browser, (_WRITE if to_browser else 0) | (0 if to_guest else _READ))
        self._want(guest, (_WRITE if to_guest else 0) | (0 if to_browser else _READ))
        return to_browser or to_guest

    def _want(self, descriptor: int, events: int) -> None:
        if self._registered.get(descriptor) == events:
            return
        if events:
            self._poll.register(descriptor, events)
        elif descriptor in self._registered:
            # With no events, poll would still report a hang-up, over and over.
            self._poll.unregister(descriptor)
        self._registered[descriptor] = events

    def _move(self, browser: int, guest: int) -> None:
        if guest & _WRITE:
            self._send_to_guest()
        if browser & _WRITE:
            self._flush_browser()
        if browser & ~_WRITE and not self._waiting:
            self._from_browser()
        if guest & ~_WRITE and not self.browser.is_pending:
            self._from_guest()

    def _from_guest(self) -> None:
        try:
            data = self.guest.recv(CHUNK_BYTES)
        except BlockingIOError:
            return
        except OSError as error:
            raise GuestGone from error
        if not data:
            raise GuestGone
        try:
            self.browser.send(data)
        except OSError as error:
            raise _browser_gone() from error

    def _flush_browser(self) -> None:
        try:
            self.browser.flush()
        except OSError as error:
            raise _browser_gone() from error

    def _from_browser(self) -> None:
        try:
            data = self.browser.receive()
        except BlockingIOError:
            return
        except OSError as error:
            raise _browser_gone() from error
        self.hand_on(data)

    def hand_on(self, data: bytes) -> None:
        """What the browser says goes to the guest, as far as it may."""
        if self._keep is not None and data:
            data = self._keep(data)
        if data:
            sent = self._to_guest(data)
            if sent < len(data):
                self._waiting = memoryview(data)[sent:]

    def _send_to_guest(self) -> None:
        self._waiting = self._waiting[self._to_guest(self._waiting) :]

    def _to_guest(self, data: bytes | memoryview) -> int:
        """Send what the guest's socket takes now; how much that was."""
        try:
            sent = self.guest.send(data)
        except BlockingIOError:
            return 0
        except OSError as error:
            raise GuestGone from error
        self.to_guest += sent
        return sent

    def _look_after(self) -> None:
        if time.monotonic() - self.browser.heard > self._silence_seconds:
            raise Closing(UNREACHABLE, "The browser does not answer any more.")
        try:
            self.browser.ping()
        except OSError as error:
            raise _browser_gone() from error


def _browser_gone() -> Closing:
    return Closing(NORMAL, "The browser went away.")
