"""The bytes of a volume, in and out, over a connection that does nothing else meanwhile.

Calls here block for as long as the storage takes and have no deadline of their own: a host that falls silent is noticed by
keepalive, and a daemon that hangs holds up nobody but whoever waits for these bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import libvirt

from hosts.hypervisor import errors
from hosts.hypervisor.connection import Connection
from hosts.hypervisor.sentences import say
from hosts.hypervisor.translate import translate

#: bytes in one message of libvirt's streams; more is cut into several
PIECE = 262120


class VolumeWriter:
    """Writes into a volume from ``offset`` on. What was sent is there for certain only after :meth:`finish`."""

    def __init__(self, connection: Connection, pool_uuid: str, name: str, offset: int, length: int) -> None:
        """Raises a HypervisorError when the pool is off, the volume is gone, or the host cannot be asked."""
        self._connection = connection
        self._stream: Any = None
        self._use(lambda raw: self._begin(raw, pool_uuid, name, offset, length))

    def _begin(self, raw: libvirt.virConnect, pool_uuid: str, name: str, offset: int, length: int) -> None:
        volume = raw.storagePoolLookupByUUIDString(pool_uuid).storageVolLookupByName(name)
        stream = raw.newStream(0)
        volume.upload(stream, offset, length, 0)
        self._stream = stream

    def _use(self, work: Callable[[libvirt.virConnect], Any]) -> Any:
        with _in_our_words(self._connection), self._connection.in_use() as raw:
            return work(raw)

    def send(self, data: bytes) -> None:
        """Hand bytes on; waits while the host takes none. After an error only :meth:`abort` may follow."""
        self._use(lambda _raw: self._send(data))

    def _send(self, data: bytes) -> None:
        sent = 0
        while sent < len(data):
            sent += self._stream.send(data[sent:] if sent else data)

    def finish(self) -> None:
        """Wait until all of it is written."""
        stream, self._stream = self._stream, None
        self._use(lambda _raw: stream.finish())

    def abort(self) -> None:
        """Give up; how much of what was sent is there is not known."""
        stream, self._stream = self._stream, None
        _abort(self._connection, stream)


class VolumeReader:
    """Reads a volume from ``offset`` on: an iterator over pieces of at most :data:`PIECE` bytes."""

    def __init__(self, connection: Connection, pool_uuid: str, name: str, offset: int, length: int) -> None:
        """``length`` 0 means to the end. Raises as :class:`VolumeWriter` does."""
        self._connection = connection
        self._stream: Any = None
        with _in_our_words(connection), connection.in_use() as raw:
            volume = raw.storagePoolLookupByUUIDString(pool_uuid).storageVolLookupByName(name)
            stream = raw.newStream(0)
            volume.download(stream, offset, length, 0)
            self._stream = stream

    def __iter__(self) -> Iterator[bytes]:
        while True:
            with _in_our_words(self._connection), self._connection.in_use():
                data = self._stream.recv(PIECE)
            if not data:
                break
            yield data
        stream, self._stream = self._stream, None
        with _in_our_words(self._connection), self._connection.in_use():
            stream.finish()

    def close(self) -> None:
        """Give up before the end; afterwards it does nothing."""
        stream, self._stream = self._stream, None
        _abort(self._connection, stream)


def read_range(connection: Connection, pool_uuid: str, name: str, offset: int, length: int) -> bytes:
    """``length`` bytes from ``offset`` on, held in memory; fewer at the end. Raises as :class:`VolumeWriter` does."""
    if length <= 0:
        return b""
    return b"".join(VolumeReader(connection, pool_uuid, name, offset, length))


def length_of(connection: Connection, pool_uuid: str, name: str) -> int:
    """Bytes that reading the whole volume gives: the length of its file or device. Raises NotFound."""

    def ask(raw: libvirt.virConnect) -> int:
        volume = raw.storagePoolLookupByUUIDString(pool_uuid).storageVolLookupByName(name)
        return int(volume.infoFlags(libvirt.VIR_STORAGE_VOL_GET_PHYSICAL)[2])

    return connection.call(ask)


def _abort(connection: Connection, stream: Any) -> None:
    if stream is None:
        return
    try:
        with connection.in_use():
            stream.abort()
    except (libvirt.libvirtError, errors.Unreachable):
        return  # It broke before; on our side it is over all the same.


@contextmanager
def _in_our_words(connection: Connection) -> Iterator[None]:
    try:
        yield
    except libvirt.libvirtError as error:
        raise _meaning(connection, error) from error


def _meaning(connection: Connection, error: libvirt.libvirtError) -> errors.HypervisorError:
    """A stream's error comes over the wire as if it were the wire's own: while the connection lives it is the storage's."""
    ours = translate(error)
    text = error.get_error_message() or str(error)
    if "No space left" in text:
        said = say("The pool is full.")
    elif isinstance(ours, errors.Unreachable) and connection.is_alive:
        said = say("The host could not go on with it: %(what)s", what=text)
    else:
        return ours
    return errors.Failed(said, code=ours.code, domain=ours.domain, detail=text)
