"""What a benchmark found: figures with their goals, printed as one table and handed on as JSON."""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure: what was measured, what was wanted, and whether it is so (None where nothing is wanted of it)."""

    name: str
    goal: str
    measured: str
    held: bool | None = None

    @property
    def verdict(self) -> str:
        """A word for the table."""
        return {True: "held", False: "missed", None: ""}[self.held]


def at_most(name: str, value: float, goal: float, unit: str = "", digits: int = 1) -> Figure:
    """A figure that should be small."""
    return Figure(name, f"≤ {goal:g}{unit}", f"{value:.{digits}f}{unit}", value <= goal)


def at_least(name: str, value: float, goal: float, unit: str = "", digits: int = 2) -> Figure:
    """A figure that should be large."""
    return Figure(name, f"≥ {goal:g}{unit}", f"{value:.{digits}f}{unit}", value >= goal)


def fact(name: str, measured: str) -> Figure:
    """A figure that nothing is wanted of; it makes others readable."""
    return Figure(name, "", measured)


def table(figures: Iterable[Figure]) -> str:
    """Columns: figure, goal, measured, held or missed."""
    rows = [("figure", "goal", "measured", "")] + [(f.name, f.goal, f.measured, f.verdict) for f in figures]
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )


class Parser(argparse.ArgumentParser):
    """Arguments that hold for the whole process."""

    def parse_args(self, *args: Any, **kwargs: Any) -> Any:  # type: ignore[override]
        """As always; with ``--ahead`` this process and those it starts run before all others of the machine."""
        options = super().parse_args(*args, **kwargs)
        if options.ahead:
            os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))
        return options


def arguments(description: str | None) -> Parser:
    """A parser with what all benchmarks take."""
    parser = Parser(description=(description or "").splitlines()[0])
    parser.add_argument("--json", type=Path, help="write the figures to this file, too")
    parser.add_argument("--ahead", action="store_true", help="before others on a busy machine (SCHED_RR; needs root)")
    return parser


def finish(figures: list[Figure], options: argparse.Namespace) -> None:
    """Print the figures, and write them where they are asked for."""
    print(table(figures), flush=True)
    if options.json:
        options.json.write_text(json.dumps([asdict(figure) for figure in figures]))


def read(file: Path) -> list[Figure]:
    """What :func:`finish` wrote."""
    return [Figure(**row) for row in json.loads(file.read_text())]


def say(text: str) -> None:
    """A line on how it goes, with the machine's load: a figure taken on a busy machine is read differently."""
    print(f"{time.strftime('%H:%M:%S')} [load {os.getloadavg()[0]:.1f}] {text}", flush=True)
