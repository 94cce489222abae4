"""The operations role from inside: when what was asked for begins, and the connections that a task is handed."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from hosts.hypervisor.errors import Unreachable
from hosts.models import Host, Operation
from hosts.operations.kind import registry
from hosts.operations.runner import Runner
from hosts.operations.task import Hold, Task

pytestmark = pytest.mark.django_db(databases=["default", "metrics"])


@pytest.fixture
def ends(db: None) -> tuple[Host, Host]:
    """Two hosts."""
    first, second = (Host.objects.create(name=name, uri=f"qemu+tcp://{name}/system") for name in ("kvm1", "kvm2"))
    return first, second


@pytest.fixture
def runner(ends: Any, monkeypatch: pytest.MonkeyPatch) -> Runner:
    """One that notes what it would run."""
    found = Runner("me")
    found.began = []  # type: ignore[attr-defined]
    monkeypatch.setattr(Runner, "_spawn", lambda self, operation, recovering: self.began.append(operation.pk))
    return found


def asked(host: Host, **columns: Any) -> Operation:
    return Operation.objects.create(kind="host-refresh", host=host, host_name=host.name, **columns)


def test_what_was_just_asked_for_begins_before_leases_are_renewed(runner: Any, ends: Any, monkeypatch: Any) -> None:
    runner.step()
    operation = asked(ends[0])
    monkeypatch.setattr(runner._share, "renew", lambda: pytest.fail("leases come later"))
    runner._hurry()
    assert runner.began == [operation.pk]
    operation.refresh_from_db()
    assert (operation.state, operation.owner) == ("running", "me")


def test_of_hosts_that_are_not_held_nothing_is_begun_before_a_whole_round(runner: Any, ends: Any) -> None:
    operation = asked(ends[0])
    assert runner._until_next_round() <= 0
    runner._hurry()
    assert runner.began == []
    runner.step()
    assert runner.began == [operation.pk] and runner._until_next_round() > 0


class Line:
    """A connection as far as a task looks at it."""

    def __init__(self, host: Host) -> None:
        self.host, self.is_alive, self.closed = host, True, False

    def close(self) -> None:
        self.closed = True


def a_task(host: Host, connect: Any) -> Task:
    operation = asked(host, state="running", owner="me")
    return Task(operation, registry["migrate"], connect, Hold())


def test_a_tasks_own_connection_is_opened_while_the_other_one_is(ends: Any) -> None:
    both, opened = threading.Barrier(2, timeout=30), []

    def connect(host: Host, own: bool) -> Any:
        assert own == (host == ends[0])
        both.wait()  # Broken, unless both are being opened at the same time.
        opened.append(Line(host))
        return opened[-1]

    task = a_task(ends[0], connect)
    with task.looking():
        target: Any = task.meet(ends[1])
        source: Any = task.connection
    assert (source.host, target.host) == ends and len(opened) == 2
    task.close()
    # What others use too is not the task's to close.
    assert source.closed and not target.closed


def test_what_was_opened_is_closed_when_the_other_cannot_be(ends: Any) -> None:
    opened = []

    def connect(host: Host, _own: bool) -> Any:
        if host == ends[1]:
            raise Unreachable("It is gone.")
        opened.append(Line(host))
        return opened[-1]

    task = a_task(ends[0], connect)
    with task.looking(), pytest.raises(Unreachable):
        task.meet(ends[1])
    task.close()
    assert [line.closed for line in opened] == [True]
    assert not task.was_asked
