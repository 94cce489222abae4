"""A browser as far as the gateway can tell: an RFB client over a websocket."""

from __future__ import annotations

import struct

from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

UPDATE_REQUEST = struct.pack(">BBHHHH", 3, 0, 0, 0, 0xFFFF, 0xFFFF)


class Viewer:
    """Opens a console, shakes hands, and reads what comes."""

    def __init__(self, url: str, *, origin: str | None = None, headers: dict[str, str] | None = None) -> None:
        self.websocket: ClientConnection = connect(
            url, origin=origin, additional_headers=headers, subprotocols=["binary"], compression=None, proxy=None,
            max_size=None, ping_interval=None, open_timeout=30, close_timeout=1,
        ).__enter__()  # fmt: skip
        self._inbox = b""
        self.name = ""
        self.width = self.height = 0

    def __enter__(self) -> Viewer:
        return self

    def __exit__(self, *_: object) -> None:
        self.websocket.close()

    def read(self, size: int, seconds: float = 30) -> bytes:
        """Exactly ``size`` bytes."""
        while len(self._inbox) < size:
            data = self.websocket.recv(timeout=seconds)
            assert isinstance(data, bytes)
            self._inbox += data
        taken, self._inbox = self._inbox[:size], self._inbox[size:]
        return taken

    def send(self, data: bytes) -> None:
        """One message."""
        self.websocket.send(data)

    def greet(self) -> Viewer:
        """The handshake to ServerInit, without a password."""
        assert self.read(12) == b"RFB 003.008\n"
        self.send(b"RFB 003.008\n")
        assert self.read(2) == bytes([1, 1])
        self.send(bytes([1]))
        assert self.read(4) == bytes(4)
        self.send(bytes([1]))
        self.width, self.height = struct.unpack(">HH", self.read(4))
        self.read(16)
        self.name = self.read(struct.unpack(">I", self.read(4))[0]).decode()
        return self

    def picture(self) -> int:
        """Ask for the whole screen in raw encoding and read it; the number of bytes of picture."""
        self.send(struct.pack(">BxHi", 2, 1, 0))
        self.send(struct.pack(">BBHHHH", 3, 0, 0, 0, self.width, self.height))
        kind = self.read(1)[0]
        while kind == 2:  # the bell
            kind = self.read(1)[0]
        assert kind == 0
        _padding, rectangles = struct.unpack(">BH", self.read(3))
        total = 0
        for _rectangle in range(rectangles):
            _x, _y, width, height, encoding = struct.unpack(">HHHHi", self.read(12))
            assert encoding == 0
            total += len(self.read(width * height * 4))
        return total

    def close_code(self, seconds: float = 20) -> int:
        """Read on until the other side closes; the code it gave."""
        try:
            while True:
                self.websocket.recv(timeout=seconds)
        except ConnectionClosed as closed:
            return closed.rcvd.code if closed.rcvd is not None else 1006

    @property
    def close_reason(self) -> str:
        """The words with it."""
        return self.websocket.close_reason or ""
