"""From counters to figures."""

import pytest

from hosts import figures
from hosts.hypervisor.records import GuestCounters, HostCounters
from hosts.models import Sample


def counters(at, cpu_ns=0, read=0, vcpus=2):
    return GuestCounters("u", at, cpu_ns, vcpus, 1024, 512, read, 0, 0, 0)


def test_the_first_look_has_no_rates():
    first = figures.guest_figures(None, counters(1.0))
    assert first["cpu"] is None and first["rd"] is None and first["mem_used"] == 512


def test_cpu_is_percent_of_the_guests_own_processors():
    assert figures.guest_figures(counters(1.0), counters(3.0, cpu_ns=2_000_000_000))["cpu"] == 50.0


def test_a_counter_that_fell_is_not_a_negative_rate():
    assert figures.guest_figures(counters(1.0, read=500), counters(2.0, read=10))["rd"] == 0


def test_rates_are_bytes_a_second():
    assert figures.guest_figures(counters(1.0), counters(3.0, read=500))["rd"] == 250


def test_a_hosts_cpu_is_its_busy_share():
    before, now = HostCounters(0, 100, 1000, 8, 4), HostCounters(1, 150, 1200, 8, 4)
    assert figures.host_figures(before, now)["cpu"] == 25.0


@pytest.mark.django_db(databases=["default", "metrics"])
def test_a_finished_stretch_becomes_one_row_of_means():
    history = figures.History()
    for at, cpu in ((1000, 10.0), (1010, 30.0), (1019, None)):
        history.add({"vm:u": {"cpu": cpu, "mem_used": 100}}, at=at)
    assert not Sample.objects.exists()
    history.add({"vm:u": {"cpu": 50.0}}, at=1021)
    row = Sample.objects.get(step=30, at=990)
    assert row.cpu == 20.0 and row.memory == 100 and row.count == 3


@pytest.mark.django_db(databases=["default", "metrics"])
def test_a_coarse_stretch_is_the_mean_of_all_frames_in_it_and_not_of_its_finer_means():
    history = figures.History()
    for at, cpu in ((600, 10.0), (601, 10.0), (602, 10.0), (640, 50.0), (899, None)):
        history.add({"vm:u": {"cpu": cpu}}, at=at)
    history.add({"vm:u": {"cpu": 99.0}}, at=900)
    row = Sample.objects.get(step=300, at=600)
    assert row.cpu == 20.0 and row.count == 5
    assert sorted(Sample.objects.filter(step=30).values_list("at", flat=True)) == [600, 630, 870]


@pytest.mark.django_db(databases=["default", "metrics"])
def test_what_was_begun_is_written_at_the_end():
    history = figures.History()
    history.add({"vm:u": {"cpu": 10.0}, "host:1": {"cpu": 1.0}}, at=7205)
    history.flush()
    assert sorted(Sample.objects.values_list("step", "at", "cpu")) == [
        (30, 7200, 1.0), (30, 7200, 10.0), (300, 7200, 1.0), (300, 7200, 10.0), (3600, 7200, 1.0), (3600, 7200, 10.0)
    ]  # fmt: skip


@pytest.mark.django_db(databases=["default", "metrics"])
def test_old_samples_are_pruned_by_their_step():
    Sample.objects.create(subject="vm:u", step=30, at=0)
    Sample.objects.create(subject="vm:u", step=3600, at=0)
    figures.prune(now=7 * 3600)
    assert list(Sample.objects.values_list("step", flat=True)) == [3600]
