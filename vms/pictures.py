"""Screenshots as PNG: newer QEMU makes PNG, older makes PPM (netpbm P6)."""

from __future__ import annotations

import re
import struct
import zlib

PNG = b"\x89PNG\r\n\x1a\n"
_PPM = re.compile(rb"^P6\s+(?:#[^\n]*\n\s*)*(\d+)\s+(\d+)\s+255\s", re.ASCII)


def to_png(data: bytes) -> bytes | None:
    """``data`` as PNG; None when it is neither PNG nor 8-bit PPM. What it calls itself is not asked."""
    if data.startswith(PNG):
        return data
    header = _PPM.match(data)
    if header is None:
        return None
    width, height = int(header[1]), int(header[2])
    pixels = data[header.end() :]
    if len(pixels) < width * height * 3:
        return None
    rows = b"".join(b"\0" + pixels[y * width * 3 : (y + 1) * width * 3] for y in range(height))
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return PNG + _chunk(b"IHDR", head) + _chunk(b"IDAT", zlib.compress(rows, 6)) + _chunk(b"IEND", b"")


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
