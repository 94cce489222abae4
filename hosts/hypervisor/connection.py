"""A live libvirt connection with deadlines, and the one event loop all connections share."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as FutureTimeout
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import libvirt

from hosts.hypervisor import errors
from hosts.hypervisor.records import Target
from hosts.hypervisor.sentences import say
from hosts.hypervisor.translate import translate
from hosts.hypervisor.uri import parse

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Limits:
    """Deadlines in seconds of opening and of a call; ``keepalive`` is (seconds between two, how many may be missing)."""

    connect_seconds: float
    call_seconds: float
    keepalive: tuple[int, int]


#: turns of the event loop that are woken at once; so many in a row are calls that follow each other; how long it pauses then
QUICK_SECONDS, QUICK_TURNS, PAUSE_SECONDS = 0.0005, 4, 0.001
#: for so long after a stream was read, more of it may be on its way
STREAM_SECONDS = 0.02
_stream_read_at = 0.0
_takers: tuple[Callable[[], None], ...] = ()
_loop_lock = threading.Lock()
_loop_thread: threading.Thread | None = None


def start_event_loop() -> None:
    """Register libvirt's event loop and run it in a daemon thread; needed before the first connection is opened."""
    global _loop_thread
    with _loop_lock:
        if _loop_thread is not None:
            return
        # libvirt prints every error to stderr unless it has a handler; ours travel as exceptions.
        libvirt.registerErrorHandler(lambda _context, _error: None, None)
        libvirt.virEventRegisterDefaultImpl()
        _loop_thread = threading.Thread(target=_run_loop, name="libvirt-events", daemon=True)
        _loop_thread.start()


def _run_loop() -> None:
    """Each call that is made wakes the loop twice, for nothing but to be told not to look at the call's socket.

    Where calls follow each other, as when a host is read, the loop therefore pauses between its turns: while it pauses it is not
    woken. Reading thousands of guests takes half as long; an event that comes meanwhile is told a millisecond later.

    A console's bytes come a few with each turn, so that it does not pause while one is being read. They are asked for after each
    turn: libvirt tells of them by a timer that it sets anew for each message, and which never runs out while each turn brings
    another message (virNetClientStreamEventTimerUpdate; seen with libvirt 9.0: nothing was told for as long as a guest wrote).
    """
    quick = 0
    while True:
        begun = time.monotonic()
        libvirt.virEventRunDefaultImpl()
        for take in _takers:
            take()
        quick = quick + 1 if time.monotonic() - begun < QUICK_SECONDS else 0
        if quick > QUICK_TURNS and time.monotonic() - _stream_read_at > STREAM_SECONDS:
            time.sleep(PAUSE_SECONDS)


def take_after_turns(take: Callable[[], None]) -> None:
    """Have ``take`` called on the loop's thread after each of its turns; it must return at once and raise nothing."""
    global _takers
    with _loop_lock:
        _takers = (*_takers, take)


def take_no_more(take: Callable[[], None]) -> None:
    """The reverse."""
    global _takers
    with _loop_lock:
        _takers = tuple(one for one in _takers if one != take)


def stream_was_read() -> None:
    """Called on the loop's thread by who takes bytes of a stream there."""
    global _stream_read_at
    _stream_read_at = time.monotonic()


def probe_port(host: str, port: int, seconds: float) -> None:
    """Raise Unreachable or Refused unless something listens there; tells the reasons apart before libvirt blurs them."""
    try:
        socket.create_connection((host, port), timeout=seconds).close()
    except socket.gaierror as error:
        raise errors.Unreachable(say("The name %(host)s cannot be resolved.", host=host), detail=str(error)) from error
    except ConnectionRefusedError as error:
        raise errors.Refused(
            say("%(host)s refuses connections on port %(port)s: is libvirtd (or sshd) running?", host=host, port=port)
        ) from error
    except TimeoutError as error:
        raise errors.Unreachable(
            say("%(host)s does not answer on port %(port)s.", host=host, port=port), detail="timed out"
        ) from error
    except OSError as error:
        raise errors.Unreachable(
            say("%(host)s cannot be reached on port %(port)s.", host=host, port=port), detail=str(error)
        ) from error


