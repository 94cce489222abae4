"""One text console: the stream from the guest, what it wrote, and what is typed.

A thread of its own opens the stream, sends what is typed, and looks again where the guest is whenever the stream ends: after a
reboot, a stop, a move, or when its host was cut off. What the guest writes comes on libvirt's thread, is kept once for all, and
wakes those who look.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any
from uuid import UUID

import structlog

from hosts.hypervisor import errors
from hosts.hypervisor.console import Held
from hosts.work import DATABASE_AWAY
from vms.console.closing import NO_SCREEN, Closing
from vms.console.serial import journal, owners
from vms.console.serial.company import Company, Seat
from vms.console.serial.ports import Consoles, Stream, find, why_not
from vms.console.serial.scrollback import SHOWN_BYTES, Scrollback
from vms.models import VirtualMachine

log = structlog.get_logger(__name__)

#: without anybody who looks, the stream stays open for so long: a page that is read again finds it
LINGER_SECONDS = 20.0
#: between two looks for the guest, and for a console that somebody else has
LOOK_SECONDS, HELD_SECONDS = 0.5, 5.0
#: what was written goes to the log so often
JOURNAL_SECONDS = 2.0
#: typed bytes that wait for the guest; more are not read from the browsers
MOST_TYPED = 131072
OPENING, OPEN, WAITING, HELD = "opening", "open", "waiting", "held"


class Line:
    """One text console of one guest. ``rows`` runs work with the database; ``ended`` is called when it has let go of the guest."""

    def __init__(
        self,
        vm: UUID,
        device: str,
        gateway: str,
        consoles: Consoles,
        rows: Callable[..., Any],
        ended: Callable[[], None],
    ) -> None:
        self.vm = vm
        self.device = device
        #: counts changes of how things are
        self.version = 0
        self.is_over = False
        self._gateway = gateway
        self._consoles = consoles
        self._rows = rows
        self._ended = ended
        self._changed = threading.Condition()
        self._company = Company()
        self._empty_since = time.monotonic()
        self._scrollback = Scrollback()
        self._unwritten = journal.Unwritten()
        self._typed: list[bytes] = []
        self._typed_bytes = 0
        self._stream: Stream | None = None
        self._next_look = self._next_journal = 0.0
        self._force = self._break = False
        self._state, self._why, self._host, self._said = OPENING, "", "", ""
        self._thread = threading.Thread(target=self._run, name="serial-line", daemon=True)

    def start(self) -> None:
        """Fetch what was written before, and begin to look for the guest."""
        before = self._rows(journal.tail, self.vm, self.device, SHOWN_BYTES)
        if before:
            self._scrollback.add(before)
        self._thread.start()

    def stop(self, seconds: float = 3.0) -> None:
        """End it, whoever looks."""
        with self._changed:
            self.is_over = True
            self._changed.notify_all()
        self.await_end(seconds)

    def await_end(self, seconds: float = 2.0) -> None:
        """Wait until it has let go of the guest's console, if it ends."""
        self._thread.join(seconds)

    # --- those who look

    def join(self, seat: Seat) -> bool:
        """Somebody more looks; False when it is over, and another is to be begun."""
        with self._changed:
            if self.is_over:
                return False
            self._company.join(seat)
            self._tell()
            return True

    def leave(self, seat: Seat) -> None:
        """Somebody looks no more."""
        with self._changed:
            self._company.leave(seat)
            self._empty_since = time.monotonic()
            self._tell()
        seat.leave()

    def _tell(self) -> None:
        """Under the lock: how things are has changed."""
        self.version += 1
        self._changed.notify_all()
        self._company.ring()

    def status(self, seat: Seat) -> dict[str, Any]:
        """How things are, for one who looks."""
        with self._changed:
            own = {"state": self._state, "why": self._why, "host": self._host, "said": self._said}
            return own | self._company.facts(seat)

    def read(self, position: int, most: int) -> tuple[int, bytes]:
        """What the guest wrote from a position on, as far as it is kept; and where that begins."""
        with self._changed:
            return self._scrollback.after(position, most)

    def bounds(self) -> tuple[int, int]:
        """The positions of the first byte that a newcomer is shown, and after the last."""
        with self._changed:
            end = self._scrollback.end
            return max(self._scrollback.start, end - SHOWN_BYTES), end

    # --- writing

    @property
    def is_full(self) -> bool:
        """Whether so much waits for the guest that no more is to be read from the browsers."""
        return self._typed_bytes >= MOST_TYPED

    def type(self, seat: Seat, data: bytes) -> int:
        """Hand on what somebody types, if that is their right and the guest is there; how much of it was taken."""
        with self._changed:
            if not self._company.may_write(seat) or self._state != OPEN:
                return 0
            self._typed.append(data)
            self._typed_bytes += len(data)
            self._changed.notify_all()
            return len(data)

    def ask(self, seat: Seat, wish: str) -> bool:
        """Something that is asked for: the pen, that all write, a break, somebody else's console. Whether it is done."""
        with self._changed:
            if seat.view_only:
                return False
            if wish == "break" and self._state == OPEN and self._company.may_write(seat):
                self._break = True
            elif wish == "force" and self._state == HELD:
                self._force, self._next_look = True, 0.0
            elif not self._company.ask(seat, wish):
                return False
            self._tell()
            return True

    # --- what the guest writes: on libvirt's thread

    def _heard(self, data: bytes) -> None:
        with self._changed:
            self._scrollback.add(data)
            self._unwritten.add(data)
            self._company.ring()

    def _hung_up(self) -> None:
        with self._changed:
            self._next_look = 0.0
            self._changed.notify_all()

    # --- the thread

    def _run(self) -> None:
        try:
            while not self._is_done():
                self._round()
        except Exception:
            log.exception("a text console failed", vm=str(self.vm), device=self.device)
        finally:
            with self._changed:
                self.is_over = True
            self._close_stream()
            self._enter(WAITING, "ended")
            self._write_journal()
            self._quietly(owners.release, self.vm, self.device, self._gateway)
            self._ended()

    def _is_done(self) -> bool:
        with self._changed:
            self.is_over |= not self._company.seats and time.monotonic() - self._empty_since > LINGER_SECONDS
            return self.is_over

    def _round(self) -> None:
        if self._stream is not None and self._stream.is_over:
            self._lost()
        if self._stream is None and time.monotonic() >= self._next_look:
            self._look()
        if time.monotonic() >= self._next_journal:
            self._next_journal = time.monotonic() + JOURNAL_SECONDS
            self._write_journal()
        if self._break:
            self._send_break()
        typed = self._take_typed()
        if typed and self._stream is not None:
            self._send(self._stream, typed)

    def _take_typed(self) -> bytes:
        """What is to be sent; waits for it, but not past what else is to be done."""
        with self._changed:
            if not self._typed and not self._break and not self.is_over:
                until = self._next_journal if self._stream is not None else min(self._next_journal, self._next_look)
                self._changed.wait(min(max(until - time.monotonic(), 0.0), 1.0))
            typed, self._typed, self._typed_bytes = b"".join(self._typed), [], 0
            if typed:
                self._company.ring()
            return typed

    def _send(self, stream: Stream, typed: bytes) -> None:
        try:
            stream.send(typed)
        except errors.HypervisorError as error:
            log.info("a text console took nothing more", vm=str(self.vm), reason=str(error))
            self._lost()

    def _send_break(self) -> None:
        self._break = False
        said = "break"
        try:
            self._consoles.send_break(self._rows(find, self.vm), self.device)
        except (errors.HypervisorError, Closing) as error:
            said = "nobreak"
            log.info("no break was sent", vm=str(self.vm), reason=str(error))
        with self._changed:
            # With a number, so that the same word is news again.
            self._said = f"{said} {self.version}"
            self._tell()

    def _lost(self) -> None:
        """The stream ended; why is found out by looking where the guest is."""
        self._close_stream()
        self._next_look = 0.0
        self._enter(WAITING, "ended")

    def _look(self) -> None:
        """Open the console where the guest is, if it is anywhere."""
        force, self._force = self._force, False
        self._next_look = time.monotonic() + LOOK_SECONDS
        try:
            vm = self._rows(find, self.vm)
            why = why_not(vm)
            if why:
                self._enter(WAITING, why, vm)
                return
            self._stream = self._consoles.open_serial(vm, self.device, self._heard, self._hung_up, force=force)
            self._enter(OPEN, "", vm)
        except Held:
            self._next_look = time.monotonic() + HELD_SECONDS
            self._enter(HELD, "held")
        except Closing as closing:
            self._enter(WAITING, "gone" if closing.code == NO_SCREEN else "host")
        except errors.Unreachable:
            self._next_look = time.monotonic() + 4 * LOOK_SECONDS
            self._enter(WAITING, "host")
        except errors.HypervisorError as error:
            # It is not there any more, or not yet: it starts, stops or moves just now.
            log.debug("a text console could not be opened", vm=str(self.vm), reason=str(error))
            self._enter(WAITING, "starting")
        except DATABASE_AWAY as error:
            log.warning("it could not be looked where a guest is", vm=str(self.vm), error=str(error))

    def _enter(self, state: str, why: str, vm: VirtualMachine | None = None) -> None:
        host = vm.host.name if vm is not None and vm.host is not None else self._host
        with self._changed:
            if (state, why, host) == (self._state, self._why, self._host):
                return
            if (state == OPEN) != (self._state == OPEN):
                self._unwritten.add(journal.note(f"connected on {host}" if state == OPEN else "disconnected"))
            self._state, self._why, self._host = state, why, host
            # What was typed for the guest as it was is not for what it is now.
            self._typed, self._typed_bytes = [], 0
            self._tell()

    def _close_stream(self) -> None:
        stream, self._stream = self._stream, None
        if stream is not None:
            stream.close()

    def _write_journal(self) -> None:
        with self._changed:
            data = self._unwritten.take()
        if data:
            self._quietly(journal.append, self.vm, self.device, data)

    def _quietly(self, work: Callable[..., Any], *arguments: Any) -> None:
        try:
            self._rows(work, *arguments)
        except Exception as error:
            log.warning("rows of a text console were not written", vm=str(self.vm), error=str(error))
