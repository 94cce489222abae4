"""Numbers and units as descriptors write them."""

from __future__ import annotations

import re

_POWER = re.compile(r"byte(?:\s*\*\s*(2|10)\s*\^\s*([0-9]{1,2}))?")
WORDS = {
    "byte": 1, "bytes": 1, "kilobyte": 2**10, "kilobytes": 2**10, "kb": 2**10, "megabyte": 2**20, "megabytes": 2**20, "mb": 2**20,
    "gigabyte": 2**30, "gigabytes": 2**30, "gb": 2**30, "terabyte": 2**40, "terabytes": 2**40, "tb": 2**40,
}  # fmt: skip
#: no memory and no disk has more
MOST = 2**60


def number(text: str | None) -> int | None:
    """A whole number that is not negative; None for anything else."""
    plain = (text or "").strip()
    return int(plain) if re.fullmatch(r"[0-9]{1,18}", plain) else None


def unit(text: str | None, usual: int) -> int | None:
    """Bytes in one unit: “byte * 2^20”, “MegaBytes”; ``usual`` where none is given, None where it is not understood."""
    plain = (text or "").strip().lower()
    if not plain:
        return usual
    if (found := _POWER.fullmatch(plain)) is not None:
        return int(found[1]) ** int(found[2]) if found[1] else 1
    return WORDS.get(plain)


def amount(count: str | None, units: str | None, usual: int) -> int | None:
    """Bytes; None where that cannot be told."""
    times, each = number(count), unit(units, usual)
    if times is None or each is None or times * each > MOST:
        return None
    return times * each
