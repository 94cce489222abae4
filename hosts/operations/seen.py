"""Waiting until the pages show what an operation did: whoever hears of the success and asks for the next thing must find it.

It was done in any case, so that the wait is short and nothing fails by it.
"""

from __future__ import annotations

import time
from typing import Any

from django.db.models import QuerySet

from hosts.hypervisor.sentences import say
from hosts.operations.task import Task
from hosts.work import DATABASE_AWAY

SECONDS = 3.0
EVERY = 0.05


def until_seen(task: Task, rows: QuerySet[Any]) -> None:
    """Wait until ``rows`` has one: what the mirror writes when it has looked."""
    _wait(task, rows, there=True)


def until_gone(task: Task, rows: QuerySet[Any]) -> None:
    """Wait until ``rows`` has none."""
    _wait(task, rows, there=False)


def _wait(task: Task, rows: QuerySet[Any], *, there: bool) -> None:
    until = time.monotonic() + SECONDS
    try:
        while rows.all().exists() is not there and time.monotonic() < until:
            task.wait(EVERY)
    except DATABASE_AWAY as error:
        task.log(say("What the pages show was not waited for: %(text)s", text=error), "warning")
