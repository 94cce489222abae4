"""What benchmarks run: `manage.py up` as people run it, test-driver hosts full of guests, and reading clients."""

from __future__ import annotations

import os
import statistics
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import libvirt

from kvmdash.tests.program import Program
from lab.testhosts import TestHost

#: about what virt-manager makes: two disks, a CD drive, a network card and what goes with them
DEFINITION = """
<domain type='test'>
  <name>{name}</name><uuid>{uuid}</uuid><title>A guest to measure with</title>
  <metadata><kvmdash:guest xmlns:kvmdash='https://kvmdash.org/xmlns/1'>
    <kvmdash:folder>bench/{folder}</kvmdash:folder><kvmdash:tag>bench</kvmdash:tag></kvmdash:guest></metadata>
  <memory unit='MiB'>64</memory><vcpu>1</vcpu>
  <os><type arch='x86_64' machine='pc-q35-7.2'>hvm</type><boot dev='hd'/></os>
  <features><acpi/><apic/></features><cpu mode='host-passthrough' check='none' migratable='on'/>
  <clock offset='utc'><timer name='rtc' tickpolicy='catchup'/><timer name='hpet' present='no'/></clock>
  <devices>
    <disk type='file' device='disk'><driver name='qemu' type='qcow2'/>
      <source file='/var/lib/libvirt/images/{name}.qcow2'/><target dev='vda' bus='virtio'/></disk>
    <disk type='file' device='disk'><driver name='qemu' type='qcow2'/>
      <source file='/var/lib/libvirt/images/{name}-data.qcow2'/><target dev='vdb' bus='virtio'/></disk>
    <disk type='file' device='cdrom'><target dev='sda' bus='sata'/><readonly/></disk>
    <controller type='usb' index='0' model='qemu-xhci'/><controller type='virtio-serial' index='0'/>
    <interface type='network'><mac address='{mac}'/><source network='default'/><model type='virtio'/></interface>
    <serial type='pty'><target port='0'/></serial><console type='pty'><target type='serial' port='0'/></console>
    <channel type='unix'><target type='virtio' name='org.qemu.guest_agent.0'/></channel>
    <input type='tablet' bus='usb'/><graphics type='vnc' port='-1' autoport='yes' listen='127.0.0.1'/>
    <video><model type='virtio'/></video><memballoon model='virtio'/>
    <rng model='virtio'><backend model='random'>/dev/urandom</backend></rng>
  </devices>
</domain>"""
SMALLEST = (
    "<domain type='test'><name>{name}</name><uuid>{uuid}</uuid><memory unit='MiB'>64</memory>"
    "<os><type>hvm</type></os></domain>"
)


def median_of(work: Callable[[], Any], runs: int) -> tuple[float, float]:
    """Wall and own CPU seconds of the middle one of some runs."""
    walls, cpus = [], []
    for _ in range(runs):
        wall, cpu = time.perf_counter(), time.process_time()
        work()
        walls.append(time.perf_counter() - wall)
        cpus.append(time.process_time() - cpu)
    return statistics.median(walls), statistics.median(cpus)


def share(values: list[float], part: float) -> float:
    """The value that ``part`` (0 to 1) of them do not exceed."""
    return sorted(values)[min(len(values) - 1, int(len(values) * part))]


def fill(raw: libvirt.virConnect, count: int, *, definition: str = DEFINITION, start: bool = False) -> list[str]:
    """Define (and start) guests; their UUIDs."""
    uuids = []
    for index in range(count):
        key = str(uuid.uuid4())
        mac = f"52:54:00:{index >> 16 & 255:02x}:{index >> 8 & 255:02x}:{index & 255:02x}"
        text = definition.format(name=f"bench-{index:05}", uuid=key, mac=mac, folder=index % 10)
        domain = raw.defineXML(text)
        if start:
            domain.create()
        uuids.append(key)
    return uuids


@contextmanager
def host_of(count: int, *, start: bool = True, definition: str = DEFINITION) -> Iterator[tuple[TestHost, list[str]]]:
    """A test-driver host with so many guests."""
    there = TestHost.create(f"bench{count}")
    there.start()
    try:
        raw = libvirt.open(there.uri)
        uuids = fill(raw, count, definition=definition, start=start)
        raw.close()
        yield there, uuids
    finally:
        there.remove()


@contextmanager
def dashboard(hosts: dict[str, str], **environment: str) -> Iterator[Program]:
    """`manage.py up` with these hosts (name → URI), once all are connected."""
    program = Program(KVMDASH_LEASE_SECONDS="15", KVMDASH_LOG_LEVEL="WARNING", **environment)
    program.manage("migrate_all")
    for name, uri in hosts.items():
        program.manage("add_host", name, uri)
    program.start()
    try:
        wait_for(lambda: connected(program) >= set(hosts), 180, "the hosts to be connected")
        yield program
    finally:
        program.stop()
        remove(program.folder)


def connected(program: Program) -> set[str]:
    """Names of hosts that are connected."""
    return {host["name"] for host in program.get("hosts?page_size=200")["items"] if host["state"] == "connected"}


def wait_for(condition: Callable[[], Any], seconds: float, what: str) -> Any:
    """Poll until it is true; SystemExit says what was awaited in vain."""
    until = time.monotonic() + seconds
    while not (value := condition()):
        if time.monotonic() > until:
            raise SystemExit(f"not within {seconds:g} s: {what}")
        time.sleep(0.05)
    return value


def remove(folder: Path) -> None:
    """Delete a data folder."""
    import shutil

    shutil.rmtree(folder, ignore_errors=True)


def tree_of(pid: int) -> list[int]:
    """The process and all that descend from it."""
    found = [pid]
    for parent in found:
        for task in Path(f"/proc/{parent}/task").glob("*/children"):
            found += [int(child) for child in task.read_text().split()]
    return found


def resident(pid: int) -> float:
    """Megabytes of memory that this process accounts for (proportional set size)."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) / 1024
    return 0.0


def command_of(pid: int) -> str:
    """What the process was started as."""
    return Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ").strip()


def use_settings(**environment: str) -> Path:
    """Django in this process, on a data folder of its own, with tables made."""
    import tempfile

    folder = Path(tempfile.mkdtemp(prefix="kvmdash-bench-"))
    os.environ.update(
        KVMDASH_DATA_DIR=str(folder), KVMDASH_LOG_LEVEL="ERROR", KVMDASH_ALLOWED_HOSTS="testserver", **environment
    )
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "kvmdash.settings")
    import django

    django.setup()
    from django.core.management import call_command

    call_command("migrate_all", verbosity=0)
    return folder


def cookies_of(program: Program) -> dict[str, str]:
    """The cookies of somebody who has just logged in as the administrator."""
    import re
    import urllib.parse
    import urllib.request
    from http.cookiejar import CookieJar

    from kvmdash.tests.program import PASSWORD

    jar = CookieJar()
    browser = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(jar))
    address = f"{program.url}/account/login/"
    form = browser.open(address).read().decode()
    token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', form)
    assert token is not None
    fields = {"login": "admin", "password": PASSWORD, "csrfmiddlewaretoken": token[1]}
    browser.open(address, urllib.parse.urlencode(fields).encode()).read()
    return {cookie.name: cookie.value or "" for cookie in jar}
