"""Telling systemd that we are ready, when it started us with Type=notify."""

from __future__ import annotations

import os
import socket


def tell() -> None:
    """Say so once; nothing where nobody asked. Raises OSError when whoever asked does not listen."""
    address = os.environ.pop("NOTIFY_SOCKET", "")
    if not address:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as said:
        said.connect(f"\0{address[1:]}" if address.startswith("@") else address)
        said.sendall(b"READY=1")
