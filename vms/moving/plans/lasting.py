"""How long moves are expected to take: by what moves between these hosts carried lately, else by a guess that is called one."""

from __future__ import annotations

import statistics
from collections.abc import Iterable
from typing import NamedTuple

from hosts.models import Operation

#: bytes a second where nothing was measured: what a link of one gigabit carries
GUESSED = 110 * 10**6
#: seconds besides the memory where nothing was measured: beginning, the pause, looking afterwards
BESIDES = 3.0
#: seconds that other steps are expected to take
SHUTDOWN, SAVE_RATE = 30.0, 200 * 10**6
#: moves that are looked at
LATELY = 200
MIB = 2**20


class Rates:
    """Bytes of memory a second by pair of hosts (source, target by name), and of all; and the seconds that a move takes besides.

    What counts is the memory that was to be carried, not the bytes that went: pages of zeros take none of the wire, but a move of
    nothing else lasts all the same.
    """

    def __init__(self, pairs: dict[tuple[str, str], float], besides: float = BESIDES) -> None:
        self._pairs = pairs
        self._all = statistics.median(pairs.values()) if pairs else None
        self._besides = besides

    @classmethod
    def measured(cls) -> Rates:
        """From the last moves that went well."""
        rows = Operation.objects.filter(kind="migrate", state="succeeded").order_by("-finished_at")
        found: dict[tuple[str, str], list[float]] = {}
        besides: list[float] = []
        for source, result in rows.values_list("host_name", "result")[:LATELY]:
            carried, lasted = result.get("carried") or result.get("transferred"), result.get("total_ms")
            if carried and lasted:
                found.setdefault((source, str(result.get("host", ""))), []).append(1000 * carried / lasted)
                besides += [max(0.0, result["seconds"] - lasted / 1000)] if result.get("seconds") else []
        medians = {pair: statistics.median(rates) for pair, rates in found.items()}
        return cls(medians, statistics.median(besides) if besides else BESIDES)

    def seconds(self, source: str, target: str, memory: int, bandwidth: int = 0) -> tuple[float, bool]:
        """How long, and whether that is a guess. ``bandwidth`` in MiB a second, 0 for no limit."""
        rate = self._pairs.get((source, target), self._all)
        limited = min(rate or GUESSED, bandwidth * MIB) if bandwidth else rate or GUESSED
        return self._besides + memory / limited, (source, target) not in self._pairs


class Piece(NamedTuple):
    """One move as far as its time goes."""

    source: str
    target: str
    seconds: float


def altogether(pieces: Iterable[Piece], per_host: int, per_link: int) -> float:
    """Seconds until the last is over, when each host and each pair of hosts has no more under way than that."""
    hosts: dict[str, float] = {}
    links: dict[tuple[str, str], float] = {}
    longest = 0.0
    for piece in pieces:
        longest = max(longest, piece.seconds)
        links[piece.source, piece.target] = links.get((piece.source, piece.target), 0.0) + piece.seconds
        for name in {piece.source, piece.target} - {""}:
            hosts[name] = hosts.get(name, 0.0) + piece.seconds
    by_host = max((seconds / per_host for seconds in hosts.values()), default=0.0)
    by_link = max((seconds / per_link for seconds in links.values()), default=0.0)
    return max(longest, by_host, by_link)
