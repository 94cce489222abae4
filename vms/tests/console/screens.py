"""Fake VNC servers that announce their name, keep what they are told, and misbehave when asked to."""

from __future__ import annotations

import contextlib
import os
import socket
import struct
import threading
from collections.abc import Callable

from vms.console.line import Target
from vms.console.rfb import des_response

FORMAT = struct.pack(">BBBBHHHBBBxxx", 32, 24, 0, 1, 255, 255, 255, 16, 8, 0)


class Screen:
    """Listens on loopback; every client gets a thread. ``script`` replaces the whole conversation."""

    def __init__(
        self,
        name: str = "screen",
        *,
        password: str = "",
        version: bytes = b"RFB 003.008\n",
        script: Callable[[socket.socket], None] | None = None,
        flood: bool = False,
    ) -> None:
        self.name = name
        self.password = password
        self.version = version
        self.told = b""
        self.sent = 0
        self.clients: list[socket.socket] = []
        self.shared: list[bytes] = []
        self._script = script or self._serve
        self._flood = flood
        self._socket = socket.create_server(("127.0.0.1", 0), backlog=1000)
        self.port = self._socket.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def target(self) -> Target:
        """Where it is, as the look-up would say."""
        return Target("127.0.0.1", self.port, password=self.password)

    def _accept(self) -> None:
        while True:
            try:
                client, _address = self._socket.accept()
            except OSError:
                return
            self.clients.append(client)
            threading.Thread(target=self._run, args=(client,), daemon=True).start()

    def _run(self, client: socket.socket) -> None:
        try:
            self._script(client)
        except (OSError, EOFError):
            pass
        finally:
            client.close()

    def _serve(self, client: socket.socket) -> None:
        client.sendall(self.version)
        said = _read(client, 12)
        assert said == self.version, said
        self._let_in(client)
        self.shared.append(_read(client, 1))
        name = self.name.encode()
        client.sendall(struct.pack(">HH", 640, 480) + FORMAT + struct.pack(">I", len(name)) + name)
        if self._flood:
            self._send_without_end(client)
        while data := client.recv(65536):
            self.told += data

    def _let_in(self, client: socket.socket) -> None:
        minor = int(self.version[8:11])
        kind = 2 if self.password else 1
        if minor == 3:
            client.sendall(struct.pack(">I", kind))
        else:
            client.sendall(bytes([1, kind]))
            assert _read(client, 1) == bytes([kind])
        right = True
        if kind == 2:
            challenge = os.urandom(16)
            client.sendall(challenge)
            right = _read(client, 16) == des_response(challenge, self.password)
        if kind == 2 or minor == 8:
            client.sendall(struct.pack(">I", 0 if right else 1))
        if not right:
            raise EOFError

    def _send_without_end(self, client: socket.socket) -> None:
        block = bytes(65536)
        while True:
            self.sent += client.send(block)

    def hang_up(self) -> None:
        """Close every client."""
        for client in self.clients:
            try:
                client.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def close(self) -> None:
        """End it. Closing alone would leave the port open for as long as a thread waits in accept()."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self.hang_up()


def _read(client: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        piece = client.recv(size - len(data))
        if not piece:
            raise EOFError
        data += piece
    return data
