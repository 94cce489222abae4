"""A guest of one UUID on two hosts: each copy can be stopped where it is."""

from __future__ import annotations

import pytest

from hosts.models import AuditEntry, Host, Operation
from hosts.operations import queue
from hosts.operations.kind import InvalidArguments, registry
from vms.copies import asked_of
from vms.models import Sighting, VirtualMachine
from vms.operations.base import GuestKind
from vms.tests.making import HTMX, browser, make_guest, make_host, sighted
from vms.tests.test_mirror import There, add_host, there  # noqa: F401
from vms.tests.test_operations import do, finished, operator  # noqa: F401

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "metrics"])
OF_COPIES = ("destroy", "shutdown")


@pytest.fixture
def twice() -> VirtualMachine:
    guest = make_guest(make_host())
    sighted(guest, make_host("kvm2"), "running")
    return guest


@pytest.fixture
def twin(there, make_test_host, eventually):  # noqa: F811
    """Runs on hosts "one" and "two" for real; what acts on the second."""
    other = make_test_host()
    second = add_host("two", other)
    eventually(lambda: Host.objects.get(pk=second.pk).is_connected)
    identity = there.define("twice")
    copy = There(other.uri)
    copy.define("twice", identity)
    for where in (there, copy):
        where.domain(identity).create()
    eventually(lambda: Sighting.objects.filter(vm_id=identity, power_state="running").count() == 2)
    copy.vm = VirtualMachine.objects.get(pk=identity)
    return copy


def test_the_page_offers_to_stop_each_copy_where_it_is(people, twice) -> None:
    text = browser(people["operator"]).get(f"/vms/{twice.pk}/").content.decode()
    for host in ("kvm1", "kvm2"):
        for kind in OF_COPIES:
            assert f'hx-post="/vms/{twice.pk}/do/{kind}/?on={host}"' in text
    assert "?on=" not in browser(people["viewer"]).get(f"/vms/{twice.pk}/").content.decode()


def test_a_copy_that_is_only_a_definition_is_offered_nothing(people, twice) -> None:
    Sighting.objects.filter(vm=twice, host__name="kvm2").update(power_state="shutoff")
    assert "?on=" not in browser(people["operator"]).get(f"/vms/{twice.pk}/").content.decode()


def test_the_operation_is_of_the_host_that_was_asked_for(people, twice) -> None:
    answer = browser(people["operator"]).post(f"/vms/{twice.pk}/do/destroy/?on=kvm2", headers=HTMX)
    assert answer.status_code == 204
    assert Operation.objects.get().host_name == "kvm2"


@pytest.mark.parametrize(("kind", "host"), [("destroy", "kvm9"), ("destroy", "x" * 9000), ("suspend", "kvm2")])
def test_what_cannot_be_asked_of_a_copy_is_asked_of_none(people, twice, kind: str, host: str) -> None:
    answer = browser(people["operator"]).post(f"/vms/{twice.pk}/do/{kind}/?on={host}", headers=HTMX)
    assert answer.status_code in (409, 422)
    assert not Operation.objects.exists()


def test_kinds_that_take_no_copy_say_so(twice) -> None:
    for kind in registry.values():
        if isinstance(kind, GuestKind) and kind.name not in OF_COPIES:
            with pytest.raises(InvalidArguments):
                asked_of(kind, twice, "kvm2")


def test_the_copy_that_the_pages_do_not_show_is_forced_off_and_the_other_runs_on(
    there, twin, operator, eventually  # noqa: F811
) -> None:  # fmt: skip
    vm = VirtualMachine.objects.get(pk=twin.vm.pk)
    shown = vm.host.name
    other = "one" if shown == "two" else "two"
    copy = asked_of(registry["destroy"], vm, other)
    ended = eventually(finished(queue.enqueue("destroy", copy, {}, operator)))
    assert (ended.state, ended.host_name) == ("succeeded", other)
    raws = {"one": there, "two": twin}
    assert not raws[other].domain(str(vm.pk)).isActive()
    assert raws[shown].domain(str(vm.pk)).isActive()
    assert AuditEntry.objects.filter(action="vm.destroy", result="queued").count() == 1
    eventually(lambda: VirtualMachine.objects.get(pk=vm.pk).host.name == shown)
