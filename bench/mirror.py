"""What the mirror costs against bare libvirt-python, and what a list page costs, on libvirt's test driver over TCP.

python -m bench.mirror [--guests 100 1000 5000]
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
import uuid
from collections.abc import Callable
from typing import Any

RUNS = 3
XML = (
    "<domain type='test'><name>{name}</name><uuid>{uuid}</uuid><memory unit='MiB'>64</memory>"
    "<os><type>hvm</type></os></domain>"
)


def median(work: Callable[[], Any], runs: int = RUNS) -> float:
    """Seconds of the middle one of some runs."""
    times = []
    for _ in range(runs):
        began = time.perf_counter()
        work()
        times.append(time.perf_counter() - began)
    return statistics.median(times)


def measure(count: int) -> dict[str, float]:
    """All figures for one host with ``count`` guests."""
    import libvirt
    from django.test import Client

    from hosts.hypervisor.connection import Connection
    from hosts.hypervisor.guest import read_guests
    from hosts.hypervisor.records import Target
    from hosts.hypervisor.stats import read_guest_counters
    from hosts.models import Host, User
    from lab.testhosts import TestHost
    from vms.inventory import guests_seen
    from vms.models import VirtualMachine

    there = TestHost.create(f"bench{count}")
    there.start()
    try:
        raw = libvirt.open(there.uri)
        for index in range(count):
            raw.defineXML(XML.format(name=f"bench-{count}-{index}", uuid=uuid.uuid4()))
        host = Host.objects.create(name=f"bench{count}", uri=there.uri, state=Host.State.CONNECTED)
        with Connection.open(Target(there.uri)) as connection:
            bare = median(lambda: [domain.XMLDesc(0) for domain in raw.listAllDomains(0)])
            began = time.perf_counter()
            guests_seen(host.pk, read_guests(connection), complete=True)
            first = time.perf_counter() - began
            again = median(lambda: guests_seen(host.pk, read_guests(connection), complete=True))
            bare_tick = median(lambda: raw.getAllDomainStats(0, 0), 9)
            tick = median(lambda: read_guest_counters(connection), 9)
        client = Client()
        client.force_login(User.objects.get(username="bench"))
        client.get("/vms/")
        page = median(lambda: client.get("/vms/"), 9)
        return {"bare": bare, "first": first, "again": again, "bare_tick": bare_tick, "tick": tick, "page": page}
    finally:
        VirtualMachine.objects.all().delete()
        Host.objects.all().delete()
        there.remove()


def main() -> None:
    """Print a table of milliseconds and ratios."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--guests", type=int, nargs="+", default=[100, 1000, 5000])
    counts = parser.parse_args().guests
    os.environ["KVMDASH_DATA_DIR"] = tempfile.mkdtemp(prefix="kvmdash-bench-")
    os.environ["KVMDASH_LOG_LEVEL"] = "ERROR"
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "kvmdash.settings")
    os.environ["KVMDASH_ALLOWED_HOSTS"] = "testserver"
    import django

    django.setup()
    from django.core.management import call_command

    from hosts.models import User

    call_command("migrate_all")
    User.objects.create_user("bench", password="bench-password", role=User.Role.ADMINISTRATOR)
    print("guests  bare list+XML  first mirror (ratio)  again (ratio)  bare stats  tick (ratio)  list page")
    for count in counts:
        row = {name: 1000 * seconds for name, seconds in measure(count).items()}
        print(
            f"{count:6}  {row['bare']:10.1f} ms  {row['first']:9.1f} ms ({row['first'] / row['bare']:.2f})"
            f"  {row['again']:8.1f} ms ({row['again'] / row['bare']:.2f})  {row['bare_tick']:7.2f} ms"
            f"  {row['tick']:7.2f} ms ({row['tick'] / row['bare_tick']:.2f})  {row['page']:7.1f} ms",
            flush=True,
        )


if __name__ == "__main__":
    main()
