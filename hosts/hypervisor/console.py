"""A guest's text console as bytes, both ways: one libvirt stream on a connection that does nothing else.

What the guest writes is read on libvirt's event loop and handed on at once. What is written to the guest is sent on the caller's
thread and may take as long as the guest leaves it unread; libvirtd reads nothing more of a connection while too much waits for a
guest, so that each console has a connection of its own and holds up nobody but itself.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from typing import Any

import libvirt

from hosts.hypervisor import errors
from hosts.hypervisor.connection import Connection, stream_was_read, take_after_turns, take_no_more
from hosts.hypervisor.sentences import say
from hosts.hypervisor.translate import translate

#: bytes in one message of libvirt's streams
PIECE = 262120
#: libvirtd holds so many messages of a connection back at most, so that few large ones pass where many small ones would not
SEND_PIECE = 65536
_EVENTS = libvirt.VIR_STREAM_EVENT_READABLE | libvirt.VIR_STREAM_EVENT_HANGUP | libvirt.VIR_STREAM_EVENT_ERROR

Heard = Callable[[bytes], None]
Ended = Callable[[], None]


class Held(errors.Conflict):
    """Somebody else has the console open: libvirt lets one in at a time."""


class ConsoleStream:
    """An open console. ``heard`` gets what the guest writes, ``ended`` is called once when it ends; both on libvirt's thread."""

    def __init__(
        self, connection: Connection, uuid: str, device: str, heard: Heard, ended: Ended, *, force: bool = False
    ) -> None:
        """``force`` ends the console of whoever has it. Raises Held, NotFound, Conflict (it is off) or another HypervisorError."""
        self._connection = connection
        self._uuid = uuid
        self._device = device
        self._heard = heard
        self._ended = ended
        self._lock = threading.Lock()
        self._over = False
        self._listens = False
        self._stream: Any = None
        self._stream = connection.call(lambda raw: self._open(raw, force))

    def _open(self, raw: libvirt.virConnect, force: bool) -> Any:
        domain = raw.lookupByUUIDString(self._uuid)
        stream = raw.newStream(libvirt.VIR_STREAM_NONBLOCK)
        try:
            domain.openConsole(self._device, stream, libvirt.VIR_DOMAIN_CONSOLE_FORCE if force else 0)
        except libvirt.libvirtError as error:
            # QEMU's driver has this code for nothing else here: another stream, or a lock file of another program.
            if error.get_error_code() == libvirt.VIR_ERR_OPERATION_FAILED:
                text = error.get_error_message() or str(error)
                raise Held(
                    say("Somebody else has this console open."),
                    code=error.get_error_code(),
                    domain=error.get_error_domain(),
                    detail=text,
                ) from error
            raise
        self._listens = True
        stream.eventAddCallback(_EVENTS, self._on_event, None)
        self._stream = stream
        take_after_turns(self._take)
        return stream

    def _on_event(self, _stream: Any, events: int, _opaque: object) -> None:
        """Something came, or it is the end; :meth:`_take` is called right after this turn of the loop."""

    def _take(self) -> None:
        """On libvirt's thread, which all hosts share: take what is there, and be gone."""
        stream = self._stream
        if self._over or stream is None:
            return
        try:
            while not self._over:
                data = stream.recv(PIECE)
                if not isinstance(data, bytes):
                    return  # Nothing more for now.
                if not data:
                    break
                stream_was_read()
                self._heard(data)
        except libvirt.libvirtError:
            pass  # Taken over, the guest's end, or the host's: whoever looks where the guest is now finds out.
        self._deafen(stream)
        self._end()

    def _end(self) -> None:
        with self._lock:
            if self._over:
                return
            self._over = True
        self._ended()

    def _deafen(self, stream: Any) -> None:
        with self._lock:
            if not self._listens:
                return
            self._listens = False
        take_no_more(self._take)
        try:
            stream.eventRemoveCallback()
        except libvirt.libvirtError:
            return  # The stream was aborted under it, by the connection's end.

    @property
    def is_over(self) -> bool:
        """Whether it ended; a stream never comes back, a new one is opened."""
        return self._over or not self._connection.is_alive

    def send(self, data: bytes) -> None:
        """Hand bytes to the guest; waits while libvirtd takes none. Raises a HypervisorError."""
        sent = 0
        while sent < len(data):
            with self._connection.in_use():
                if self._over:
                    raise errors.Unreachable(say("The console was closed."))
                try:
                    count = self._stream.send(data[sent : sent + SEND_PIECE])
                except libvirt.libvirtError as error:
                    raise translate(error) from error
            if count < 0:
                raise errors.Conflict(say("The guest reads nothing from its console."))
            sent += count

    def close(self) -> None:
        """End it, and the connection with it. Called by the thread that sends; afterwards nothing is heard any more."""
        with self._lock:
            was_over, self._over = self._over, True
        self._deafen(self._stream)
        try:
            with self._connection.in_use():
                if not was_over:
                    self._stream.abort()
        except (libvirt.libvirtError, errors.Unreachable):
            pass  # It broke before; on our side it is over all the same.
        self._stream = None
        self._connection.close()


def send_break(connection: Connection, uuid: str, device: str) -> None:
    """Have the guest see a break on its serial line. libvirt's streams know none: QEMU's monitor is asked.

    Raises Unsupported where the hypervisor has no such monitor.
    """
    # Only here: whoever needs no break loads no second library.
    import libvirt_qemu  # type: ignore[import-untyped]

    command = json.dumps({"execute": "chardev-send-break", "arguments": {"id": f"char{device}"}})

    def ask(raw: libvirt.virConnect) -> str:
        return str(libvirt_qemu.qemuMonitorCommand(raw.lookupByUUIDString(uuid), command, 0))

    answer = json.loads(connection.call(ask))
    if "error" in answer:
        text = str(answer["error"].get("desc", ""))
        raise errors.Unsupported(say("This host cannot do that: %(what)s", what=text), detail=text)
