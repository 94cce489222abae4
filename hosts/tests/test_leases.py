"""Sharing hosts out."""

import pytest

from hosts import leases
from hosts.models import Host, Lease, Worker

pytestmark = pytest.mark.django_db
ROLE = Lease.Role.INVENTORY


@pytest.fixture
def hosts():
    return [Host.objects.create(name=f"h{n}", uri="qemu:///system") for n in range(4)]


def run_out(owner):
    from datetime import timedelta

    from django.db.models.functions import Now

    Lease.objects.filter(owner=owner).update(until=Now() - timedelta(seconds=1))
    Worker.objects.filter(owner=owner).update(until=Now() - timedelta(seconds=1))


def test_one_process_alone_takes_every_host(hosts):
    assert leases.share(ROLE, "a") == {host.pk for host in hosts}


def test_a_disabled_host_is_nobodys(hosts):
    Host.objects.filter(pk=hosts[0].pk).update(enabled=False)
    assert hosts[0].pk not in leases.share(ROLE, "a")


def test_a_lease_that_is_running_cannot_be_taken(hosts):
    leases.share(ROLE, "a")
    assert not Lease.take(hosts[0].pk, ROLE, "b", 10)


def test_a_lease_that_ran_out_is_taken_over(hosts):
    leases.share(ROLE, "a")
    run_out("a")
    assert leases.share(ROLE, "b") == {host.pk for host in hosts}


def test_two_processes_end_up_with_half_each(hosts):
    held = {"a": leases.share(ROLE, "a"), "b": set()}
    for _ in range(4):
        held["b"] = leases.share(ROLE, "b")
        held["a"] = leases.share(ROLE, "a")
    assert len(held["a"]) == len(held["b"]) == 2
    assert not held["a"] & held["b"]


def test_what_is_given_back_is_free_at_once(hosts):
    leases.share(ROLE, "a")
    leases.leave(ROLE, "a")
    assert leases.share(ROLE, "b") == {host.pk for host in hosts}
