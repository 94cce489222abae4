"""How a move goes: points of its curve, thinned as it grows, and the forecast made of them. Pure.

QEMU sends a guest's memory in passes. What the guest changes meanwhile is sent again in the next pass, so that a pass is as long as
what was dirtied in the one before it; the move ends when what is left fits into the pause that is allowed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from statistics import median_low

#: points that are kept of a curve; beyond that every second one goes
MOST_POINTS = 240
#: seconds over which a rate is measured
WINDOW = 3.0
#: points whose rate is looked at
RATES = 3
#: passes that a forecast looks ahead; a move that takes more does not end for anybody who waits
MOST_PASSES = 200
#: passes after which a move whose passes are still that share as long is said not to end
STUCK_PASSES, STUCK_SHARE = 4, 0.85
#: the pause that QEMU allows itself when nobody says otherwise, in milliseconds (QEMU: downtime-limit)
USUAL_PAUSE_MS = 300


@dataclass(frozen=True, slots=True)
class Point:
    """The job ``t`` seconds after the move began. Bytes, and bytes a second; ``n`` is QEMU's number of the pass."""

    t: float
    left: int
    sent: int
    total: int
    rate: int
    dirty: int
    n: int

    def plain(self) -> list[float]:
        """As it is stored: the fields in order."""
        return list(asdict(self).values())

    @classmethod
    def of(cls, stored: Sequence[float]) -> Point:
        """From what was stored."""
        t, *numbers = stored
        return cls(float(t), *(int(number) for number in numbers))


@dataclass(frozen=True, slots=True)
class Forecast:
    """``verdict`` 'early', 'ends' or 'never'. ``seconds`` until it ends, ``pause_ms`` of the guest then; None where not known."""

    verdict: str
    seconds: float | None = None
    pause_ms: int | None = None
    #: bytes a second: what the guest dirties and what the link carries, as the forecast saw them
    dirty: int = 0
    link: int = 0


def added(points: list[list[float]], point: Point) -> list[list[float]]:
    """The stored points with one more. Thinned evenly when there are too many: the newest always stays."""
    grown = [*points, point.plain()]
    if len(grown) <= MOST_POINTS:
        return grown
    apart = 2 * (grown[-1][0] - grown[0][0]) / MOST_POINTS
    kept = grown[:1]
    for one in grown[1:-1]:
        if one[0] - kept[-1][0] >= apart:
            kept.append(one)
    return [*kept, grown[-1]]


def forecast(points: Sequence[Point], allowed_ms: int = USUAL_PAUSE_MS) -> Forecast:
    """How it will end, seen from the last point, when nothing is changed. ``allowed_ms`` is the pause that QEMU may make."""
    if not points:
        return Forecast("early")
    now = points[-1]
    link = _rate(points) or _slope(points, lambda point: point.sent)
    drain = max(_slope([point for point in points if point.n == now.n], lambda point: -point.left), link)
    if link <= 0 or drain <= 0:
        return Forecast("early", dirty=now.dirty, link=link)
    if now.n < 2 and now.dirty == 0:
        # In its first pass nothing is known of what the guest changes.
        return Forecast("early", now.left / drain, dirty=0, link=link)
    fits = link * allowed_ms / 1000
    if now.n > 1 and _is_stuck(points) and now.left > fits:
        return Forecast("never", dirty=now.dirty, link=link)
    took, left, speed = 0.0, float(now.left), float(drain)
    # What is dirtied in the whole of this pass is the next one.
    since = now.t - next(point.t for point in points if point.n == now.n)
    for number in range(MOST_PASSES):
        # QEMU looks again at what was dirtied before it makes the pause.
        if left + now.dirty * since <= fits and (number or now.n > 1):
            return Forecast("ends", took + left / speed, int(1000 * left / link), now.dirty, link)
        if now.dirty >= link and number:
            break
        time = left / speed
        took += time
        left, speed, since = now.dirty * (since + time), float(link), 0.0
    return Forecast("never", dirty=now.dirty, link=link)


def _rate(points: Sequence[Point]) -> int:
    """What the link carries: QEMU measures a tenth of a second, so that one figure alone may be far off."""
    return int(median_low([point.rate for point in points if point.rate][-RATES:] or [0]))


def _is_stuck(points: Sequence[Point]) -> bool:
    """Whether the last passes did not become shorter: a guest that goes round in the same memory looks slower than it is."""
    begins: dict[int, int] = {}
    for point in points:
        if point.n > 1:
            begins[point.n] = max(begins.get(point.n, 0), point.left)
    last = list(begins.values())[-1 - STUCK_PASSES :]
    return len(last) > STUCK_PASSES and last[-1] >= STUCK_SHARE * last[0]


def _slope(points: Sequence[Point], value: object) -> int:
    """Bytes a second by which ``value`` of the points grew lately; 0 where that cannot be told."""
    assert callable(value)
    if len(points) < 2:
        return 0
    last = points[-1]
    first = next(point for point in points if last.t - point.t <= WINDOW or point is points[-2])
    seconds = last.t - first.t
    return int(max(0.0, (value(last) - value(first)) / seconds)) if seconds > 0 else 0
