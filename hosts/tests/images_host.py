"""A libvirtd of its own with a real storage driver: volumes are files in a folder, and bytes go in and out."""

from __future__ import annotations

import hashlib
import http.client
import os
import subprocess
from pathlib import Path
from typing import Any

import libvirt

from conftest import wait_until
from lab.testhosts import NOBODY, TestHost

POOL = "<pool type='dir'><name>images</name><target><path>{path}</path></target></pool>"


class ImagesHost(TestHost):
    """A user's own daemon (it steps down to nobody when run by root), with a pool called images."""

    @property
    def uri(self) -> str:
        return f"qemu+tcp://127.0.0.1:{self.port}/session"

    @property
    def images(self) -> Path:
        """The folder of the pool."""
        return self.folder / "images"

    def start(self, seconds: float = 20.0) -> None:
        self.images.mkdir(exist_ok=True)
        if os.geteuid() == 0:
            os.chown(self.images, NOBODY, NOBODY)
        super().start(seconds)
        raw = libvirt.open(self.uri)
        if not raw.listAllStoragePools(0):
            raw.storagePoolDefineXML(POOL.format(path=self.images))
        pool = raw.storagePoolLookupByName("images")
        if not pool.isActive():
            pool.create()
        raw.close()

    def restore(self) -> None:
        """As it was at the start: running, the pool on and empty."""
        if self.process is None or self.process.poll() is not None:
            self.start()
        for file in self.images.iterdir():
            file.unlink()
        pool = self.pool()
        if not pool.isActive():
            pool.create()
        pool.refresh(0)

    def pool(self) -> Any:
        """The pool, on a connection of its own."""
        return libvirt.open(self.uri).storagePoolLookupByName("images")

    def content(self, name: str) -> bytes:
        """What lies there."""
        return (self.images / name).read_bytes()

    def limit(self, size: str) -> None:
        """Give the pool no more room than that; needs root. Undone by :meth:`unlimit`."""
        command = ["mount", "-t", "tmpfs", "-o", f"size={size},uid={NOBODY},gid={NOBODY}", "tmpfs", str(self.images)]
        subprocess.run(command, check=True)

    def unlimit(self) -> None:
        """The reverse, as soon as libvirtd looks at nothing there."""
        umount = ["umount", str(self.images)]
        wait_until(
            lambda: subprocess.run(umount, check=False).returncode == 0, 30, "the small file system to be let go of"
        )


def some_bytes(size: int, seed: int = 7) -> bytes:
    """Bytes that look like nothing else, the same each time."""
    block = b"".join(hashlib.sha256(f"{seed} {n}".encode()).digest() for n in range(2048))
    return (block * (size // len(block) + 1))[:size]


class Sender:
    """Sends pieces to an upload, as a browser or a program does."""

    def __init__(self, port: int, address: str, ticket: str) -> None:
        self.port, self.address, self.ticket = port, address, ticket

    def send(
        self, data: bytes, at: int, checksum: str | None = None, length: int | None = None
    ) -> tuple[int, dict[str, str], str]:
        """(status, headers, body); ``length`` announces another number of bytes than are sent, and then hangs up."""
        line = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        headers = {"Upload-Ticket": self.ticket, "Upload-Offset": str(at), "Content-Length": str(length or len(data))}
        headers |= {} if checksum is None else {"Upload-Checksum": checksum}
        line.putrequest("PATCH", self.address)
        for name, value in headers.items():
            line.putheader(name, value)
        line.endheaders()
        line.send(data)
        if length:
            line.close()
            return 0, {}, ""
        answer = line.getresponse()
        found = answer.status, {key.lower(): value for key, value in answer.getheaders()}, answer.read().decode()
        line.close()
        return found
