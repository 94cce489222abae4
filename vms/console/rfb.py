"""The RFB handshakes (RFC 6143): the gateway logs in to the guest's screen itself, so that no password reaches a browser."""

from __future__ import annotations

import struct
from typing import Protocol

from cryptography.hazmat.decrepit.ciphers.algorithms import TripleDES
from cryptography.hazmat.primitives.ciphers import Cipher, modes

from vms.console.closing import PROTOCOL, UNREACHABLE, Closing

VERSION = b"RFB 003.008\n"
NONE, VNC_AUTH = 1, 2
_LONGEST_REASON = 1000
_SHARED = b"\x01"


class Stream(Protocol):
    """Bytes both ways; ``read`` returns exactly that many or raises Closing."""

    def read(self, size: int) -> bytes:
        """Exactly ``size`` bytes."""

    def write(self, data: bytes) -> None:
        """All of ``data``."""


def des_response(challenge: bytes, password: str) -> bytes:
    """VNC authentication: the challenge encrypted with DES, whose key is the password with the bits of each byte reversed."""
    key = password.encode("latin-1", "replace")[:8].ljust(8, b"\0")
    mirrored = bytes(int(f"{byte:08b}"[::-1], 2) for byte in key)
    # Three times the same key makes triple DES the single one that RFB asks for.
    encryptor = Cipher(TripleDES(mirrored * 3), modes.ECB()).encryptor()  # noqa: S305 - the protocol's own
    return encryptor.update(challenge) + encryptor.finalize()


def greet_guest(guest: Stream, password: str) -> None:
    """Up to the point where the guest waits for ClientInit. Raises Closing when it is no VNC server or turns us away."""
    minor = _version(guest.read(12))
    guest.write(b"RFB 003.00%d\n" % minor)
    kind = _old_security(guest) if minor == 3 else _choose_security(guest, password)
    if kind == VNC_AUTH:
        guest.write(des_response(guest.read(16), password))
    if kind == VNC_AUTH or minor == 8:
        _result(guest, minor)


def _version(line: bytes) -> int:
    """3, 7 or 8, of which we and the guest both know the rules."""
    if not (line.startswith(b"RFB ") and line.endswith(b"\n") and line[4:7].isdigit() and line[8:11].isdigit()):
        raise Closing(UNREACHABLE, "What answers there is no VNC server.")
    major, minor = int(line[4:7]), int(line[8:11])
    if (major, minor) < (3, 3):
        raise Closing(UNREACHABLE, "The VNC server is too old.")
    if (major, minor) < (3, 7):
        return 3
    return 7 if (major, minor) == (3, 7) else 8


def _old_security(guest: Stream) -> int:
    kind = _number(guest)
    if kind == 0:
        raise Closing(UNREACHABLE, f"The VNC server refused: {_reason(guest)}")
    if kind not in (NONE, VNC_AUTH):
        raise _unsupported([kind])
    return kind


def _choose_security(guest: Stream, password: str) -> int:
    count = guest.read(1)[0]
    if count == 0:
        raise Closing(UNREACHABLE, f"The VNC server refused: {_reason(guest)}")
    offered = list(guest.read(count))
    wanted = (VNC_AUTH, NONE) if password else (NONE, VNC_AUTH)
    kind = next((kind for kind in wanted if kind in offered), 0)
    if not kind:
        raise _unsupported(offered)
    guest.write(bytes([kind]))
    return kind


def _unsupported(offered: list[int]) -> Closing:
    numbers = ", ".join(map(str, offered[:8]))
    return Closing(UNREACHABLE, f"The VNC server wants a log-in we do not know (security types {numbers}).")


def _result(guest: Stream, minor: int) -> None:
    if _number(guest) == 0:
        return
    try:
        reason = f": {_reason(guest)}" if minor == 8 else "."
    except Closing:
        reason = "."  # Some just hang up.
    raise Closing(UNREACHABLE, f"The VNC server did not take the guest's password{reason}")


def _number(guest: Stream) -> int:
    return int(struct.unpack(">I", guest.read(4))[0])


def _reason(guest: Stream) -> str:
    """The words after a refusal; never more than a sentence is read."""
    size = min(_number(guest), _LONGEST_REASON)
    return "".join(character for character in guest.read(size).decode("utf-8", "replace") if character.isprintable())


def greet_browser(browser: Stream) -> None:
    """RFB 3.8 without a password: the ticket was the right. Ends after ClientInit."""
    browser.write(VERSION)
    if browser.read(12) != VERSION:
        raise Closing(PROTOCOL, "Only RFB 3.8 is spoken here.")
    browser.write(bytes([1, NONE]))
    if browser.read(1)[0] != NONE:
        raise Closing(PROTOCOL, "That security type was not offered.")
    browser.write(struct.pack(">I", 0))
    browser.read(1)


def begin(guest: Stream) -> None:
    """ClientInit. Always shared: a browser that asks for the screen alone must not throw the others out."""
    guest.write(_SHARED)
