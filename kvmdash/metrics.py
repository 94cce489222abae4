"""``/metrics`` for Prometheus: counts of rows, for whoever shows the token or asks from a named address.

The counts are taken at most every few seconds, so that asking often costs nothing. Open sockets are this process's own;
everything else is the same in every web process. No name of a host, guest or person is told.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Iterator
from ipaddress import ip_address, ip_network
from typing import Any

from django.conf import settings
from django.db.models import Count, QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.utils.crypto import constant_time_compare
from django.views.decorators.http import require_safe
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from hosts.hub import hub
from hosts.models import Alarm, Host, Lease, Operation, Worker
from hosts.requests import client_address
from vms.models import ConsoleSession, VirtualMachine

SNAPSHOT_SECONDS = 5.0


@require_safe
def metrics(request: HttpRequest) -> HttpResponse:
    """The figures; 404 when nobody is allowed to ask, 403 for those who are not."""
    if not settings.METRICS_TOKEN and not settings.METRICS_FROM:
        raise Http404
    if not _may(request):
        return HttpResponse("A token or an allowed address is needed.\n", status=403, content_type="text/plain")
    return HttpResponse(
        generate_latest(_Process()) + snapshot.text(),
        content_type=CONTENT_TYPE_LATEST,
        headers={"Cache-Control": "no-store"},
    )


def _may(request: HttpRequest) -> bool:
    scheme, _space, token = request.headers.get("authorization", "").partition(" ")
    if settings.METRICS_TOKEN and scheme.lower() == "bearer":
        return constant_time_compare(token.strip(), settings.METRICS_TOKEN)
    address = client_address(request)
    return address is not None and any(
        ip_address(address) in ip_network(allowed, strict=False) for allowed in settings.METRICS_FROM
    )


class Snapshot:
    """The last counts, taken anew when they are older than :data:`SNAPSHOT_SECONDS`."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._text = b""
        self._at = 0.0

    def text(self) -> bytes:
        """In Prometheus' format."""
        with self._lock:
            if not self._text or time.monotonic() - self._at > SNAPSHOT_SECONDS:
                self._text, self._at = generate_latest(_Rows()), time.monotonic()
            return self._text

    def forget(self) -> None:
        """Count anew the next time."""
        self._text = b""


snapshot = Snapshot()


class _Process(Collector):
    """What is this process's own."""

    def collect(self) -> Iterator[Metric]:
        yield _gauge("kvmdash_sockets", "Open push sockets of this process.", (), {(): len(hub.sockets)})
        yield _gauge("kvmdash_info", "Which kvmdash this is.", ("version",), {(settings.VERSION,): 1})


class _Rows(Collector):
    """What the database says."""

    def collect(self) -> Iterator[Metric]:
        hosts = _counted(Host.objects.all(), "state")
        yield _gauge("kvmdash_hosts", "Hosts by state.", ("state",), _with_zeros(hosts, Host.State.values))
        guests = _counted(VirtualMachine.objects.filter(absent_since=None), "power_state")
        states = VirtualMachine.PowerState.values
        yield _gauge("kvmdash_guests", "Guests by state, as last seen.", ("state",), _with_zeros(guests, states))
        yield _gauge("kvmdash_guests_stale", "Guests on hosts that are not connected.", (), {(): _stale_guests()})
        operations = _counted(Operation.objects.all(), "state", "kind")
        yield _gauge("kvmdash_operations", "Operations on record, by state and kind.", ("state", "kind"), operations)
        alarms = _counted(Alarm.objects.filter(cleared_at=None), "level")
        yield _gauge("kvmdash_alarms", "Open alarms by level.", ("level",), alarms)
        consoles = ConsoleSession.objects.filter(closed_at=None).count()
        yield _gauge("kvmdash_consoles", "Open consoles.", (), {(): consoles})
        workers = _with_zeros(_counted(Worker.objects.all(), "role"), Lease.Role.values)
        yield _gauge("kvmdash_workers", "Living processes by role.", ("role",), workers)


Counts = dict[tuple[str, ...], int]


def _stale_guests() -> int:
    rows = VirtualMachine.objects.filter(absent_since=None)
    return rows.exclude(host__state=Host.State.CONNECTED).count()


def _counted(rows: QuerySet[Any], *columns: str) -> Counts:
    lines = rows.order_by().values(*columns).annotate(n=Count("pk"))
    return {tuple(str(line[column]) for column in columns): line["n"] for line in lines}


def _with_zeros(counts: Counts, values: Iterable[str]) -> Counts:
    """A state that nothing is in is 0, not missing: alarms on missing figures never ring."""
    return {(value,): 0 for value in values} | counts


def _gauge(name: str, words: str, labels: tuple[str, ...], counts: Counts) -> Metric:
    family = GaugeMetricFamily(name, words, labels=labels)
    for values, count in sorted(counts.items()):
        family.add_metric(values, count)
    return family