class Connection:
    """An open connection to a host. Every call runs on a worker thread with a deadline, because libvirt's calls have none.

    Each call has a libvirt connection to itself; more are opened when several run at once. libvirt lets threads share one, but
    when that breaks under two calls, the second reads what stood on the first one's stack (CVE-2024-4418, in Debian 12's
    libvirt), and the process ends.
    """

    def __init__(self, raw: libvirt.virConnect, target: Target, limits: Limits, workers: int) -> None:
        self.uri = target.uri
        self.call_seconds = limits.call_seconds
        self._target = target
        self._limits = limits
        self._lanes = [raw]
        self._busy: set[int] = set()
        # Inside this process there is no wire, and each open would be a host of its own.
        self._is_here = not _has_wire(target.uri)
        self._workers = ThreadPoolExecutor(workers, thread_name_prefix="libvirt-call")
        self._closed = threading.Event()
        self._uses = 0
        self._closing = False
        self._gone = False
        self._idle = threading.Condition()
        self._at_close: list[Callable[[], Any]] = []
        self._broken: errors.HypervisorError | None = None
        self._when_broken: list[Callable[[], Any]] = []

    @classmethod
    def open(
        cls,
        target: Target,
        *,
        seconds: float = 10.0,
        call_seconds: float = 30.0,
        keepalive: tuple[int, int] = (2, 2),
        workers: int = 4,
    ) -> Connection:
        """Open a connection within ``seconds``. Raises a HypervisorError that tells the reasons apart."""
        start_event_loop()
        uri = parse(target.uri.partition("?")[0], allow_test=True)
        if uri.is_remote and uri.effective_port:
            probe_port(uri.host, uri.effective_port, min(seconds, 4.0))
        limits = Limits(seconds, call_seconds, keepalive)
        return cls(_open_guarded(target, limits), target, limits, workers)

    def _break(self, error: errors.HypervisorError) -> None:
        self._broken = self._broken or error
        self._closed.set()
        while self._when_broken:
            self._when_broken.pop()()

    def when_broken(self, tell: Callable[[], Any]) -> None:
        """Call ``tell`` once a call finds it broken, on that call's thread: who waits for events need not look by itself."""
        self._when_broken.append(tell)

    @property
    def is_alive(self) -> bool:
        """Whether it may be used; a connection never comes back, a new one is opened."""
        if not self._closed.is_set() and not self._is_open():
            self._break(errors.Unreachable(say("The connection to the host was lost.")))
        return not self._closed.is_set()

    def _is_open(self) -> bool:
        """libvirt's own word, without asking the host."""
        try:
            with self._kept():
                return all(raw.isAlive() for raw in list(self._lanes))
        except (libvirt.libvirtError, errors.Unreachable):
            return False

    @contextmanager
    def _kept(self) -> Iterator[None]:
        """Nothing is freed meanwhile. Raises Unreachable when it was closed.

        libvirt's calls hold no reference to their connection: one that is closed under a running call is read after it was freed.
        """
        with self._idle:
            if self._gone:
                raise errors.Unreachable(say("The connection was closed."))
            self._uses += 1
        try:
            yield
        finally:
            with self._idle:
                self._uses -= 1
                self._idle.notify_all()

    @contextmanager
    def in_use(self) -> Iterator[libvirt.virConnect]:
        """A libvirt connection for one call alone. Raises Unreachable when it was closed, or another cannot be opened."""
        with self._kept():
            lane = self._take_lane()
            try:
                yield self._lanes[lane]
            finally:
                with self._idle:
                    self._busy.discard(lane)
                    self._idle.notify_all()

    def _take_lane(self) -> int:
        """The first that no other call has; a new one, when all are taken."""
        with self._idle:
            if (lane := self._free_lane()) is not None:
                return lane
        try:
            raw = _open_guarded(self._target, self._limits)
        except errors.HypervisorError:
            # The host takes no more of us: those that are open do, one call after the other.
            with self._idle:
                while (lane := self._free_lane()) is None and not self._closed.is_set():
                    self._idle.wait(0.5)
                if lane is None:
                    raise
                return lane
        with self._idle:
            self._lanes.append(raw)
            self._busy.add(len(self._lanes) - 1)
            return len(self._lanes) - 1

    def _free_lane(self) -> int | None:
        if self._is_here:
            return 0
        lane = next((number for number in range(len(self._lanes)) if number not in self._busy), None)
        if lane is not None:
            self._busy.add(lane)
        return lane

    def call(self, work: Callable[[libvirt.virConnect], T], *, seconds: float | None = None) -> T:
        """Run ``work(raw connection)`` with a deadline.

        Raises Silent when it ran out (the connection is then unusable) and any HypervisorError libvirt's error means.
        """
        return self.wait(self.submit(work), seconds=seconds)

    def wait(self, future: Future[T], *, seconds: float | None = None) -> T:
        """The result of a ``submit``, with a deadline from now on. Raises as :meth:`call` does."""
        try:
            return future.result(seconds or self.call_seconds)
        except FutureTimeout:
            silent = errors.Silent(
                say("The host did not answer within %(seconds)s s.", seconds=f"{seconds or self.call_seconds:g}")
            )
            self._break(silent)
            raise silent from None
        except CancelledError:
            raise errors.Unreachable(say("The connection was closed.")) from None
        except libvirt.libvirtError as error:
            raise self._translated(error) from error

    def submit(self, work: Callable[[libvirt.virConnect], T]) -> Future[T]:
        """Start ``work`` without waiting; for calls that last as long as what they do (a migration)."""
        if self._broken is not None:
            raise type(self._broken)(str(self._broken), detail=self._broken.detail)
        try:
            return self._workers.submit(self._work, work)
        except RuntimeError:  # It was closed in this very moment.
            raise errors.Unreachable(say("The connection was closed.")) from None

    def _work(self, work: Callable[[libvirt.virConnect], T]) -> T:
        with self.in_use() as raw:
            return work(raw)

    def outcome(self, future: Future[T]) -> T:
        """The result of a finished ``submit``, errors in our words."""
        try:
            return future.result()
        except CancelledError:
            raise errors.Unreachable(say("The connection was closed.")) from None
        except libvirt.libvirtError as error:
            raise self._translated(error) from error

    def _translated(self, error: libvirt.libvirtError) -> errors.HypervisorError:
        ours = translate(error)
        if isinstance(ours, errors.Unreachable):
            self._break(ours)
        return ours

    def at_close(self, undo: Callable[[], Any]) -> None:
        """Run ``undo`` before closing. Whatever libvirt keeps for us (event callbacks) keeps the connection open, too."""
        self._at_close.append(undo)

    def close(self) -> None:
        """Close without waiting: a hung daemon must not hang the one who gives up on it.

        It is freed when the last call on it has ended; keepalive ends those that hang. Closing it again does nothing.
        """
        self._closed.set()
        with self._idle:
            if self._closing:
                return
            self._closing = True
        self._broken = self._broken or errors.Unreachable(say("The connection was closed."))
        threading.Thread(target=self._close_quietly, name="libvirt-close", daemon=True).start()
        self._workers.shutdown(wait=False, cancel_futures=True)

    def _close_quietly(self) -> None:
        with self._idle:
            self._gone = True
            self._idle.wait_for(lambda: self._uses == 0)
        for undo in self._at_close:
            try:
                undo()
            except libvirt.libvirtError:
                pass  # The host cannot be told any more; on our side it is undone all the same.
        self._at_close.clear()
        for raw in self._lanes:
            try:
                raw.close()
            except libvirt.libvirtError:
                pass  # Nothing is left to close on a connection that broke.

    def __enter__(self) -> Connection:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _has_wire(uri: str) -> bool:
    parsed = parse(uri.partition("?")[0], allow_test=True)
    return parsed.is_remote or parsed.driver != "test"


