"""The operations role from inside: when what was asked for begins."""

from __future__ import annotations

from typing import Any

import pytest

from hosts.models import Host, Operation
from hosts.operations.runner import Runner

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
