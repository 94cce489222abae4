"""What a host has at hand for guests: read from libvirt, kept as rows, never with the value of a secret."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from hosts import inventory
from hosts.hypervisor.connection import Connection
from hosts.hypervisor.records import SecretName, Supply, Target
from hosts.hypervisor.supply import read_supply
from hosts.models import HostSupply
from vms.tests.making import make_host


def test_a_driver_that_tells_nothing_leaves_it_not_known(test_host):
    connection = Connection.open(Target(test_host.uri))
    try:
        found = read_supply(connection)
    finally:
        connection.close()
    assert found.secrets is None, "libvirt's test driver has no secrets"
    assert all(page["size"] > 0 and page["free"] >= 0 for page in found.pages or ())


@pytest.mark.django_db
def test_what_a_host_has_is_kept_with_its_age_and_replaced():
    host = make_host()
    page = {"cell": 0, "size": 2**21, "free": 7}
    inventory.supply_seen(host.pk, Supply([page], [SecretName("u", "ceph", "client.kvm")]))
    row = HostSupply.objects.get()
    assert (row.pages, row.secrets) == ([page], [["u", "ceph", "client.kvm"]])
    HostSupply.objects.update(seen_at=timezone.now() - timedelta(hours=1))
    inventory.supply_seen(host.pk, Supply(None, None))
    row = HostSupply.objects.get()
    assert (row.pages, row.secrets) == (None, None) and timezone.now() - row.seen_at < timedelta(minutes=30)
