"""Operations on guests of the test driver, through the queue and the runner."""

import libvirt
import pytest

from hosts import access
from hosts.audit import Actor
from hosts.models import AuditEntry, Host, Operation
from hosts.operations import queue
from hosts.operations.kind import InvalidArguments, Refused
from vms.models import VirtualMachine
from vms.tests.test_mirror import There, add_host, there  # noqa: F401

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "metrics"])


@pytest.fixture
def operator(people):
    return Actor(people["operator"], "192.0.2.1")


@pytest.fixture
def guest(there, eventually):  # noqa: F811
    identity = there.define("guest")
    return eventually(lambda: VirtualMachine.objects.filter(uuid=identity).first())


def finished(operation):
    return lambda: Operation.objects.filter(pk=operation.pk).exclude(state__in=Operation.ACTIVE).first()


def do(eventually, kind, vm, operator, **arguments):
    vm.refresh_from_db()
    return eventually(finished(queue.enqueue(kind, vm, arguments, operator)), what=f"{kind} to end")


def becomes(vm, state):
    return lambda: VirtualMachine.objects.filter(pk=vm.pk, power_state=state).exists()


def test_each_verb_of_power_does_what_it_says(there, guest, operator, eventually):  # noqa: F811
    for kind, state in (
        ("start", "running"), ("suspend", "paused"), ("resume", "running"), ("reset", "running"),
        ("reboot", "running"), ("destroy", "shutoff"), ("start", "running"), ("managed-save", "shutoff"),
    ):  # fmt: skip
        ended = do(eventually, kind, guest, operator)
        if kind in ("reset",) and ended.state == "failed":
            assert ended.error["type"] == "Unsupported"  # The test driver has no reset button.
            continue
        assert ended.state == "succeeded", (kind, ended.error)
        eventually(becomes(guest, state), what=f"{state} after {kind}")


def test_when_a_verb_has_succeeded_the_next_one_is_not_refused_for_how_it_was_before(guest, operator, eventually):
    for _round in range(3):
        for kind, state in (
            ("start", "running"), ("suspend", "paused"), ("resume", "running"), ("managed-save", "shutoff"),
            ("start", "running"), ("destroy", "shutoff"),
        ):  # fmt: skip
            assert do(eventually, kind, guest, operator).state == "succeeded", kind
            assert becomes(guest, state)(), kind
        do(eventually, "start", guest, operator)
        do(eventually, "shutdown", guest, operator)


def test_a_saved_guest_shows_it_and_its_memory_can_be_discarded(guest, operator, eventually):
    do(eventually, "start", guest, operator)
    eventually(becomes(guest, "running"))
    do(eventually, "managed-save", guest, operator)
    eventually(lambda: VirtualMachine.objects.get(pk=guest.pk).managed_save)
    assert do(eventually, "managed-save-remove", guest, operator).state == "succeeded"
    eventually(lambda: not VirtualMachine.objects.get(pk=guest.pk).managed_save)


def test_shutting_down_waits_for_the_guest(guest, operator, eventually):
    do(eventually, "start", guest, operator)
    eventually(becomes(guest, "running"))
    ended = do(eventually, "shutdown", guest, operator)
    assert ended.state == "succeeded" and "waited" in ended.result


def test_autostart_and_notes_are_kept_by_the_host(there, guest, operator, eventually):  # noqa: F811
    assert do(eventually, "autostart", guest, operator, enabled=True).state == "succeeded"
    assert there.domain(str(guest.pk)).autostart() == 1
    do(eventually, "set-metadata", guest, operator, title="T", tags="b, a", folder="x/y")
    fresh = eventually(lambda: VirtualMachine.objects.filter(pk=guest.pk, title="T", folder="x/y").first())
    assert [tag.name for tag in fresh.tags.all()] == ["a", "b"]


def test_a_verb_that_no_longer_applies_is_refused_and_changes_nothing(guest, operator):
    with pytest.raises(Refused, match="shut off"):
        queue.enqueue("suspend", guest, {}, operator)
    assert not Operation.objects.exists()
    assert AuditEntry.objects.filter(action="vm.suspend", result="refused").exists()


def test_the_look_right_before_the_change_refuses_what_the_rows_still_allowed(there, guest, operator, eventually):  # noqa: F811
    VirtualMachine.objects.filter(pk=guest.pk).update(power_state="running")
    ended = do(eventually, "suspend", guest, operator)
    assert ended.state == "refused" and "nothing was done" in ended.error_text
    assert there.domain(str(guest.pk)).state()[0] == libvirt.VIR_DOMAIN_SHUTOFF