def _open_guarded(target: Target, limits: Limits) -> libvirt.virConnect:
    """A libvirt connection that notices a silent host.

    libvirt's close callback is not used: it keeps the connection open, and taking it back races with its being called.
    """
    raw = _open_within(target, limits.connect_seconds)
    try:
        raw.setKeepAlive(*limits.keepalive)
    except libvirt.libvirtError as error:
        # The test driver inside this process does not know it; there is no wire to watch.
        if error.get_error_code() != libvirt.VIR_ERR_NO_SUPPORT:
            raw.close()
            raise translate(error) from error
    return raw


#: seconds until another open is tried while one hangs; doubled with each that hangs, up to the longest
HANGING_SECONDS, HANGING_SECONDS_LONGEST = 30.0, 600.0
_hanging: dict[str, list[tuple[float, Future[Any]]]] = {}
_hanging_lock = threading.Lock()


def _open_within(target: Target, seconds: float) -> libvirt.virConnect:
    """virConnectOpenAuth on a thread of its own.

    One that hangs cannot be ended, and may never end (its host lost power after it took the connection): others are tried
    beside it, but ever more seldom, so that a frozen daemon does not fill the process with threads.
    """
    if _must_wait(target.uri):
        raise errors.Silent(say("The host took the connection and has not answered since."))
    future: Future[Any] = Future()
    threading.Thread(target=_open_into, args=(future, target), name="libvirt-open", daemon=True).start()
    try:
        return future.result(seconds)
    except FutureTimeout:
        with _hanging_lock:
            _hanging.setdefault(target.uri, []).append((time.monotonic(), future))
        future.add_done_callback(_close_late)
        raise errors.Silent(
            say("The host took the connection and did not answer within %(seconds)s s.", seconds=f"{seconds:g}")
        ) from None
    except libvirt.libvirtError as error:
        raise translate(error) from error


def _must_wait(uri: str) -> bool:
    """Whether enough hang already; those that ended are forgotten."""
    with _hanging_lock:
        hanging = [(since, future) for since, future in _hanging.get(uri, []) if not future.done()]
        if not hanging:
            _hanging.pop(uri, None)
            return False
        _hanging[uri] = hanging
    pause = min(HANGING_SECONDS * 2.0 ** (len(hanging) - 1), HANGING_SECONDS_LONGEST)
    return time.monotonic() - hanging[-1][0] < pause


def _open_into(future: Future[Any], target: Target) -> None:
    try:
        future.set_result(libvirt.openAuth(target.uri, [_CREDENTIALS, _answer, target], 0))
    except BaseException as error:  # handed to the one who waits
        future.set_exception(error)


def _close_late(future: Future[Any]) -> None:
    if future.exception() is None:
        future.result().close()


_CREDENTIALS = [libvirt.VIR_CRED_AUTHNAME, libvirt.VIR_CRED_PASSPHRASE]


def _answer(credentials: list[list[Any]], target: Target) -> int:
    """libvirt asks for SASL credentials; with none stored, -1 says so and the open fails as 'authentication'."""
    for credential in credentials:
        answer = target.username if credential[0] == libvirt.VIR_CRED_AUTHNAME else target.password
        if not answer:
            return -1
        credential[4] = answer
    return 0
