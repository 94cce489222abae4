"""A guest made as a copy of another one: full, or lying on the disks of a template."""

from __future__ import annotations

import uuid
from typing import Any

from django.utils.translation import gettext as _

from hosts import fillings
from hosts.models import Host, StorageVolume
from hosts.operations.storage_base import NotNow
from vms import history
from vms.creation.domain import Drive, Frame
from vms.creation.hardware import Hardware, Platform
from vms.creation.plan import DEVICES, NewVolume, Plan
from vms.creation.sources import file_name, pool_for, present, require_pool, seed_volume
from vms.deleting import SEED
from vms.models import VirtualMachine

OFF = (VirtualMachine.PowerState.SHUTOFF, VirtualMachine.PowerState.CRASHED)


def plan_copy(host: Host, identity: uuid.UUID, arguments: dict[str, Any]) -> Plan:
    """What copying will do. Raises NotNow, by field, where it cannot."""
    vm = VirtualMachine.objects.select_related("host").filter(pk=arguments["source"], absent_since=None).first()
    sighting = history.sighting_of(vm) if vm is not None else None
    if vm is None or sighting is None or not sighting.inactive_definition:
        raise NotNow("source", _("The guest to copy is on no host we can see."))
    if vm.host_id != host.pk:
        raise NotNow("host", _("A copy is made on the host of the first, %(host)s.") % {"host": vm.host})
    if vm.power_state not in OFF:
        raise NotNow(
            "source", _("%(name)s runs: shut it down, or its disks change while they are copied.") % {"name": vm.name}
        )
    linked = bool(arguments.get("linked"))
    if linked and not vm.template:
        raise NotNow("linked", _("Linked copies are made of templates: what runs changes the disk that they lie on."))
    volumes, drives, targets = _copied_disks(host, vm, arguments, linked=linked)
    if "seed" in arguments:
        pool = volumes[0].pool if volumes else pool_for(host, arguments)
        volumes.append(seed_volume(pool, arguments["name"]))
    frame = Frame(arguments["name"], identity, vm.vcpus, vm.memory, (), ())
    platform = Platform(arch=vm.arch, machine=vm.machine)
    text = sighting.inactive_definition
    return Plan(host, identity, arguments, frame, Hardware(), platform, volumes, drives, None, text, targets)


def _copied_disks(
    host: Host, vm: VirtualMachine, arguments: dict[str, Any], *, linked: bool
) -> tuple[list[NewVolume], list[tuple[str, Drive]], dict[str, str]]:
    volumes: list[NewVolume] = []
    drives: list[tuple[str, Drive]] = []
    targets: dict[str, str] = {}
    for disk in vm.disks:
        target, source = disk["target"], disk["source"]
        if disk["device"] != "disk" or disk["readonly"] or disk["shareable"]:
            if source.endswith(SEED):
                targets[target] = ""  # A seed is for one guest alone.
            continue
        row = _by_source(host, source)
        if row is None:
            raise NotNow(
                "source", _("%(disk)s lies in no pool that kvmdash knows, and cannot be copied.") % {"disk": source}
            )
        if why := fillings.why_not_whole(row):
            raise NotNow("source", why)
        pool = pool_for(host, arguments) if arguments.get("pool") else row.pool
        require_pool(pool)
        form = "raw" if pool.type in DEVICES else "qcow2" if linked else row.format or "raw"
        if linked and pool.type in DEVICES:
            raise NotNow("linked", _("Only a qcow2 image lies on another one, and this pool has none."))
        name = file_name(arguments["name"], "" if not volumes else f"-{target}", form)
        volumes.append(NewVolume(target, pool, name, row.capacity, form, "link" if linked else "copy", row))
        drives.append((target, Drive("", form, "disk", disk["bus"] or "virtio", pool.type in DEVICES)))
        targets[target] = target
    return volumes, drives, targets


def _by_source(host: Host, source: str) -> StorageVolume | None:
    rows, (pool, _slash, name) = present(host), source.partition("/")
    return rows.filter(path=source).first() or rows.filter(pool__name=pool, name=name).first()
