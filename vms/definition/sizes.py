"""Numbers and sizes as libvirt reads them."""

from __future__ import annotations

import re
from functools import lru_cache

UNITS = {
    "b": 1, "byte": 1, "bytes": 1, "kb": 10**3, "k": 2**10, "kib": 2**10, "mb": 10**6, "m": 2**20, "mib": 2**20,
    "gb": 10**9, "g": 2**30, "gib": 2**30, "tb": 10**12, "t": 2**40, "tib": 2**40,
    "pb": 10**15, "p": 2**50, "pib": 2**50, "eb": 10**18, "e": 2**60, "eib": 2**60,
}  # fmt: skip
#: digits: more are no size of anything, and Python refuses to read very many
_LONGEST = 40
_WHOLE = re.compile(r"\s*([+-]?[0-9]{1,40})\s*\Z", re.ASCII)
_HEXADECIMAL = re.compile(r"\s*0[xX]([0-9a-fA-F]{1,40})\s*\Z", re.ASCII)


def whole_number(raw: str, *, hexadecimal: bool = False) -> int | None:
    """The number that the characters are; None for anything else."""
    if raw.isdigit() and raw.isascii() and len(raw) < _LONGEST:
        return int(raw)
    match = _WHOLE.match(raw)
    if match is not None:
        return int(match[1])
    match = _HEXADECIMAL.match(raw) if hexadecimal else None
    return int(match[1], 16) if match is not None else None


@lru_cache(maxsize=256)
def factor(unit: str) -> int | None:
    """How many bytes one of ``unit`` is; None when libvirt knows no such unit."""
    return UNITS.get(unit.strip().lower())


def in_units(size: int, present: str | None, default: str) -> tuple[int, str | None]:
    """(number, unit to write, None to leave it) for ``size`` bytes where ``present`` is the unit that stands there."""
    times = factor(default if present is None else present)
    if times and size % times == 0:
        return size // times, None
    return (size // 1024, "KiB") if size % 1024 == 0 else (size, "b")
