"""Checksums on the way: of all that passed, and of what they must be. Stdlib only."""

from __future__ import annotations

import hashlib
import re
from typing import Any

from django.utils.translation import gettext as _

#: algorithm → hexadecimal digits
DIGITS = {"sha256": 64, "sha512": 128}
_HEX = re.compile(r"[0-9a-f]+\Z")


class Passed:
    """The checksum of all that passed."""

    def __init__(self, algorithm: str) -> None:
        self.algorithm = algorithm
        self._running: Any = hashlib.new(algorithm)

    def update(self, data: bytes) -> None:
        """These bytes passed."""
        self._running.update(data)

    def copy(self) -> Passed:
        """As it is now, to come back to."""
        twin = Passed.__new__(Passed)
        twin.algorithm, twin._running = self.algorithm, self._running.copy()
        return twin

    def text(self) -> str:
        """As ``sha256:…``."""
        return f"{self.algorithm}:{self._running.hexdigest()}"


def wanted(text: str) -> str:
    """A checksum as people give it, bare or with its algorithm, as ``sha256:…`` or ``sha512:…``. Raises ValueError."""
    given = text.strip().lower()
    name, colon, digits = given.rpartition(":")
    if not colon:
        name = next((name for name, length in DIGITS.items() if length == len(digits)), "")
    if DIGITS.get(name) != len(digits) or _HEX.match(digits) is None:
        raise ValueError(_("A SHA-256 has 64 hexadecimal digits, a SHA-512 has 128."))
    return f"{name}:{digits}"


def is_address(text: str) -> bool:
    """Whether it is the address of a list of checksums and not one itself."""
    return text.startswith(("http://", "https://"))


def algorithm_of(checksum: str) -> str:
    """The algorithm of a :func:`wanted` checksum."""
    return checksum.partition(":")[0]


def listed(text: str, file: str) -> str:
    """The checksum of ``file`` in a list such as SHA256SUMS, as :func:`wanted` gives it. Raises ValueError."""
    for line in text.splitlines():
        found = re.match(r"\s*(?:\\?)([0-9A-Fa-f]{64}|[0-9A-Fa-f]{128})\s+[* ]?(.+?)\s*\Z", line)
        named = re.match(r"\s*SHA(?:256|512)\s*\((.+)\)\s*=\s*([0-9A-Fa-f]+)\s*\Z", line)
        digits, name = found.groups() if found else (named[2], named[1]) if named else ("", "")
        if name.removeprefix("./") == file:
            return wanted(digits)
    bare = text.strip()
    if re.fullmatch(r"[0-9A-Fa-f]{64}|[0-9A-Fa-f]{128}", bare):
        return wanted(bare)
    raise ValueError(_("The list of checksums does not name %(file)s.") % {"file": file})
