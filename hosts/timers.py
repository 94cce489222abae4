"""What is looked after now and then by whichever process runs operations. Each must bear being run by several at once."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

import structlog

from hosts.work import DATABASE_AWAY

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Timer:
    """``work`` every so many ``seconds``."""

    seconds: float
    work: Callable[[], None]


registry: list[Timer] = []


def every(seconds: float, work: Callable[[], None]) -> None:
    """Have ``work`` done about that often."""
    registry.append(Timer(seconds, work))


@dataclass(slots=True)
class Timers:
    """One process's memory of when each was last run."""

    _ran: dict[int, float] = field(default_factory=dict)

    def run_due(self) -> None:
        """Run those whose time has come. Raises what :data:`hosts.work.DATABASE_AWAY` names; other errors are logged."""
        for number, timer in enumerate(registry):
            now = time.monotonic()
            if now - self._ran.get(number, float("-inf")) < timer.seconds:
                continue
            self._ran[number] = now
            try:
                timer.work()
            except DATABASE_AWAY:
                raise
            except Exception:
                log.exception("what is done now and then stumbled", work=getattr(timer.work, "__qualname__", "?"))
