"""The last bytes that a guest wrote, kept once for all who look: each reads on from where it is, at its own pace."""

from __future__ import annotations

from collections import deque

#: how far somebody slow may fall behind, and what a newcomer is shown of it
KEPT_BYTES, SHOWN_BYTES = 1048576, 262144


class Scrollback:
    """Bytes with absolute positions, of which the last so many are kept. Locking is the owner's."""

    def __init__(self, most: int = KEPT_BYTES) -> None:
        self._most = most
        self._pieces: deque[tuple[int, bytes]] = deque()
        self.end = 0

    @property
    def start(self) -> int:
        """The position of the first byte that is kept."""
        return self._pieces[0][0] if self._pieces else self.end

    def add(self, data: bytes) -> None:
        """Take in what came. The oldest pieces go."""
        if len(data) > self._most:
            self.end += len(data) - self._most
            data = data[-self._most :]
        self._pieces.append((self.end, data))
        self.end += len(data)
        while self.end - self._pieces[0][0] > self._most and len(self._pieces) > 1:
            self._pieces.popleft()

    def after(self, position: int, most: int) -> tuple[int, bytes]:
        """At most so many bytes from ``position`` on, or from the first that is kept; and the position where they begin."""
        begin = max(position, self.start)
        parts, left = [], most
        for at, data in self._from(begin):
            part = data[max(begin - at, 0) :][:left]
            parts.append(part)
            left -= len(part)
            if not left:
                break
        return begin, b"".join(parts)

    def _from(self, position: int) -> list[tuple[int, bytes]]:
        """The pieces from the one that holds ``position`` on; those who keep up need the last ones only."""
        found = []
        for at, data in reversed(self._pieces):
            if at + len(data) <= position:
                break
            found.append((at, data))
        found.reverse()
        return found
