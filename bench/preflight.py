"""Whether 500 guests may go to 100 hosts: everything that a page does for it, from the rows to the verdicts.

python -m bench.preflight [--guests 500] [--hosts 100] [--runs 7]

An SQLite database of its own. Hosts have the capabilities that one of ours told (bench/recorded), of two kinds of processors; each
has pools, networks and bridges. Guests have definitions of their own, a disk and a card each, so that no two are alike. Measured is
reading the rows, reading the definitions, and judging every pair by every check.
"""

from __future__ import annotations

import os
import statistics
import tempfile
import time
import uuid
from pathlib import Path
from typing import Any

from bench.report import Figure, arguments, at_most, fact, finish, say

GOAL = 1.0
RECORDED = Path(__file__).with_name("recorded") / "capabilities.xml"
TEXT = """<domain type='kvm' id='1'><name>{name}</name><uuid>{uuid}</uuid><memory unit='KiB'>{memory}</memory><vcpu>2</vcpu>
<os><type arch='x86_64' machine='pc-q35-7.2'>hvm</type></os><features><acpi/><apic/></features>
<cpu mode='custom' match='exact' check='full'><model fallback='forbid'>EPYC</model><feature policy='require' name='f{odd}'/></cpu>
<devices><emulator>/usr/bin/qemu-system-x86_64</emulator>
<disk type='file' device='disk'><driver name='qemu' type='qcow2' cache='none'/><source file='/shared/{name}.qcow2'/>
<target dev='vda' bus='virtio'/></disk>
<disk type='file' device='cdrom'><target dev='sda' bus='sata'/><readonly/></disk>
<interface type='network'><mac address='52:54:00:00:00:01'/><source network='net{odd}'/><model type='virtio'/></interface>
<interface type='bridge'><source bridge='br0'/><model type='virtio'/></interface>
<graphics type='vnc' port='5900' autoport='yes'/>
<channel type='unix'><target type='virtio' name='org.qemu.guest_agent.0'/></channel>
<memballoon model='virtio'/><rng model='virtio'><backend model='random'>/dev/urandom</backend></rng></devices></domain>"""


def set_up(folder: str) -> None:
    """Django on a database of its own."""
    os.environ["DJANGO_SETTINGS_MODULE"] = "kvmdash.settings_test"
    os.environ["KVMDASH_DATABASE_URL"] = f"sqlite:///{folder}/bench.sqlite3"
    import django

    django.setup()
    from django.core.management import call_command

    call_command("migrate", verbosity=0)


def fill(hosts: int, guests: int) -> None:
    """The rows that a mirror of such a cluster has."""
    from django.utils import timezone

    from hosts.models import Host, HostInterfaces, HostProcessors, Network, StoragePool, StorageVolume
    from vms.models import Sighting, VirtualMachine

    now, recorded = timezone.now(), RECORDED.read_text()
    common = [f"f{number}" for number in range(80)]
    rows = Host.objects.bulk_create(
        Host(
            name=f"kvm{number}", uri=f"qemu+tcp://kvm{number}/system", state="connected", arch="x86_64", cpus=64, memory=2**38,
            memory_used=2**36, cpu_model="EPYC", capabilities=recorded, libvirt_version="9.0.0", hypervisor_version="7.2.0",
            seen_at=now, reconciled_at=now, cells=[{"id": 0, "cpus": 64, "memory": 2**38, "pages": [{"size": 4096, "count": 1}]}],
        )
        for number in range(hosts)
    )  # fmt: skip
    for number, host in enumerate(rows):
        features = common if number % 2 else common[1:]
        about: dict[str, Any] = {"arch": "x86_64", "virt": "kvm", "features": features, "known_models": {"EPYC": "yes"}}
        HostProcessors.objects.create(host=host, seen_at=now, **about)
        for name in ("net0", "net1"):
            Network.objects.create(host=host, name=name, uuid=uuid.uuid4(), active=True, seen_at=now)
        shared = {"type": "netfs", "path": "/shared", "shared_key": "nfs", "source": "nas:/vms"}
        StoragePool.objects.create(host=host, name="shared", uuid=uuid.uuid4(), active=True, available=2**40, **shared)
        local = {"type": "dir", "path": "/var/lib/libvirt/images"}
        StoragePool.objects.create(host=host, name="local", uuid=uuid.uuid4(), active=True, available=2**40, **local)
        bridge = {"name": "br0", "kind": "bridge", "addresses": [f"10.0.0.{number}/24"]}
        HostInterfaces.objects.create(host=host, interfaces=[bridge], seen_at=now)
    machines = []
    for number in range(guests):
        key, host, memory = uuid.uuid4(), rows[number % hosts], (1024 + number) * 2**20
        facts: dict[str, Any] = {
            "power_state": "running",
            "arch": "x86_64",
            "memory": memory,
            "vcpus": 2,
            "seen_at": now,
        }
        vm = VirtualMachine(uuid=key, name=f"guest-{number}", host=host, **facts)
        text = TEXT.format(name=vm.name, uuid=key, memory=memory // 1024, odd=number % 2)
        machines.append(
            (vm, Sighting(vm=vm, host=host, name=vm.name, power_state="running", live_definition=text, seen_at=now))
        )
    VirtualMachine.objects.bulk_create([vm for vm, _sighting in machines])
    Sighting.objects.bulk_create([sighting for _vm, sighting in machines])
    pools = StoragePool.objects.filter(name="shared")[:1]
    StorageVolume.objects.bulk_create(
        StorageVolume(pool=pools[0], name=vm.name, path=f"/shared/{vm.name}.qcow2", capacity=2**30)
        for vm, _s in machines
    )


def one_run() -> float:
    """Seconds of processor time from the rows to the verdicts of every pair, as the pages ask for them: others do not count."""
    from vms.models import VirtualMachine
    from vms.moving.preflight import rows

    begun = time.process_time()
    vms = list(VirtualMachine.objects.select_related("host").order_by("name"))
    table = rows.table(vms)
    took = time.process_time() - begun
    # Nothing of it is empty: everybody may go to half of the other hosts at least, and to none where they are.
    for guest, vm in zip(table.guests, table.verdicts, strict=True):
        here = next(number for number, machine in enumerate(table.machines) if machine.id == guest.host)
        assert vm[here] == 3 and sum(verdict < 3 for verdict in vm) >= len(vm) // 2 - 1, (guest.name, vm)
    return took


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--guests", type=int, default=500)
    parser.add_argument("--hosts", type=int, default=100)
    parser.add_argument("--runs", type=int, default=7)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        set_up(folder)
        fill(options.hosts, options.guests)
        times = [one_run() for _ in range(options.runs)]
    size, took = f"{options.guests} guests × {options.hosts} hosts", statistics.median(times)
    say(f"{size}: {', '.join(f'{one:.2f} s' for one in times)}")
    figures: list[Figure] = [
        at_most(f"preflight of {size}, median", took, GOAL, " s", 2),
        fact("least and most of the runs", f"{min(times):.2f} s to {max(times):.2f} s"),
        fact("one pair", f"{1e6 * took / (options.guests * options.hosts):.0f} µs"),
    ]
    finish(figures, options)


if __name__ == "__main__":
    main()