def test_of_two_people_acting_on_one_guest_the_second_is_refused_with_the_reason(guest, operator, people):
    Host.objects.update(enabled=True)
    first = Operation.objects.create(
        kind="start", subject_uuid=guest.pk, subject_name="guest", exclusive=True, actor_name="anna"
    )
    with pytest.raises(Refused, match="anna"):
        queue.enqueue("start", guest, {}, operator)
    assert Operation.objects.get() == first


def test_nobody_without_the_right_can_ask(guest, people):
    with pytest.raises(access.Denied):
        queue.enqueue("start", guest, {}, Actor(people["viewer"]))
    with pytest.raises(access.Denied):
        queue.enqueue("start", guest, {}, Actor(None))
    assert AuditEntry.objects.filter(result="refused").count() == 2


def test_bad_arguments_are_named(guest, operator):
    with pytest.raises(InvalidArguments) as caught:
        queue.enqueue("set-metadata", guest, {"tags": "<script>"}, operator)
    assert caught.value.field == "tags"
    with pytest.raises(InvalidArguments):
        queue.enqueue("start", guest, {"force": True}, operator)
    with pytest.raises(Refused, match="no operation"):
        queue.enqueue("explode", guest, {}, operator)


def test_bulk_gives_each_guest_a_result_of_its_own(there, operator, eventually):  # noqa: F811
    off = [there.define(f"bulk-{n}") for n in range(6)]
    there.domain(off[0]).create()
    eventually(lambda: VirtualMachine.objects.filter(uuid__in=off).count() == 6)
    eventually(lambda: VirtualMachine.objects.filter(uuid=off[0], power_state="running").exists())
    parent = queue.enqueue_many("start", VirtualMachine.objects.filter(uuid__in=off), {}, operator)
    ended = eventually(finished(parent))
    results = {child.subject_name: (child.state, child.error_text) for child in parent.children.all()}
    assert ended.result == {"refused": 1, "succeeded": 5}, results
    assert ended.state == "refused"
    assert "running" in parent.children.get(state="refused").error_text


def test_a_waiting_operation_is_cancelled_before_it_begins(guest, operator):
    Host.objects.filter(pk=guest.host_id).update(enabled=True)
    waiting = Operation.objects.create(kind="start", subject_uuid=guest.pk, exclusive=True, actor_name="x")
    queue.cancel(waiting, operator)
    waiting.refresh_from_db()
    assert waiting.state == "cancelled" and "before it began" in waiting.error_text


def test_what_cannot_be_stopped_says_so(guest, operator):
    running = Operation.objects.create(
        kind="start", state="running", subject_uuid=guest.pk, exclusive=True, owner="elsewhere"
    )
    with pytest.raises(Refused, match="cannot be stopped"):
        queue.cancel(running, operator)


def dead(kind, vm, **columns):
    """An operation whose process died after it had asked libvirt."""
    from datetime import timedelta

    from django.utils import timezone

    columns = {"asked_at": timezone.now(), **columns}
    return Operation.objects.create(
        kind=kind, state="running", host=vm.host, host_name=vm.host.name, subject_uuid=vm.pk, subject_name=vm.name,
        exclusive=True, owner="dead:1", until=timezone.now() - timedelta(minutes=1), attempt=1, **columns,
    )  # fmt: skip


def test_an_interrupted_start_is_found_to_have_worked_by_looking(there, guest, eventually):  # noqa: F811
    there.domain(str(guest.pk)).create()
    ended = eventually(finished(dead("start", guest)))
    assert ended.state == "succeeded" and ended.result["recovered"]


def test_an_interrupted_start_that_did_not_happen_is_unknown_and_not_repeated(there, guest, eventually):  # noqa: F811
    ended = eventually(finished(dead("start", guest)))
    assert ended.state == "unknown" and "shut off" in ended.error_text
    assert there.domain(str(guest.pk)).state()[0] == libvirt.VIR_DOMAIN_SHUTOFF


def test_a_host_that_went_away_fails_the_operation_with_the_reason(there, guest, operator, eventually):  # noqa: F811
    there.test_host.kill()
    ended = (
        do(eventually, "start", VirtualMachine.objects.get(pk=guest.pk), operator) if guest.host.is_connected else None
    )
    assert ended is None or (ended.state == "failed" and ended.error["type"] in ("Refused", "Unreachable"))


def test_an_operation_taken_over_by_another_process_is_not_overwritten(guest):
    from hosts.operations.runner import Runner

    operation = dead("start", guest)
    Operation.objects.filter(pk=operation.pk).update(owner="other")
    Runner("me")._finish(operation, {"state": "succeeded"})
    operation.refresh_from_db()
    assert (operation.owner, operation.state) != ("me", "succeeded")
