"""The forecast of a move against guests whose end is known, and the curve that stays small."""

from __future__ import annotations

import itertools
import statistics
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from bench.forecast import errors_of, read
from vms.moving.curve import MOST_POINTS, Point, added, forecast

MIB = 2**20
#: moves of a guest of the lab, recorded by `python -m bench.forecast --record`
RECORDED = read(Path(__file__).parents[2] / "bench" / "recorded" / "moves.json")
RATIOS = sorted({move.ratio for move in RECORDED})


def move(
    memory: int, link: int, dirty: int, allowed_ms: int = 300, step: float = 0.4, most: float = 600
) -> list[Point]:
    """The points that QEMU would tell of a guest of ``memory`` bytes that dirties ``dirty`` a second; the last is its end."""
    points, t, sent, number, left, known = [], 0.0, 0, 1, float(memory), 0
    fresh = 0.0
    while t < most:
        points.append(Point(round(t, 3), int(left), sent, memory, link, known, number))
        moved = min(left, link * step)
        took = moved / link
        t, sent, left, fresh = t + took, sent + int(moved), left - moved, fresh + dirty * took
        if left <= 0:
            known, number, left, fresh = dirty, number + 1, min(fresh, memory), 0.0
            if left <= link * allowed_ms / 1000:
                points.append(Point(round(t + left / link, 3), 0, sent + int(left), memory, link, known, number))
                return points
    return points


def told(points: list[Point], allowed_ms: int = 300) -> Iterator[tuple[Point, float]]:
    """Each point from the second pass on but the last, with the share by which the forecast is wrong there."""
    end = points[-1].t
    for number, point in enumerate(points[:-1]):
        left = end - point.t
        if point.n >= 2 and left > 1.0:
            said = forecast(points[: number + 1], allowed_ms)
            assert said.verdict == "ends" and said.seconds is not None
            yield point, abs(said.seconds - left) / left


@pytest.mark.parametrize("share", [0.05, 0.3, 0.6, 0.8])
@pytest.mark.parametrize("link", [50 * MIB, 400 * MIB])
def test_from_the_second_pass_on_the_time_left_is_told_within_a_quarter(link: int, share: float) -> None:
    points = move(4096 * MIB, link, int(link * share))
    assert points[-1].left == 0
    assert all(wrong < 0.25 for _point, wrong in told(points))


@pytest.mark.parametrize("ratio", RATIOS)
def test_of_real_moves_the_time_left_is_told_within_a_quarter_mostly(ratio: float) -> None:
    errors = [one for move in RECORDED if move.ratio == ratio for one in errors_of(move)]
    assert len(errors) >= 2
    assert statistics.median(errors) < 0.25
    # What goes round in its memory within one pass looks slower than it is until the next.
    assert statistics.quantiles(errors, n=10)[-1] < (0.3 if ratio <= 0.5 else 0.6)


def test_one_figure_of_the_link_that_is_far_off_changes_little() -> None:
    points = move(4096 * MIB, 100 * MIB, 30 * MIB)
    seen = [point for point in points if point.n <= 2][:-2]
    usual = forecast(seen)
    odd = forecast([*seen[:-1], replace(seen[-1], rate=20 * MIB)])
    assert usual.seconds is not None and odd.seconds == pytest.approx(usual.seconds)


def test_a_link_that_is_throttled_is_believed_at_the_second_point() -> None:
    points = move(4096 * MIB, 100 * MIB, 30 * MIB)
    seen = [point for point in points if point.n <= 2][:-4]
    last = seen[-1]
    slower = [replace(last, t=last.t + n, left=last.left - n * 50 * MIB, rate=50 * MIB) for n in (1, 2)]
    assert forecast([*seen, *slower]).link == 50 * MIB


def test_a_guest_that_dirties_faster_than_the_link_carries_never_ends() -> None:
    points = move(4096 * MIB, 100 * MIB, 250 * MIB, most=120)
    said = forecast(points)
    assert (said.verdict, said.dirty, said.link) == ("never", 250 * MIB, 100 * MIB)


def test_a_guest_that_goes_round_in_the_same_memory_never_ends_however_slow_it_looks() -> None:
    points, t, link = [], 0.0, 8 * MIB
    for number in range(2, 12):
        for step in range(9):
            points.append(Point(t + step, 64 * MIB - step * 7 * MIB, 0, 256 * MIB, link, int(7.4 * MIB), number))
        t += 9
    assert forecast(points[: 9 * 3]).verdict == "ends"
    assert forecast(points).verdict == "never"
    assert forecast(points, 20_000).verdict == "ends"


def test_a_longer_pause_lets_it_end() -> None:
    points = move(1024 * MIB, 100 * MIB, 98 * MIB, allowed_ms=300, most=60)
    assert (forecast(points, 300).seconds or 1e9) > 60
    said = forecast(points, 10_000)
    assert said.verdict == "ends" and said.pause_ms is not None and said.pause_ms <= 10_000


def test_before_anything_is_known_it_says_so() -> None:
    assert forecast([]).verdict == "early"
    assert forecast([Point(0, 100, 0, 100, 0, 0, 1)]).verdict == "early"
    first = [Point(t, 1000 * MIB - t * 100 * MIB, t * 100 * MIB, 1000 * MIB, 100 * MIB, 0, 1) for t in range(3)]
    said = forecast(first)
    assert said.verdict == "early" and said.seconds == pytest.approx(8)


def test_a_long_curve_is_thinned_and_keeps_its_ends() -> None:
    points: list[list[float]] = []
    for number in range(5000):
        points = added(points, Point(number, 1, 1, 1, 1, 1, 1))
    assert len(points) <= MOST_POINTS
    assert points[0][0] == 0 and points[-1][0] == 4999
    gaps = [b[0] - a[0] for a, b in itertools.pairwise(points)]
    assert max(gaps) <= 8 * 5000 / MOST_POINTS
